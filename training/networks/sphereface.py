"""SphereFace's face encoders: sphere20a, its deeper and shallower siblings, and narrow ones for small machines.

Liu et al. 2017, "SphereFace: Deep Hypersphere Embedding for Face Recognition". Layers and state-dict keys are those of
the public sphere20a: `conv{stage}_{i}`, `relu{stage}_{i}`, `fc5`, with `fc6` (the classes) in training.losses.margin.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn
from torch.nn import functional

from training.networks.discriminators import Halved

HEIGHT, WIDTH = 112, 96
EMBEDDING = 512
STAGES = 4
# Depth -> residual pairs in each stage (table 2 of the paper; every stage opens with one strided convolution).
RESIDUAL_PAIRS = {4: (0, 0, 0, 0), 10: (0, 1, 2, 0), 20: (1, 2, 4, 1), 36: (2, 4, 8, 2), 64: (3, 8, 16, 3)}


class SphereFace(nn.Module):
    """Faces float32 [B, 3, 112, 96], BGR, (x - 127.5) / 128 -> features [B, 512], not normalised.

    `depth` is one of RESIDUAL_PAIRS; `width` the channels of the first stage, doubled by every further one (the paper's
    networks have 64).
    """

    def __init__(self, depth: int = 20, width: int = 64) -> None:
        super().__init__()
        self.pairs = RESIDUAL_PAIRS[depth]
        channels = 3
        for stage, pairs in enumerate(self.pairs, start=1):
            for i in range(1, 2 + 2 * pairs):
                stride = 2 if i == 1 else 1
                out = width << (stage - 1)
                self.add_module(f"conv{stage}_{i}", nn.Conv2d(channels, out, 3, stride, padding=1))
                self.add_module(f"relu{stage}_{i}", nn.PReLU(out))
                channels = out
        self.fc5 = nn.Linear(channels * (HEIGHT >> STAGES) * (WIDTH >> STAGES), EMBEDDING)
        self._initialise()

    def forward(self, faces: Tensor) -> Tensor:
        x = faces
        for stage, pairs in enumerate(self.pairs, start=1):
            x = self._layer(stage, 1, x)
            for pair in range(pairs):
                x = x + self._layer(stage, 2 * pair + 3, self._layer(stage, 2 * pair + 2, x))
        return self.fc5(x.flatten(1))

    def _layer(self, stage: int, i: int, x: Tensor) -> Tensor:
        return self.get_submodule(f"relu{stage}_{i}")(self.get_submodule(f"conv{stage}_{i}")(x))

    def freeze(self, stages: int) -> None:
        """The first stages learn no more (fine-tuning)."""
        for name, parameter in self.named_parameters():
            if name.startswith(tuple(f"{kind}{stage}_" for kind in ("conv", "relu") for stage in range(1, stages + 1))):
                parameter.requires_grad_(False)

    def _initialise(self) -> None:
        """Kaiming for the strided layers, small for the residual pairs: a deep network starts near its trunk."""
        for name, module in self.named_modules():
            if isinstance(module, nn.Conv2d):
                if name.endswith("_1"):
                    nn.init.kaiming_normal_(module.weight, a=0.25)
                else:
                    nn.init.normal_(module.weight, std=0.01)
                nn.init.zeros_(module.bias)
        nn.init.xavier_uniform_(self.fc5.weight)
        nn.init.zeros_(self.fc5.bias)


def pixels_to_faces(image: Tensor) -> Tensor:
    """uint8 [B, 112, 96, 3] RGB -> what the network reads: float32 [B, 3, 112, 96], BGR, (x - 127.5) / 128."""
    return (image.permute(0, 3, 1, 2).flip(1).float() - 127.5) / 128


def pictures_to_faces(pictures: Tensor) -> Tensor:
    """float [B, 3, 112, 96] or twice that, RGB in -1..1 -> what the network reads; gradients flow through it."""
    faces = Halved(0 if pictures.shape[2] == HEIGHT else 1)(pictures)
    return faces.flip(1) * (127.5 / 128)


class Encoder(nn.Module):
    """The exported network: `image` uint8 [B, 112, 96, 3] RGB -> `embedding` float32 [B, 512] of unit length."""

    def __init__(self, network: SphereFace) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        return functional.normalize(self.network(pixels_to_faces(image)), dim=1)


def form(state: Mapping[str, Tensor]) -> tuple[int, int]:
    """Depth and width of the `SphereFace` that has this state_dict; ValueError if none has."""
    layers = [
        sum(name.startswith(f"conv{stage}_") and name.endswith("weight") for name in state)
        for stage in range(1, STAGES + 1)
    ]
    depths = {pairs: depth for depth, pairs in RESIDUAL_PAIRS.items()}
    depth = depths.get(tuple((count - 1) // 2 for count in layers))
    if depth is None or depth != sum(layers) or "conv1_1.bias" not in state:
        raise ValueError(f"stages of {', '.join(map(str, layers))} convolutions are those of no SphereFace")
    return depth, len(state["conv1_1.bias"])


def from_state(state: dict[str, Tensor]) -> Encoder:
    """The encoder of this state_dict (of `Encoder`, as `export.weights` returns it); depth and width are found."""
    encoder = Encoder(SphereFace(*form({name.removeprefix("network."): value for name, value in state.items()})))
    encoder.load_state_dict(state)
    return encoder.eval()
