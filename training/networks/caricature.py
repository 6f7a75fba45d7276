"""The caricaturist network: the parts of SATNet-R with a strength and a style alone."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from training.networks.pixels import picture
from training.networks.satnet_r import FRAME, Flow, Painter, WarpHead, eased, identity


class Caricaturist(nn.Module):
    """The whole graph: image uint8 [B, 256, 256, 3], strength [B], style [B, 6] -> image uint8 [B, 256, 256, 3]."""

    def __init__(self) -> None:
        super().__init__()
        self.warp_head, self.flow, self.painter = WarpHead(code=0), Flow(), Painter()
        self.register_buffer("grid", identity(FRAME), persistent=False)

    def displacement(self, picture: Tensor, strength: Tensor) -> Tensor:
        """Where each pixel comes from, relative to itself: [B, 2, 32, 32] in units of half the frame."""
        velocity = self.warp_head(F.avg_pool2d(picture, 2))
        return self.flow(velocity * eased(strength)[:, None, None, None])

    def warp(self, picture: Tensor, strength: Tensor) -> Tensor:
        """The exaggerated photo [B, 3, 256, 256]; strength 0 gives the photo itself."""
        offset = F.interpolate(
            self.displacement(picture, strength), size=(FRAME, FRAME), mode="bilinear", align_corners=False
        )
        at = (self.grid + offset).permute(0, 2, 3, 1)
        return F.grid_sample(picture, at, mode="bilinear", padding_mode="border", align_corners=False)

    def forward(self, image: Tensor, strength: Tensor, style: Tensor) -> Tensor:
        drawing = self.painter(self.warp(picture(image), strength), style)
        levels = ((drawing + 1) * 127.5 + 0.5).clamp(0, 255)
        return levels.permute(0, 2, 3, 1).to(torch.uint8)


def from_state(state: dict[str, Tensor]) -> Caricaturist:
    """The caricaturist with the weights that `export.weights` reads out of its file, in eval mode."""
    model = Caricaturist()
    counters = {name: value for name, value in model.state_dict().items() if name.endswith("num_batches_tracked")}
    model.load_state_dict(counters | state)  # BatchNorm counts batches while training; the file does not carry that
    return model.eval()
