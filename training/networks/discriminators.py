"""Discriminators: lists of views of a picture, each with a trunk and heads that say something about its features.

| system                  | views                          | strides of the trunk                  | heads            |
|-------------------------|--------------------------------|---------------------------------------|------------------|
| pix2pix, CycleGAN       | the picture                    | 2, 2, 2, 1                            | patch            |
| pix2pixHD               | the picture, halved 0..2 times | 2, 2, 2, 1                            | patch            |
| MUNIT                   | the same                       | 2, 2, 2, 2                            | patch            |
| SATNet                  | the same                       | 2, 2, 2, 2, then SelfAttention        | patch            |
| U-GAT-IT, Photo2Cartoon | the picture, twice             | 2, 2, 2, 1 and 2, 2, 2, 2, 2, 1       | attention, patch |
| StarGAN                 | the picture                    | 2, 2, 2, 2, 2, 2                      | real, class      |
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm

from training.networks.attention import ClassActivation
from training.networks.convolution import Edges, convolution

SLOPE = 0.2


class Trunk(nn.Sequential):
    """Pictures [B, before, H, W] -> features: convolutions of 4 x 4, the first to `width` channels, then doubling."""

    def __init__(
        self,
        strides: Sequence[int],
        width: int = 64,
        *,
        before: int = 3,
        norm: Callable[[int], nn.Module] | None = None,
        spectral_from: int | None = None,
        edges: Edges = "zeros",
        slope: float = SLOPE,
    ) -> None:
        """`norm` is behind all convolutions but the first; those from the `spectral_from`-th on are of spectral norm 1.

        A batch normalisation has biases itself, so that the convolutions before it have none.
        """
        channels = [before, *(width << number for number in range(len(strides)))]
        layers: list[nn.Module] = []
        for number, stride in enumerate(strides):
            inner, outer = channels[number : number + 2]
            normalised = [norm(outer)] if norm is not None and number else []
            bias = not any(isinstance(each, nn.BatchNorm2d) for each in normalised)
            layer: nn.Module = convolution(inner, outer, 4, stride=stride, bias=bias, edges=edges)
            if spectral_from is not None and number >= spectral_from:
                layer = spectral_norm(layer)
            layers += [layer, *normalised, nn.LeakyReLU(slope)]
        super().__init__(*layers)
        self.channels = channels[-1]
        """Of the features."""


class Halved(nn.Module):
    """The picture at half its size, `times` over; means of 3 x 3 pixels, of those that there are at an edge."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.times = times

    def forward(self, pictures: Tensor) -> Tensor:
        for _ in range(self.times):
            pictures = functional.avg_pool2d(pictures, 3, 2, 1, count_include_pad=False)
        return pictures


class Projection(nn.Module):
    """How far features [B, C, H, W] are those of a kind [B]: [B, 1, 1, 1], added to logits (Miyato & Koyama 2018).

    Equation 3 of theirs, of the mean of all places; at first no kind says anything.
    """

    def __init__(self, kinds: int, channels: int) -> None:
        super().__init__()
        self.kinds = nn.Embedding(kinds, channels)
        nn.init.zeros_(self.kinds.weight)

    def forward(self, features: Tensor, kind: Tensor) -> Tensor:
        return (self.kinds(kind) * features.mean((2, 3))).sum(1)[:, None, None, None]


class View(nn.Module):
    """What is seen of pictures [B, C, H, W], features of that, and logits of each head by its name.

    With `attention` to the channels that tell real from made, its logits [B, 2] are those of a head of that name, and
    the other heads see the weighted features. With a `projection` it is told of what kind each picture is.
    """

    def __init__(
        self,
        trunk: nn.Module,
        heads: Mapping[str, nn.Module],
        *,
        seen: nn.Module | None = None,
        attention: ClassActivation | None = None,
        projection: Projection | None = None,
    ) -> None:
        super().__init__()
        self.seen = nn.Identity() if seen is None else seen
        self.trunk = trunk
        self.attention = attention
        self.projection = projection
        self.heads = nn.ModuleDict(heads)

    def forward(self, pictures: Tensor, kind: Tensor | None = None) -> dict[str, Tensor]:
        features, logits = self.trunk(self.seen(pictures)), {}
        if self.attention is not None:
            features, logits["attention"] = self.attention(features)
            features = functional.leaky_relu(features, SLOPE)
        told = 0.0 if self.projection is None or kind is None else self.projection(features, kind)
        return logits | {name: head(features) + told for name, head in self.heads.items()}


class Discriminator(nn.Module):
    """Pictures [B, C, H, W], and their kinds [B] if it knows any -> logits of all heads of all views: VIEW_HEAD."""

    def __init__(self, views: Mapping[str, View]) -> None:
        super().__init__()
        self.views = nn.ModuleDict(views)

    def forward(self, pictures: Tensor, kind: Tensor | None = None) -> dict[str, Tensor]:
        said = {view: judge(pictures, kind) for view, judge in self.views.items()}
        return {f"{view}_{head}": logits for view, heads in said.items() for head, logits in heads.items()}
