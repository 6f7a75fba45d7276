"""Where hair begins and ends in a portrait, along rays from the middle of the face; found without a network.

A ray that leaves the face passes skin, then perhaps hair, then what is behind. Colours are told apart by histograms
that begin with where skin, hair and background usually are, and are sharpened by expectation and maximisation; the two
borders of all rays together are the cheapest ones that change little from ray to ray (dynamic programming), so that
hair is never torn, has no holes, and may be nowhere.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from export.alignment import Image

TURN = 150.0  # degrees from upwards to the last ray on either side
RAYS = 75
STEP = 2.5  # pixels between two places on a ray
PLACES = 66
BINS = 24  # of each axis of a histogram of colours
FLOOR = 0.03  # share of any colour in any class: a surprise is no proof
ROUNDS = 4  # of expectation and maximisation
JAW = 105.0  # degrees from which on the face ends with the jaw
REACH = 3  # places by which a border may change from ray to ray
STIFFNESS = 0.35, 0.25  # what that costs per squared place, inner and outer
EDGE = 2.5  # what an edge saves a border

SHADE = 0.35, 1, 1  # how far lightness, a* and b* tell hair from skin
BARE = 12.0  # how near hair must be to skin to be none, so weighed
FRINGE = 7.0  # how much nearer than at the sides
THIN = 7.0  # pixels of hair that count as none

SKIN, HAIR, OUTSIDE = range(3)
# Where borders usually are: degrees from upwards, pixels of inner and outer.
USUAL = np.array(
    [
        (0, 68, 103),
        (30, 68, 102),
        (55, 68, 95),
        (75, 67, 84),
        (90, 68, 78),
        (105, 70, 76),
        (120, 76, 80),
        (135, 86, 88),
        (150, 96, 97),
    ],
    float,
)

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Head:
    """The borders of hair in a photo."""

    centre: Array
    """Between the eyes and the tip of the nose, [2], pixels."""
    angles: Array
    """Of the rays, from upwards to the right of the picture, radians [R]."""
    inner: Array
    """Where skin ends on each ray, pixels [R]."""
    outer: Array
    """Where the head ends, at least `inner`; there is hair between the two."""

    @property
    def directions(self) -> Array:
        """Of the rays, unit vectors [R, 2]."""
        return np.stack([np.sin(self.angles), -np.cos(self.angles)], -1)


def head(photo: Image, landmarks: Array) -> Head:
    """The borders of hair in a photo uint8 [256, 256, 3] RGB with 68 landmarks in its pixels."""
    centre = landmarks[27:30].mean(0)
    angles = np.radians(np.linspace(-TURN, TURN, RAYS))
    directions = np.stack([np.sin(angles), -np.cos(angles)], -1)
    places = centre + STEP * np.arange(PLACES)[:, None] * directions[:, None]
    at = places.astype(np.float32)
    seen = ((places >= 0) & (places <= np.array(photo.shape[1::-1]) - 1)).all(-1)
    calm = cv2.medianBlur(photo, 5)
    lab = cv2.cvtColor(calm.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    colours = cv2.remap(lab, at[..., 0], at[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    jaw = jaw_radius(landmarks, centre, directions)
    prior = usual(angles, jaw)
    plain = plain_skin(landmarks, photo.shape[:2])
    plain = cv2.remap(plain, at[..., 0], at[..., 1], cv2.INTER_NEAREST) > 0
    radius = STEP * np.arange(PLACES)
    inside = radius < 0.8 * np.minimum(jaw, 60)[:, None]
    belief = prior.copy()
    for _ in range(ROUNDS):
        weights = belief * seen[..., None] * radius[:, None]
        weights[inside] = 0
        weights[plain] = np.eye(3)[SKIN] * radius.mean()
        likely = np.stack([likelihood(colours, weights[..., each]) for each in range(3)], -1)
        belief = prior * likely
        belief /= belief.sum(-1, keepdims=True)
    scores = np.log(likely) * seen[..., None] + 0.5 * np.log(prior)
    scores[inside] = np.log([0.98, 0.01, 0.01])
    inner, outer = borders(scores, outward_edges(colours), jaw, angles)
    bare = baldness(colours, inner, outer, np.median(colours[plain], 0))
    return Head(centre, angles, STEP * (inner + bare * (outer - inner)), STEP * outer)


def baldness(colours: Array, inner: NDArray[np.int64], outer: NDArray[np.int64], skin: Array) -> Array:
    """How far what was taken for hair is a bald head, 0..1 [R].

    It is where the top has the colour of skin [3], be it in the shade, and the sides have it less: fair hair is alike
    everywhere.
    """
    apart = np.full(len(colours), np.nan)
    for ray, (first, last) in enumerate(zip(inner, outer, strict=True)):
        if last > first + 2:
            tone = np.median(colours[ray, first + (last - first) // 3 : last], 0)
            apart[ray] = np.linalg.norm((tone - skin) * SHADE)
    turns = np.abs(np.linspace(-TURN, TURN, len(colours)))
    top, sides = (
        np.append(apart[part][~np.isnan(apart[part])], 0) for part in (turns < 40, (turns > 45) & (turns < 75))
    )
    bald = np.median(top) < BARE and np.median(sides) > np.median(top) + FRINGE
    return np.asarray(bald / (1 + np.exp((turns - 48) / 4)))


def jaw_radius(landmarks: Array, centre: Array, directions: Array) -> Array:
    """How far the jaw is on each ray [R], pixels; on rays that meet none, as far as the nearest end of it."""
    jaw = landmarks[:17] - centre
    turns = np.unwrap(np.arctan2(jaw[:, 0], -jaw[:, 1])[::-1])[::-1]
    turns = np.mod(turns, 2 * np.pi)  # from up to the right all around: the jaw goes from left (3/2 pi) to right
    wanted = np.mod(np.arctan2(directions[:, 0], -directions[:, 1]), 2 * np.pi)
    order = np.argsort(turns)
    return np.interp(wanted, turns[order], np.linalg.norm(jaw, axis=1)[order])


def usual(angles: Array, jaw: Array) -> Array:
    """Of each class where it usually is [R, PLACES, 3]."""
    turns = np.abs(np.degrees(angles))
    inner, outer = (np.interp(turns, USUAL[:, 0], USUAL[:, column])[:, None] for column in (1, 2))
    radius = STEP * np.arange(PLACES)
    skin = 1 / (1 + np.exp((radius - inner) / 6))
    outside = 1 / (1 + np.exp((outer - radius) / 8))
    # Long hair hangs down beside the jaw.
    far = outer + np.interp(turns, (90, 150), (25, 70))[:, None]
    hair = np.clip(1 - skin - outside, 0, 1) + 0.25 / (1 + np.exp((radius - far) / 8)) * (1 - skin)
    found = np.stack([skin, hair, outside], -1) + 0.01
    return found / found.sum(-1, keepdims=True)


def plain_skin(landmarks: Array, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Cheeks, nose and lower forehead, where there is skin and no hair [H, W], 0 or 1."""
    mask = np.zeros(shape, np.uint8)
    for cheek in cheeks(landmarks, 0.75):
        cv2.fillPoly(mask, [np.round(cheek).astype(np.int32)], 1)
    cv2.fillConvexPoly(mask, cv2.convexHull(np.round(landmarks[[27, 31, 33, 35, 21, 22]]).astype(np.int32)), 1)
    return mask


def cheeks(landmarks: Array, share: float) -> list[Array]:
    """Polygons between eye, nose, mouth and jaw on both sides, made smaller."""
    sides = ((2, 3, 48, 31, 39, 41, 36), (14, 13, 54, 35, 42, 46, 45))
    return [smaller(landmarks[list(side)], share) for side in sides]


def smaller(points: Array | list[Array], share: float) -> Array:
    """A polygon about its own middle."""
    around = np.asarray(points)
    return np.asarray(around.mean(0) + share * (around - around.mean(0)))


def likelihood(colours: Array, weights: Array) -> Array:
    """How likely each colour [R, PLACES, 3], CIE Lab, is in a class that is where the weights [R, PLACES] are."""
    ranges = np.array([[0, 100], [-40, 60], [-60, 60]])
    bins = (colours - ranges[:, 0]) / (ranges[:, 1] - ranges[:, 0]) * BINS - 0.5
    bins = np.clip(np.round(bins).astype(int), 0, BINS - 1)
    flat = np.ravel_multi_index(tuple(np.moveaxis(bins, -1, 0)), (BINS,) * 3)
    histogram = np.bincount(flat.ravel(), weights.ravel(), BINS**3).reshape((BINS,) * 3)
    for axis in range(3):
        histogram = smooth(histogram, axis)
    histogram /= histogram.sum() + 1e-9
    return histogram.ravel()[flat] * (1 - FLOOR) + FLOOR * 1e-3


def smooth(values: Array, axis: int) -> Array:
    """Blurred by 1, 4, 6, 4, 1 along an axis."""
    padded = np.pad(values, [(2, 2) if each == axis else (0, 0) for each in range(values.ndim)])
    parts = np.lib.stride_tricks.sliding_window_view(padded, 5, axis)
    return np.asarray(parts @ (np.array([1, 4, 6, 4, 1]) / 16))


def calm(values: Array, sigma: float) -> Array:
    """Values [R] blurred along the rays."""
    reach = int(3 * sigma)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    return np.convolve(np.pad(values, reach, "edge"), kernel / kernel.sum(), "valid")


def outward_edges(colours: Array) -> Array:
    """How strong an edge there is at each place of each ray [R, PLACES], 0..1."""
    blurred = cv2.GaussianBlur(colours, (0, 0), 0.7)
    step = np.zeros(colours.shape[:2])
    step[:, 1:-1] = np.linalg.norm(blurred[:, 2:] - blurred[:, :-2], axis=-1)
    return np.tanh(step / 25)


def borders(scores: Array, edges: Array, jaw: Array, angles: Array) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The cheapest inner and outer border [R] each, in places: Viterbi's algorithm over both at once."""
    total = np.concatenate([np.zeros((len(scores), 1, 3)), scores.cumsum(1)], 1)
    place = np.arange(PLACES)
    below = np.abs(np.degrees(angles)) > JAW
    costs = []
    for ray in range(len(scores)):
        skin, hair, outside = total[ray].T
        # up to a: skin, from a to b: hair, from b on: outside
        gain = (skin[:-1] - hair[:-1])[:, None] + (hair[:-1] - outside[:-1] + outside[-1])[None]
        cost = -0.3 * gain - EDGE * (edges[ray][:, None] * (place[:, None] < place[None]) + edges[ray][None])
        cost[place[:, None] > place[None]] = np.inf
        if below[ray]:
            end = round(jaw[ray] / STEP)
            cost[place != end] = np.inf
        costs.append(cost)
    best, came = costs[0], []
    for cost in costs[1:]:
        best, from_inner = cheapest(best, STIFFNESS[0], 0)
        best, from_outer = cheapest(best, STIFFNESS[1], 1)
        came.append((from_inner, from_outer))
        best = best + cost
    state = np.unravel_index(np.argmin(best), best.shape)
    found = [state]
    for from_inner, from_outer in reversed(came):
        outer = state[1] - from_outer[state]
        inner = state[0] - from_inner[state[0], outer]
        state = (inner, outer)
        found.append(state)
    inner, outer = np.array(found[::-1]).T
    return inner, outer


def cheapest(cost: Array, stiffness: float, axis: int) -> tuple[Array, NDArray[np.int64]]:
    """The least cost [A, B] after a step of up to REACH places along an axis, and which step that was."""
    best, which = cost.copy(), np.zeros(cost.shape, np.int64)
    source, into, steps = (np.moveaxis(each, axis, 0) for each in (cost, best, which))
    for step in (*range(-REACH, 0), *range(1, REACH + 1)):
        low, high = max(step, 0), len(source) + min(step, 0)
        offered = source[low - step : high - step] + stiffness * step * step
        better = offered < into[low:high]
        np.copyto(into[low:high], offered, where=better)
        np.copyto(steps[low:high], step, where=better)
    return best, which
