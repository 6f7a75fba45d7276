"""What SATNet-R paints with: in any look, in flat colours, and what reads the look of a drawing.

B batch, C channels, H W height and width. Pictures are float [B, 3, S, S] in -1..1.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from training.data.looks import BLACKEST, LIGHTNESS, STYLE_SIZE, Layers, mapped, strokes
from training.data.materials import USUAL
from training.networks.deformable import DeformableConvolution
from training.networks.folded import Convolution, Residual, doubled
from training.networks.pixels import signed
from training.networks.warp import FRAME, LOOK_AT

SHARPNESS = 4.0
"""What scores of materials are multiplied by for painting: where two are near each other, one is to win."""


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
        grating = F.pixel_unshuffle(paper(side), 2)
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


def paper(side: int) -> Tensor:
    """The strokes on paper [1, N, side, side], -1..1: those of the whole frame, seen from as far as the picture is."""
    return F.avg_pool2d(strokes(FRAME)[None], FRAME // side)


def through(layers: nn.ModuleList, x: Tensor, code: Tensor) -> Tensor:
    """The layers one after the other under the same code."""
    for layer in layers:
        x = layer(x, code)
    return x


class Palette(nn.Module):
    """Chooses the colours of materials [B, M, 3] by those that the picture has where each of them lies.

    Picture [B, 3, H, W], scores of materials [B, M, H, W] and what else is seen of the face [B, C, h, w]. Its white and
    black parts say in what light hair and skin are.
    """

    def __init__(self, channels: int, width: int = 96) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(2 * USUAL.size + channels, width),
            nn.ReLU(inplace=True),
            nn.Linear(width, width),
            nn.ReLU(inplace=True),
            nn.Linear(width, USUAL.size),
        )
        nn.init.zeros_(self.layers[-1].weight)
        self.layers[-1].bias.data = signed(torch.from_numpy(USUAL)).flatten()

    def forward(self, picture: Tensor, scores: Tensor, seen: Tensor) -> Tensor:
        share = scores.softmax(1).flatten(2)
        share = share / (share.sum(2, keepdim=True) + 1)  # a material that is nowhere has no colour
        pixels = picture.flatten(2).transpose(1, 2)
        mean = share @ pixels
        spread = (share @ pixels.square() - mean.square()).clamp(min=1e-4).sqrt()
        told = torch.cat([mean.flatten(1), spread.flatten(1), seen.mean((2, 3))], 1)
        chosen: Tensor = self.layers(told)
        return chosen.unflatten(1, USUAL.shape)


class FlatPainter(nn.Module):
    """Plans a picture in flat colours: picture [B, 3, S, S] -> scores [B, M, S, S] and colours [B, M, 3] of materials.

    S is 128 or a multiple of it. A U-Net on 128 x 128 pixels says which material lies where, and what its colour is. It
    is the scores that are enlarged to the picture's size, before the best one is taken: edges are sharp there.
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
        self.score = nn.Conv2d(widths[0], len(USUAL), 3, 1, 1)
        self.palette = Palette(widths[-1])

    def forward(self, picture: Tensor) -> tuple[Tensor, Tensor]:
        small = F.avg_pool2d(picture, self.side // LOOK_AT)
        seen = [self.stem(small)]
        for layer in self.down:
            seen.append(layer(seen[-1]))
        x = deep = self.deep(seen.pop())
        for layer in reversed(self.up):
            x = layer(torch.cat([doubled(x), seen.pop()], 1))
        scores = self.score(x)
        colours = self.palette(small, scores, deep)
        return F.interpolate(scores, size=(self.side, self.side), mode="bilinear", align_corners=False), colours


def coloured(scores: Tensor, colours: Tensor) -> Tensor:
    """The picture [B, 3, S, S] of a plan: scores [B, M, S, S] and colours [B, M, 3] of materials."""
    painted = colours.transpose(1, 2) @ (SHARPNESS * scores).softmax(1).flatten(2)
    return painted.unflatten(2, scores.shape[2:])


class LayerPainter(nn.Module):
    """Sees in a photo what a hand would draw: picture [B, 3, S, S] -> `Layers` of it; any look is laid down from them.

    S is 256 or a multiple of it. A U-Net on half of 256 x 256 pixels; what is larger is seen in that size, and
    the layers are enlarged before they become tones and lines: edges are sharp there.
    """

    def __init__(self, side: int = FRAME, width: int = 24) -> None:
        super().__init__()
        self.side = side
        widths = [width, 2 * width, 3 * width, 3 * width, 3 * width]
        self.fine = nn.Sequential(Convolution(3, width, 2, size=6), Convolution(width, width))
        self.down = nn.ModuleList(
            nn.Sequential(Convolution(inner, outer, 2), Residual(outer)) for inner, outer in pairwise(widths)
        )
        self.up = nn.ModuleList(Rise(outer, inner) for inner, outer in pairwise(widths))
        self.detail = nn.Conv2d(width, 4 * 5, 3, 1, 1)
        self.where = nn.Conv2d(widths[1], 2, 3, 1, 1)
        self.skin = nn.Conv2d(widths[2], 1, 1)
        for last in (self.detail, self.where, self.skin):
            nn.init.normal_(last.weight, std=1e-3)
            nn.init.zeros_(last.bias)

    def forward(self, picture: Tensor) -> Layers:
        seen = (F.avg_pool2d(picture, self.side // FRAME) + 1) / 2
        fine = self.fine(seen)
        features = [fine]
        for layer in self.down:
            features.append(layer(features[-1]))
        rising = [features.pop()]
        for layer in reversed(self.up):
            rising.append(layer(rising[-1], features.pop()))
        *_, deep, middle, fine = rising
        pictures = F.pixel_shuffle(self.detail(fine), 2)
        paint, lines = pictures[:, :3], pictures[:, 3:]
        where = torch.sigmoid(self.where(middle))
        share = self.skin(deep).flatten(1).softmax(1)
        light = mapped(F.avg_pool2d(seen, FRAME // deep.shape[-1]), LIGHTNESS).flatten(1)
        paint, lines, where = (self._enlarged(each) for each in (seen + paint, BLACKEST * lines, where))
        return Layers(paint, lines, where[:, :1], where[:, 1:], (share * light).sum(1))

    def _enlarged(self, layer: Tensor) -> Tensor:
        if layer.shape[-1] == self.side:
            return layer
        return F.interpolate(layer, size=(self.side, self.side), mode="bilinear", align_corners=False)


class Rise(nn.Module):
    """From features [B, C, H, W] to the double size, where finer ones [B, N, 2 H, 2 W] join them."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.narrow = nn.Conv2d(inputs, outputs, 1)
        self.join = Convolution(outputs, outputs)

    def forward(self, x: Tensor, finer: Tensor) -> Tensor:
        joined: Tensor = self.join(doubled(self.narrow(x)) + finer)
        return joined


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
