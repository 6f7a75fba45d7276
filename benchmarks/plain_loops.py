"""Three systems trained by loops as one writes them for one system alone: what the engine is held against.

The networks are the recipes', and so are the functions of a loss that take a page to write (penalties, augmentation);
everything else is written out. A loop gives the sums of its losses after each step, by who learnt from them.
"""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.engine.phase import Batch
from training.engine.recipe import Recipe
from training.losses.augmentation import augmented
from training.losses.penalties import r1
from training.networks.normalisation import clamp_shares
from training.networks.pixels import picture
from training.networks.sphereface import pixels_to_faces
from training.networks.stylegan2 import MEMORY
from training.recipes.stylegan2 import SPARED

RAMP = 0.05


class Draws:
    """Random numbers of torch's own generator, by the names of training.engine.randomness.Random."""

    def __init__(self, rows: int, device: torch.device) -> None:
        self._rows, self._device = rows, device

    def normal(self, *shape: int) -> Tensor:
        """N(0, 1) [rows, *shape]."""
        return torch.randn(self._rows, *shape, device=self._device)

    def uniform(self, *shape: int) -> Tensor:
        """0..1 [rows, *shape]."""
        return torch.rand(self._rows, *shape, device=self._device)

    def whole(self, low: int, high: int, *shape: int) -> Tensor:
        """low..high - 1 [rows, *shape]."""
        return torch.randint(low, high, (self._rows, *shape), device=self._device)


Losses = Mapping[str, Tensor]
Loop = Callable[[Recipe, Iterable[Batch], torch.device, Callable[[int], Draws]], Iterator[Losses]]


def ugatit(
    recipe: Recipe, batches: Iterable[Batch], device: torch.device, draws: Callable[[int], Draws]
) -> Iterator[Losses]:
    """U-GAT-IT."""
    knobs = recipe.config
    torch.manual_seed(knobs.seed)
    networks = {name: network.to(device) for name, network in recipe.networks().items()}
    to_drawing, to_photo = networks["photo_to_drawing"], networks["drawing_to_photo"]
    judges = networks["photo_discriminator"], networks["drawing_discriminator"]
    average = copy.deepcopy(to_drawing).eval().requires_grad_(False)
    makers = nn.ModuleList([to_drawing, to_photo])
    judged = nn.ModuleList(judges)
    adam = {"lr": knobs.rate, "betas": (0.5, 0.999), "weight_decay": knobs.decay}
    makers_learn, judges_learn = (torch.optim.Adam(each.parameters(), **adam) for each in (makers, judged))
    seen = 0
    for batch in batches:
        photos, drawings = (picture(batch[f"{domain}_image"].to(device)) for domain in ("photo", "drawing"))

        with torch.no_grad():
            drawn, photographed = to_drawing(photos)[0], to_photo(drawings)[0]
        loss = torch.zeros((), device=device)
        for judge, real, made in zip(judges, (photos, drawings), (photographed, drawn), strict=True):
            reals, fakes = judge(real), judge(made)
            for name, logits in reals.items():
                loss = loss + (logits - 1).square().mean() + fakes[name].square().mean()
        judges_learn.zero_grad()
        loss.backward()
        judges_learn.step()

        judged.requires_grad_(False)
        drawn, photo_logits = to_drawing(photos)
        photographed, drawing_logits = to_photo(drawings)
        same_drawing, not_photo_logits = to_drawing(drawings)
        same_photo, not_drawing_logits = to_photo(photos)
        deceived = sum(
            (logits - 1).square().mean()
            for judge, made in zip(judges, (photographed, drawn), strict=True)
            for logits in judge(made).values()
        )
        back = _l1(to_photo(drawn)[0], photos) + _l1(to_drawing(photographed)[0], drawings)
        same = _l1(same_photo, photos) + _l1(same_drawing, drawings)
        attention = sum(_is(logits, 1.0) for logits in (photo_logits, drawing_logits)) + sum(
            _is(logits, 0.0) for logits in (not_photo_logits, not_drawing_logits)
        )
        total = knobs.adversarial * deceived + knobs.cycle * back + knobs.identity * same + knobs.attention * attention
        makers_learn.zero_grad()
        total.backward()
        makers_learn.step()
        clamp_shares({"drawing": to_drawing, "photo": to_photo})
        judged.requires_grad_(True)

        seen += len(photos)
        _follow([(average, to_drawing)], len(photos), min(knobs.half_life, RAMP * seen))
        yield {"discriminator": loss.detach(), "generator": total.detach()}


def stylegan2(
    recipe: Recipe, batches: Iterable[Batch], device: torch.device, draws: Callable[[int], Draws]
) -> Iterator[Losses]:
    """StyleGAN2, its penalties every few steps."""
    knobs = recipe.config
    torch.manual_seed(knobs.seed)
    networks = {name: network.to(device) for name, network in recipe.networks().items()}
    mapping, synthesis, judge, path = (networks[name] for name in ("mapping", "synthesis", "discriminator", "path"))
    averages = [(copy.deepcopy(each).eval().requires_grad_(False), each) for each in (mapping, synthesis)]
    makers_learn = _lazy(itertools.chain(mapping.parameters(), synthesis.parameters()), knobs.rate, knobs.path_every)
    judge_learns = _lazy(judge.parameters(), knobs.rate, knobs.penalty_every)
    seen = 0
    for number, batch in enumerate(batches):
        pictures, draw = picture(batch["image"].to(device)), draws(seen)

        def styles(draw: Draws = draw) -> Tensor:
            first, second = (mapping(draw.normal(knobs.most))[:, None] for _ in range(2))
            layers = synthesis.layers
            crossover = torch.where(draw.uniform() < knobs.mixing, draw.whole(1, layers), layers)
            place = torch.arange(layers, device=device)
            return torch.where((place >= crossover[:, None])[:, :, None], second, first)

        def made(w: Tensor, spared: int = 1, draw: Draws = draw) -> Tensor:
            return synthesis(w, [draw.normal(1, side, side)[::spared] for side in synthesis.noise_sides])

        def judged(pictures: Tensor, draw: Draws = draw) -> Tensor:
            return judge(augmented(pictures, draw, knobs.augmentation))

        judge.requires_grad_(False)
        w = styles()
        mapping.mean.lerp_(w.detach().mean((0, 1)), 1 - MEMORY)
        fakes = made(w)
        deceived = functional.softplus(-judged(fakes)).mean()
        _learn(makers_learn, deceived)
        if number % knobs.path_every == 0:
            w = styles()[::SPARED]
            drawn = made(w, SPARED)
            penalty, length = path(drawn, w, draw.normal(*drawn.shape[1:])[::SPARED])
            _learn(makers_learn, knobs.path * knobs.path_every * penalty)
            path.mean.lerp_(length, path.decay)
        judge.requires_grad_(True)

        real = functional.softplus(-judged(pictures)).mean()
        loss = real + functional.softplus(judged(fakes.detach())).mean()
        _learn(judge_learns, loss)
        if number % knobs.penalty_every == 0:
            _learn(judge_learns, knobs.gamma * knobs.penalty_every * r1(judged, pictures))

        seen += len(pictures)
        _follow(averages, len(pictures), min(knobs.half_life, RAMP * seen))
        yield {"discriminator": loss.detach(), "generator": deceived.detach()}


def sphereface(
    recipe: Recipe, batches: Iterable[Batch], device: torch.device, draws: Callable[[int], Draws]
) -> Iterator[Losses]:
    """SphereFace with a teacher: A-Softmax on names, descriptors and who is near whom."""
    knobs = recipe.config
    torch.manual_seed(knobs.seed)
    networks = {name: network.to(device) for name, network in recipe.networks().items()}
    encoder, people, teacher = (networks[name] for name in ("encoder", "people", "teacher"))
    encoder.to(memory_format=torch.channels_last)
    average = copy.deepcopy(encoder).eval().requires_grad_(False)
    parameters = [each for network in (encoder, people, teacher) for each in network.parameters()]
    weights, rest = ([each for each in parameters if (each.ndim > 1) == wide] for wide in (True, False))
    learn = torch.optim.AdamW([{"params": weights}, {"params": rest, "weight_decay": 0.0}], weight_decay=knobs.decay)
    seen, warm_up = 0, min(knobs.warm_up, knobs.images // 2)
    for number, batch in enumerate(batches):
        labels, descriptors = batch["label"].to(device), batch["descriptor"].to(device)
        faces = pixels_to_faces(batch["image"].to(device)).contiguous(memory_format=torch.channels_last)
        features = encoder(faces)

        named = labels >= 0
        cosines, lengths = people(features[named])
        rows, whose = torch.arange(len(cosines), device=device), labels[named]
        own = cosines[rows, whose]
        sector = (4 * own.detach().acos() / math.pi).floor().clamp(max=3)
        steeper = (1 - 2 * (sector % 2)) * (8 * own**4 - 8 * own**2 + 1) - 2 * sector
        ease = max(5.0, 1500 / (1 + 0.1 * number))
        logits = cosines.index_put((rows, whose), (steeper + ease * own) / (1 + ease)) * lengths
        identity = functional.cross_entropy(logits, whose, reduction="sum") / len(features)

        descriptor = 1 - functional.cosine_similarity(teacher(features), descriptors).mean()
        unit, wanted = functional.normalize(features), functional.normalize(descriptors)
        difference = unit @ unit.T - wanted @ wanted.T
        others = ~torch.eye(len(features), dtype=torch.bool, device=device)
        relational = (difference[others].square().mean() + 1e-12).sqrt()

        total = knobs.identity * identity + knobs.descriptor * descriptor + knobs.relational * relational
        rising = (seen + 1) / (warm_up + 1)
        falling = 0.5 * (1 + math.cos(math.pi * (seen - warm_up) / (knobs.images - warm_up)))
        for group in learn.param_groups:
            group["lr"] = knobs.rate * (rising if seen < warm_up else falling)
        learn.zero_grad()
        total.backward()
        nn.utils.clip_grad_norm_(parameters, knobs.clip)
        learn.step()

        seen += len(faces)
        _follow([(average, encoder)], len(faces), min(knobs.half_life, RAMP * seen))
        yield {"faces": total.detach()}


LOOPS: dict[str, Loop] = {"ugatit": ugatit, "stylegan2": stylegan2, "sphereface": sphereface}


def _learn(optimiser: torch.optim.Optimizer, loss: Tensor) -> None:
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()


def _lazy(parameters: Iterable[nn.Parameter], rate: float, every: int) -> torch.optim.Adam:
    share = every / (every + 1)
    return torch.optim.Adam(parameters, rate * share, (0.0, 0.99**share))


def _l1(left: Tensor, right: Tensor) -> Tensor:
    return (left - right).abs().mean()


def _is(logits: Tensor, domain: float) -> Tensor:
    return functional.binary_cross_entropy_with_logits(logits, torch.full_like(logits, domain))


@torch.no_grad()
def _follow(pairs: Sequence[tuple[nn.Module, nn.Module]], images: int, half_life: float) -> None:
    for average, network in pairs:
        for mean, parameter in zip(average.parameters(), network.parameters(), strict=True):
            mean.lerp_(parameter, 1 - 0.5 ** (images / half_life))
        for copied, buffer in zip(average.buffers(), network.buffers(), strict=True):
            copied.copy_(buffer)
