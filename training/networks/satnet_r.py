"""SATNet-R: an explicit warp, then paint; what is exaggerated, how far and how it is drawn are inputs.

B batch. Pictures are uint8 [B, S, S, 3] RGB outside, aligned to SQUARE_256 (or its half), and inside as the networks
have them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from training.data.looks import Look, laid_down, ruling
from training.networks.discriminators import Discriminator, Halved, Projection, Trunk, View
from training.networks.folded import counted
from training.networks.painters import Exemplar, FlatPainter, LayerPainter, Painter, coloured
from training.networks.pixels import picture, pixels
from training.networks.warp import FRAME, Warp, WarpHead, no_code

STYLE_REACH = 4.0  # no number of a style is beyond it


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


class Draughtsman(nn.Module):
    """The same, where a look is a way to lay down what is seen in the warped photo, and not learnt."""

    def __init__(self, warp: Warp, layers: LayerPainter) -> None:
        super().__init__()
        self.warp, self.layers = warp, layers
        for name, ruled in zip(("rows", "columns"), ruling(warp.side), strict=True):
            self.register_buffer(name, ruled)

    def forward(
        self, image: Tensor, strength: Tensor, style: Tensor, code: Tensor, parts: Tensor, texture: Tensor
    ) -> Tensor:
        warped = self.warp(picture(image), strength, code, parts)
        drawing = laid_down(self.layers(warped), Look.from_style(style), self.rows @ self.columns)
        return drawn(warped, 2 * drawing - 1, texture)


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
        return drawn(warped, coloured(*self.flat(warped)), texture)


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


class StyleReader(nn.Module):
    """The whole graph that reads a drawing: image uint8 [B, S, S, 3] -> style [B, STYLE_SIZE], within STYLE_REACH."""

    def __init__(self, exemplar: Exemplar) -> None:
        super().__init__()
        self.exemplar = exemplar

    def forward(self, image: Tensor) -> Tensor:
        return self.exemplar(picture(image)).clamp(-STYLE_REACH, STYLE_REACH)


def drawn(warped: Tensor, painted: Tensor, texture: Tensor) -> Tensor:
    """From the warped photo to the drawing of it, uint8 [B, S, S, 3]."""
    share = texture[:, None, None, None]
    return pixels((1 - share) * warped + share * painted)


GRAPHS: Mapping[type[nn.Module], Sequence[str]] = {
    Translator: ("warp", "painter"),
    Draughtsman: ("warp", "layers"),
    Cartoonist: ("warp", "flat"),
    Restorer: ("warp", "painter", "exemplar"),
    StyleReader: ("exemplar",),
}
"""What each graph is made of."""


def from_state(state: dict[str, Tensor]) -> nn.Module:
    """The graph of the whole frame with the weights that `export.weights` reads out of its file, in eval mode.

    A `Draughtsman`'s is as large as the paper that it draws on.
    """
    parts: dict[str, nn.Module] = {}
    side = state["rows"].shape[1] if "rows" in state else FRAME
    if "warp.head.stem.0.0.weight" in state:
        head = WarpHead(len(state["warp.head.stem.0.0.weight"]))
        parts["warp"] = Warp(head, side, gentle="warp.far" in state, even="warp.mirror" in state)
    if "flat.stem.0.weight" in state:
        parts["flat"] = FlatPainter(width=2 * len(state["flat.stem.0.weight"]))
    if "layers.fine.0.0.weight" in state:
        parts["layers"] = LayerPainter(side, len(state["layers.fine.0.0.weight"]))
    if "painter.fine.0.convolution.weight" in state:
        deformable = "painter.deep.2.convolution.head.weight" in state
        parts["painter"] = Painter(width=len(state["painter.fine.0.convolution.weight"]), deformable=deformable)
    if "exemplar.1.weight" in state:
        parts["exemplar"] = Exemplar(len(state["exemplar.1.weight"]))
    kind = next(kind for kind, names in GRAPHS.items() if set(names) == set(parts))
    model = kind(*parts.values())
    model.load_state_dict(counted(state, model))
    return model.eval()


def discriminator(side: int, width: int, *, whole: bool = True, kinds: int = 0) -> Discriminator:
    """Logits of patches [B, 1, h, w] of a picture, and of the `whole` of it at 64 x 64 pixels [B, 1, 1, 1].

    Of `kinds` of pictures it is told each one's.
    """

    def view(trunk: Trunk, head: nn.Module, seen: nn.Module | None = None) -> View:
        return View(trunk, {"real": head}, seen=seen, projection=Projection(kinds, trunk.channels) if kinds else None)

    patch = Trunk((2, 2, 2), width)
    views = {"patch": view(patch, nn.Conv2d(patch.channels, 1, 4, 1, 1))}
    if whole:
        trunk, halvings = Trunk((2, 2, 2, 2), width), (side // 64).bit_length() - 1
        views["whole"] = view(trunk, nn.Conv2d(trunk.channels, 1, 4), Halved(halvings))
    return Discriminator(views)
