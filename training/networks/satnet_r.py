"""SATNet-R: an explicit warp, then paint; what is exaggerated, how far and how it is drawn are inputs.

B batch, C channels, H W height and width. Pictures are float [B, 3, S, S] in -1..1 inside, uint8 [B, S, S, 3] RGB
outside, aligned to SQUARE_256 (or its half); fields are [B, 2, H, W] (x, y) in units of half the frame, as grid_sample
takes them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from export.alignment import SQUARE_256
from training.data.caricaturist import CODE_REACH, CODE_SIZE, EASING
from training.data.painter import STYLE_SIZE, gratings
from training.networks.deformable import DeformableConvolution
from training.networks.discriminators import Discriminator, Halved, Trunk, View
from training.networks.pixels import picture, pixels

FRAME = SQUARE_256.width
LOOK_AT = 128  # the warp head looks at pictures of this side
CELLS = 32  # the velocity field's resolution
SQUARINGS = 5  # the field is integrated over 2^5 steps
PALETTE = (
    *((255.0, 255.0, 255.0), (27.0, 21.0, 21.0), (225.0, 180.0, 145.0), (90.0, 60.0, 40.0), (165.0, 145.0, 125.0)),
    *((80.0, 50.0, 40.0), (80.0, 70.0, 65.0), (245.0, 245.0, 245.0), (46.0, 42.0, 46.0), (45.0, 30.0, 25.0)),
)
"""What a flat painter begins with: ground, ink, skin, hair, the light on it, brows, eyes, teeth, glasses, its lines."""
PARTS = ("eyes", "nose", "mouth", "jaw")
STYLE_REACH = 4.0  # no number of a style is beyond it


class Convolution(nn.Sequential):
    """3x3 convolution, batch normalisation and, unless `linear`, ReLU.

    Out of training the normalisation is part of the convolution's weights. ONNX Runtime, which does not merge the two
    where weights are stored as float16, then computes every sum in one order, whatever its number of threads.
    """

    def __init__(self, inputs: int, outputs: int, stride: int = 1, *, linear: bool = False) -> None:
        active = () if linear else (nn.ReLU(inplace=True),)
        super().__init__(nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), *active)

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            return super().forward(x)
        convolution, norm, *active = self
        scale = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
        weight, bias = convolution.weight * scale[:, None, None, None], norm.bias - norm.running_mean * scale
        x = F.conv2d(x, weight, bias, convolution.stride, convolution.padding)
        return F.relu(x) if active else x


class Residual(nn.Module):
    """Two 3x3 convolutions around an identity path."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = Convolution(channels, channels)
        self.second = Convolution(channels, channels, linear=True)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.second(self.first(x)))


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


def doubled(x: Tensor) -> Tensor:
    """Bilinear upsampling by two."""
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


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


class Modulated(nn.Module):
    """A 3x3 convolution whose outputs the style scales and shifts."""

    def __init__(self, inputs: int, outputs: int, code: int, stride: int = 1, *, deformable: bool = False) -> None:
        super().__init__()
        kind = DeformableConvolution if deformable else nn.Conv2d
        self.convolution = kind(inputs, outputs, 3, stride, 1)
        self.affine = nn.Linear(code, 2 * outputs)
        nn.init.kaiming_normal_(self.convolution.weight, nonlinearity="relu")
        nn.init.zeros_(self.convolution.bias)
        nn.init.normal_(self.affine.weight, std=0.1)
        nn.init.zeros_(self.affine.bias)

    def forward(self, x: Tensor, code: Tensor) -> Tensor:
        scale, shift = self.affine(code)[:, :, None, None].chunk(2, 1)
        return F.relu(self.convolution(x) * (1 + scale) + shift)


class Pen(nn.Module):
    """Finds where a pen would go: picture [B, 3, H, W] -> response [B, 1, H, W], high on dark lines.

    The strongest of eight long difference-of-Gaussians filters, one per direction, at full resolution: lines stay as
    crisp as the photo's. The filters start as the classical ones (Kang et al. 2007) and are trained on.
    """

    def __init__(self, directions: int = 8, size: int = 9) -> None:
        super().__init__()
        self.filters = nn.Conv2d(1, directions, size, padding=size // 2, padding_mode="replicate", bias=False)
        half = torch.arange(size) - size // 2
        y, x = torch.meshgrid(half.float(), half.float(), indexing="ij")
        bank = []
        for turn in torch.arange(directions) * torch.pi / directions:
            across, along = x * torch.cos(turn) + y * torch.sin(turn), y * torch.cos(turn) - x * torch.sin(turn)
            profiles = [torch.exp(-((across / width) ** 2) / 2) / width for width in (1.2, 1.9)]
            bank.append((profiles[1] - profiles[0]) * torch.exp(-((along / 2.5) ** 2) / 2))
        weight = torch.stack(bank)[:, None]
        weight = weight - weight.mean((2, 3), keepdim=True)
        self.filters.weight.data = 8 * weight / weight.abs().sum((2, 3), keepdim=True)

    def forward(self, picture: Tensor) -> Tensor:
        red, green, blue = (0.5 * picture + 0.5).split(1, 1)
        grey = torch.sqrt((0.3 * red + 0.59 * green + 0.11 * blue).clamp(min=1e-3))
        return self.filters(grey).amax(1, keepdim=True)


class Painter(nn.Module):
    """Paints a photo in a look: (picture [B, 3, S, S], style [B, STYLE_SIZE]) -> picture [B, 3, S, S].

    A U-Net on 2x2 blocks of pixels lays the colour and says how hard a pen presses where; the pen draws over it. The
    mean of the deepest features joins the style code, since how bright the paper is lit depends on the whole face; the
    strokes that a look may ask for are drawn on the paper, so they come as an input.
    """

    def __init__(self, side: int = FRAME, width: int = 32, code: int = 64, *, deformable: bool = False) -> None:
        """`width` is even: channels at half of the side; `deformable`: the two deepest convolutions are."""
        super().__init__()
        a, b, c = width, 3 * width // 2, 3 * width
        grating = F.pixel_unshuffle(strokes(side), 2)
        inputs = 12 + grating.shape[1]
        self.code = nn.Sequential(
            nn.Linear(STYLE_SIZE, code), nn.ReLU(inplace=True), nn.Linear(code, code), nn.ReLU(inplace=True)
        )
        self.scene = nn.Linear(c, code)
        self.fine = nn.ModuleList([Modulated(inputs, a, code), Modulated(a, a, code)])  # 128 x 128 of 256
        self.middle = nn.ModuleList([Modulated(a, b, code, 2), Modulated(b, b, code)])  # 64 x 64
        deepest = [Modulated(c, c, code, deformable=deformable) for _ in range(2)]
        self.deep = nn.ModuleList([Modulated(b, c, code, 2), Modulated(c, c, code), *deepest])  # 32 x 32
        self.up_middle = nn.ModuleList([Modulated(c + b, b, code), Modulated(b, b, code)])
        self.up_fine = nn.ModuleList([Modulated(b + a, a, code), Modulated(a, a, code)])
        self.colour = nn.Conv2d(a + inputs, 12, 3, 1, 1)
        self.pen = Pen()
        self.pressure = nn.Conv2d(a, 2, 3, 1, 1)  # gain and threshold
        self.ink = nn.Linear(code, 3)
        nn.init.normal_(self.pressure.weight, std=0.01)
        self.pressure.bias.data = torch.tensor([5.0, -3.0])
        nn.init.constant_(self.ink.bias, -0.8)
        self.register_buffer("grating", grating, persistent=False)

    def forward(self, picture: Tensor, style: Tensor) -> Tensor:
        code = self.code(style)
        blocks = F.pixel_unshuffle(picture, 2)
        blocks = torch.cat([blocks, self.grating.expand(blocks.shape[0], -1, -1, -1)], 1)
        fine = through(self.fine, blocks, code)
        middle = through(self.middle, fine, code)
        deep = through(self.deep, middle, code)
        code = F.relu(code + self.scene(deep.mean((2, 3))))
        middle = through(self.up_middle, torch.cat([doubled(deep), middle], 1), code)
        fine = through(self.up_fine, torch.cat([doubled(middle), fine], 1), code)
        paint = F.pixel_shuffle(self.colour(torch.cat([fine, blocks], 1)), 2)
        gain, threshold = doubled(self.pressure(fine)).chunk(2, 1)
        line = torch.sigmoid(gain * self.pen(picture) + threshold)
        return paint + line * (self.ink(code)[:, :, None, None] - paint)


class FlatPainter(nn.Module):
    """Paints in flat colours: picture [B, 3, S, S] -> picture [B, 3, S, S]; S is 128 or a multiple of it.

    A U-Net on 128 x 128 pixels says which colour lies where, and what the colours are. It is the scores of the colours
    that are enlarged to the picture's size, before the best one is taken: edges are as sharp there as they can be.
    """

    def __init__(self, side: int = FRAME, width: int = 24) -> None:
        """`width` is even: channels at half of 128 pixels."""
        super().__init__()
        self.side = side
        widths = [width // 2, width, 2 * width, 3 * width, 4 * width]
        self.stem = Convolution(3, widths[0])
        self.down = nn.ModuleList(
            nn.Sequential(Convolution(inner, outer, 2), Residual(outer)) for inner, outer in pairwise(widths)
        )
        self.deep = Residual(widths[-1])
        self.up = nn.ModuleList(Convolution(outer + inner, inner) for inner, outer in pairwise(widths))
        self.score = nn.Conv2d(widths[0], len(PALETTE), 3, 1, 1)
        self.squeeze = Convolution(widths[-1], width)
        self.palette = nn.Sequential(
            nn.Linear(64 * width, 128), nn.ReLU(inplace=True), nn.Linear(128, 3 * len(PALETTE))
        )
        nn.init.zeros_(self.palette[-1].weight)
        self.palette[-1].bias.data = torch.tensor(PALETTE).flatten() / 127.5 - 1

    def forward(self, picture: Tensor) -> Tensor:
        seen = [self.stem(F.avg_pool2d(picture, self.side // LOOK_AT))]
        for layer in self.down:
            seen.append(layer(seen[-1]))
        x = self.deep(seen.pop())
        colours = self.palette(self.squeeze(x).flatten(1)).unflatten(1, (len(PALETTE), 3))
        for layer in reversed(self.up):
            x = layer(torch.cat([doubled(x), seen.pop()], 1))
        scores = F.interpolate(self.score(x), size=(self.side, self.side), mode="bilinear", align_corners=False)
        painted = colours.transpose(1, 2) @ scores.softmax(1).flatten(2)
        return painted.unflatten(2, (self.side, self.side))


def strokes(side: int) -> Tensor:
    """The strokes on paper [1, N, side, side], -1..1: those of the whole frame, seen from as far as the picture is."""
    whole = torch.from_numpy(gratings(FRAME)).float().permute(2, 0, 1)[None]
    return F.avg_pool2d(whole, FRAME // side)


def through(layers: nn.ModuleList, x: Tensor, code: Tensor) -> Tensor:
    """The layers one after the other under the same code."""
    for layer in layers:
        x = layer(x, code)
    return x


class Warp(nn.Module):
    """Exaggerates pictures [B, 3, S, S] by the velocity that a head sees in them; S is 128 or a multiple of it."""

    def __init__(self, head: WarpHead, side: int = FRAME) -> None:
        super().__init__()
        self.head, self.flow, self.side = head, Flow(), side
        self.register_buffer("grid", identity(side), persistent=False)
        self.register_buffer("masks", part_masks(), persistent=False)

    def displacement(self, picture: Tensor, strength: Tensor, code: Tensor, parts: Tensor) -> Tensor:
        """Where each pixel comes from, relative to itself: [B, 2, 32, 32] in units of half the frame."""
        moved: Tensor = self.flow(self.velocity(picture, strength, code, parts))
        return moved

    def velocity(self, picture: Tensor, strength: Tensor, code: Tensor, parts: Tensor) -> Tensor:
        """Of which the displacement is the flow; the flow of its negative says where each pixel goes: [B, 2, 32, 32].

        `strength` [B], 0..3; `code` [B, 8]; `parts` [B, 4], how much of the strength each of PARTS gets.
        """
        velocity = self.head(F.avg_pool2d(picture, self.side // LOOK_AT), code)
        share = 1 + ((parts - 1)[:, :, None, None] * self.masks).sum(1, keepdim=True)
        return velocity * share * eased(strength)[:, None, None, None]

    def forward(self, picture: Tensor, strength: Tensor, code: Tensor, parts: Tensor) -> Tensor:
        """The exaggerated photo [B, 3, S, S]; strength 0 gives the photo itself."""
        return self.moved(picture, self.displacement(picture, strength, code, parts))

    def moved(self, picture: Tensor, displacement: Tensor) -> Tensor:
        """The picture whose every pixel comes from where a displacement [B, 2, h, w] says."""
        size = (self.side, self.side)
        offset = F.interpolate(displacement, size=size, mode="bilinear", align_corners=False)
        at = (self.grid + offset).permute(0, 2, 3, 1)
        return F.grid_sample(picture, at, mode="bilinear", padding_mode="border", align_corners=False)


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


class Translator(nn.Module):
    """The whole graph: image uint8 [B, S, S, 3] and the controls -> image uint8 [B, S, S, 3].

    strength [B], 0..3; style [B, STYLE_SIZE], N(0, 1); code [B, 8], N(0, 1), zero is the exaggeration that is a face's
    own; parts [B, 4], 0..2, what share of the strength each of PARTS gets; texture [B], 0..1, from the warped photo to
    the drawing.
    """

    def __init__(self, warp: Warp, painter: Painter) -> None:
        super().__init__()
        self.warp, self.painter = warp, painter

    def forward(
        self, image: Tensor, strength: Tensor, style: Tensor, code: Tensor, parts: Tensor, texture: Tensor
    ) -> Tensor:
        warped = self.warp(picture(image), strength, code, parts)
        return drawn(warped, self.painter(warped, style), texture)


def drawn(warped: Tensor, painted: Tensor, texture: Tensor) -> Tensor:
    """From the warped photo to the drawing of it, uint8 [B, S, S, 3]."""
    share = texture[:, None, None, None]
    return pixels((1 - share) * warped + share * painted)


class Cartoonist(nn.Module):
    """The whole graph of one look: image uint8 [B, S, S, 3] and the controls -> image uint8 [B, S, S, 3].

    strength [B], 0..2, how far the face takes a cartoon's proportions; parts [B, 4] and texture [B] as a `Translator`
    has them.
    """

    def __init__(self, warp: Warp, flat: FlatPainter) -> None:
        super().__init__()
        self.warp, self.flat = warp, flat

    def forward(self, image: Tensor, strength: Tensor, parts: Tensor, texture: Tensor) -> Tensor:
        warped = self.warp(picture(image), strength, no_code(strength), parts)
        return drawn(warped, self.flat(warped), texture)


class Restorer(nn.Module):
    """The whole graph of the other direction: a drawing, uint8 [B, S, S, 3] -> the photo, uint8 [B, S, S, 3].

    strength [B], 0..2, how far the exaggeration is undone; parts [B, 4] as a `Translator` has them. What was done last
    is undone first, but the warp sees the drawing itself; its style is read of it.
    """

    def __init__(self, warp: Warp, painter: Painter, exemplar: Exemplar) -> None:
        super().__init__()
        self.warp, self.painter, self.exemplar = warp, painter, exemplar

    def forward(self, image: Tensor, strength: Tensor, parts: Tensor) -> Tensor:
        drawing = picture(image)
        back = self.warp.displacement(drawing, strength, no_code(strength), parts)
        return pixels(self.warp.moved(self.painter(drawing, self.exemplar(drawing)), back))


def no_code(strength: Tensor) -> Tensor:
    """The warp codes [B, 8] of what is a face's own."""
    return torch.zeros_like(strength)[:, None].expand(-1, CODE_SIZE)


class Exemplar(nn.Sequential):
    """Reads the look of a drawing: [B, 3, S, S] -> style [B, STYLE_SIZE].

    It looks at blocks of 2 x 2 pixels and normalises nothing, which would take away colour, contrast and strokes.
    """

    def __init__(self, width: int = 24) -> None:
        widths = [12, width, 2 * width, 4 * width, 4 * width]
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise(widths):
            layers += [nn.Conv2d(inputs, outputs, 3, 2, 1), nn.ReLU(inplace=True)]
        super().__init__(
            nn.PixelUnshuffle(2), *layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4 * width, STYLE_SIZE)
        )


class StyleReader(nn.Module):
    """The whole graph that reads a drawing: image uint8 [B, S, S, 3] -> style [B, STYLE_SIZE], within STYLE_REACH."""

    def __init__(self, exemplar: Exemplar) -> None:
        super().__init__()
        self.exemplar = exemplar

    def forward(self, image: Tensor) -> Tensor:
        return self.exemplar(picture(image)).clamp(-STYLE_REACH, STYLE_REACH)


GRAPHS: Mapping[type[nn.Module], Sequence[str]] = {
    Translator: ("warp", "painter"),
    Cartoonist: ("warp", "flat"),
    Restorer: ("warp", "painter", "exemplar"),
    StyleReader: ("exemplar",),
}
"""What each graph is made of."""


def from_state(state: dict[str, Tensor]) -> nn.Module:
    """The graph of the whole frame with the weights that `export.weights` reads out of its file, in eval mode."""
    parts: dict[str, nn.Module] = {}
    if "warp.head.stem.0.0.weight" in state:
        parts["warp"] = Warp(WarpHead(len(state["warp.head.stem.0.0.weight"])))
    if "flat.stem.0.weight" in state:
        parts["flat"] = FlatPainter(width=2 * len(state["flat.stem.0.weight"]))
    if "painter.fine.0.convolution.weight" in state:
        deformable = "painter.deep.2.convolution.head.weight" in state
        parts["painter"] = Painter(width=len(state["painter.fine.0.convolution.weight"]), deformable=deformable)
    if "exemplar.1.weight" in state:
        parts["exemplar"] = Exemplar(len(state["exemplar.1.weight"]))
    kind = next(kind for kind, names in GRAPHS.items() if set(names) == set(parts))
    model = kind(*parts.values())
    counters = {name: value for name, value in model.state_dict().items() if name.endswith("num_batches_tracked")}
    model.load_state_dict(counters | state)  # BatchNorm counts batches while training; the file does not carry that
    return model.eval()


def eased(strength: Tensor) -> Tensor:
    """Strength as flow time: 0 at 0, 1 at 1 and ever gentler, so that strength 3 still is a face."""
    scale = 1 / (1 - torch.exp(torch.tensor(-EASING)))
    return (1 - torch.exp(-EASING * strength)) * scale


def discriminator(side: int, width: int, *, whole: bool = True) -> Discriminator:
    """Logits of patches [B, 1, h, w] of a picture, and of the `whole` of it at 64 x 64 pixels [B, 1, 1, 1]."""
    patch = Trunk((2, 2, 2), width)
    views = {"patch": View(patch, {"real": nn.Conv2d(patch.channels, 1, 4, 1, 1)})}
    if whole:
        trunk, halvings = Trunk((2, 2, 2, 2), width), (side // 64).bit_length() - 1
        views["whole"] = View(trunk, {"real": nn.Conv2d(trunk.channels, 1, 4)}, seen=Halved(halvings))
    return Discriminator(views)
