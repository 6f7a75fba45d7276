"""The explicit warp of SATNet-R: a head that says in which direction to move, and the flow of that.

B batch, C channels, H W height and width. Pictures are float [B, 3, S, S] in -1..1; fields are [B, 2, H, W] (x, y) in
units of half the frame, as grid_sample takes them.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from export.alignment import SQUARE_256
from training.data.caricaturist import CODE_REACH, CODE_SIZE, EASING
from training.networks.folded import Convolution, Residual, doubled

FRAME = SQUARE_256.width
LOOK_AT = 128  # the head looks at pictures of this side
CELLS = 32  # the velocity field's resolution
SQUARINGS = 5  # the field is integrated over 2^5 steps
PARTS = ("eyes", "nose", "mouth", "jaw")
FAR = 4.0  # pixels: how fast a face is moved that is as far from the mean as half of all faces, root mean square
GENTLER = 0.8  # the power by which those that are moved faster are moved for less time; 1 would move all as far
LONGER = 1.2  # how much longer all are moved instead


class WarpHead(nn.Module):
    """Looks at a face [B, 3, 128, 128] and says in which direction to exaggerate it: a velocity field [B, 2, 32, 32].

    Two paths add up: a global one that weighs the whole face against the mean face, and a local one that sees where
    each feature stands. The field fades to zero at the frame's edge, so that a pasted crop meets the photo. A code
    [B, 8] scales and shifts the deepest features, as FiLM does (Perez et al. 2018): zero changes nothing, however long
    the head has learnt.
    """

    def __init__(self, width: int = 24, code: int = CODE_SIZE) -> None:
        """`code`: its size; 0: the head takes none."""
        super().__init__()
        a, b, c, d = width, 2 * width, 4 * width, 6 * width
        self.stem = nn.Sequential(Convolution(3, a, 2), Convolution(a, b, 2), Residual(b))  # 32 x 32
        self.middle = nn.Sequential(Convolution(b, c, 2), Residual(c))  # 16 x 16
        self.deep = nn.Sequential(Convolution(c, d, 2), Residual(d), Residual(d))  # 8 x 8
        self.squeeze = Convolution(d, b)
        self.judge = nn.Sequential(nn.Linear(b * 64, 256), nn.ReLU(inplace=True), nn.Linear(256, 2 * 16 * 16))
        self.up_middle = Convolution(d + c, c)
        self.up_fine = Convolution(c + b, b)
        self.field = nn.Conv2d(b, 2, 3, 1, 1)
        edge = torch.sin(torch.pi * (torch.arange(CELLS) + 0.5) / CELLS).clamp(max=0.5) * 2
        self.register_buffer("fade", torch.minimum(edge[:, None], edge[None, :])[None, None], persistent=False)
        for last in (self.judge[-1], self.field):
            nn.init.normal_(last.weight, std=1e-3)
            nn.init.zeros_(last.bias)
        self.film = nn.Linear(code, 2 * d, bias=False) if code else None
        if self.film is not None:
            nn.init.zeros_(self.film.weight)

    def forward(self, face: Tensor, code: Tensor | None = None) -> Tensor:
        fine = self.stem(face)
        middle = self.middle(fine)
        deep = self.deep(middle)
        if self.film is not None and code is not None:
            scale, shift = self.film(code.clamp(-CODE_REACH, CODE_REACH))[:, :, None, None].chunk(2, 1)
            deep = deep * (1 + scale) + shift
        whole = self.judge(self.squeeze(deep).flatten(1)).unflatten(1, (2, 16, 16))
        local = self.up_middle(torch.cat([doubled(deep), middle], 1))
        local = self.field(self.up_fine(torch.cat([doubled(local), fine], 1)))
        return (doubled(whole) + local) * self.fade


class Flow(nn.Module):
    """The exponential of a stationary velocity field, by scaling and squaring (Arsigny et al. 2006).

    velocity [B, 2, h, w] -> displacement [B, 2, h, w]. A flow is invertible whatever its strength, so features stretch
    and never fold over each other.
    """

    def __init__(self, cells: int = CELLS) -> None:
        super().__init__()
        self.register_buffer("grid", identity(cells), persistent=False)

    def forward(self, velocity: Tensor) -> Tensor:
        displacement = velocity / 2**SQUARINGS
        for _ in range(SQUARINGS):
            at = (self.grid + displacement).permute(0, 2, 3, 1)
            onward = F.grid_sample(displacement, at, mode="bilinear", padding_mode="border", align_corners=False)
            displacement = displacement + onward
        return displacement


def identity(side: int) -> Tensor:
    """The centres of a grid's cells [1, 2, side, side] (x, y), -1..1 from edge to edge of the frame."""
    centres = (torch.arange(side) + 0.5) * 2 / side - 1
    return torch.stack(torch.meshgrid(centres, centres, indexing="xy"))[None]


class Warp(nn.Module):
    """Exaggerates pictures [B, 3, S, S] by the velocity that a head sees in them; S is 128 or a multiple of it."""

    def __init__(self, head: WarpHead, side: int = FRAME, *, gentle: bool = False, even: bool = False) -> None:
        """`gentle`: with faces that are far from the mean, whose deviation is multiplied by less.

        `even`: a face is moved as its mirror image is, by the mean of what the head sees in both.
        """
        super().__init__()
        self.head, self.flow, self.side = head, Flow(), side
        self.register_buffer("far", torch.tensor(FAR * 2 / FRAME) if gentle else None)
        self.register_buffer("mirror", torch.tensor([-1.0, 1.0])[:, None, None] if even else None)
        self.register_buffer("centres", identity(side)[0, 0, 0], persistent=False)
        self.register_buffer("masks", part_masks(), persistent=False)

    def displacement(self, picture: Tensor, strength: Tensor, code: Tensor, parts: Tensor) -> Tensor:
        """Where each pixel comes from, relative to itself: [B, 2, 32, 32] in units of half the frame."""
        moved: Tensor = self.flow(self.velocity(picture, strength, code, parts))
        return moved

    def velocity(self, picture: Tensor, strength: Tensor, code: Tensor, parts: Tensor) -> Tensor:
        """Of which the displacement is the flow; the flow of its negative says where each pixel goes: [B, 2, 32, 32].

        `strength` [B], 0..3; `code` [B, 8]; `parts` [B, 4], how much of the strength each of PARTS gets.
        """
        velocity = self._seen(F.avg_pool2d(picture, self.side // LOOK_AT), code)
        share = 1 + ((parts - 1)[:, :, None, None] * self.masks).sum(1, keepdim=True)
        time = eased(strength)
        if self.far is not None:
            speed = velocity.square().sum(1).mean((1, 2)).sqrt()
            time = time * LONGER * (self.far / speed.clamp(min=self.far)) ** GENTLER
        return velocity * share * time[:, None, None, None]

    def _seen(self, face: Tensor, code: Tensor) -> Tensor:
        seen: Tensor = self.head(face, code)
        if self.mirror is None:
            return seen
        # A mirrored face is as far from the mean along each component, if the other way: codes are for both.
        return (seen + self.head(face.flip(3), code).flip(3) * self.mirror) / 2

    def forward(self, picture: Tensor, strength: Tensor, code: Tensor, parts: Tensor) -> Tensor:
        """The exaggerated photo [B, 3, S, S]; strength 0 gives the photo itself."""
        return self.moved(picture, self.displacement(picture, strength, code, parts))

    def moved(self, picture: Tensor, displacement: Tensor) -> Tensor:
        """The picture whose every pixel comes from where a displacement [B, 2, h, w] says."""
        size = (self.side, self.side)
        offset = F.interpolate(displacement, size=size, mode="bilinear", align_corners=False)
        # A row and a column of centres, not a grid of them, which would be the largest thing in the file.
        at = torch.stack([offset[:, 0] + self.centres, offset[:, 1] + self.centres[:, None]], -1)
        return F.grid_sample(picture, at, mode="bilinear", padding_mode="border", align_corners=False)


def published(head: WarpHead, direction: str, side: int) -> Warp:
    """What graphs have of a learnt head: an even warp, gentle where it makes caricatures."""
    return Warp(head, side, gentle=direction == "caricature", even=True).eval()


def part_masks() -> Tensor:
    """Where each of PARTS is in the template's frame [1, 4, 32, 32], 0..1, smooth, 1 in its middle; their sum is <= 1.

    Sizes are in distances between the eyes. A part that comes earlier covers those that come later.
    """
    left, right, nose, mouth_left, mouth_right = (torch.tensor(point).float() for point in SQUARE_256.points)
    unit = float((right - left).norm())
    mouth, broad = (mouth_left + mouth_right) / 2, float((mouth_right - mouth_left).norm()) / unit / 2
    x, y = ((identity(CELLS)[0] + 1) * FRAME - 1) / 2

    def ellipse(middle: Tensor, down: float, across: float, tall: float) -> Tensor:
        away = torch.hypot((x - middle[0]) / (across * unit), (y - middle[1] - down * unit) / (tall * unit))
        return smooth_step((2.2 - away) / 1.2)  # whole up to its half-axes, nothing from 2.2 of them on

    found = {
        "eyes": torch.maximum(*(ellipse(eye, -0.1, 0.32, 0.3) for eye in (left, right))),
        "nose": ellipse(nose, -0.1, 0.25, 0.28),
        "mouth": ellipse(mouth, 0.0, broad, 0.25),
        "jaw": smooth_step((y - nose[1]) / (mouth[1] - nose[1])),
    }
    free, masks = torch.ones(CELLS, CELLS), []
    for name in PARTS:
        masks.append(found[name] * free)
        free = free * (1 - found[name])
    return torch.stack(masks)[None]


def smooth_step(x: Tensor) -> Tensor:
    """From 0 at 0 to 1 at 1, level at both and beyond."""
    x = x.clamp(0, 1)
    return x * x * (3 - 2 * x)


def eased(strength: Tensor) -> Tensor:
    """Strength as flow time: 0 at 0, 1 at 1 and ever gentler, so that strength 3 still is a face."""
    scale = 1 / (1 - torch.exp(torch.tensor(-EASING)))
    return (1 - torch.exp(-EASING * strength)) * scale


def no_code(strength: Tensor) -> Tensor:
    """The warp codes [B, 8] of what is a face's own."""
    return torch.zeros_like(strength)[:, None].expand(-1, CODE_SIZE)
