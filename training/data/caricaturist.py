"""The geometry of caricature: a face's deviation from the mean face, multiplied, as a smooth warp that cannot fold.

Artists multiply a person's log-deviation from the mean face by about two (208 people of WebCaricature; corrected for
the noise of photos, by 2.0 to 2.2), and three quarters of what they move is left-right symmetric (101 AutoToon
warps). What is not symmetric in one photo is mostly pose, so it is exaggerated less.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from export.alignment import apply, similarity
from training.data.portraits import MIRROR

FACTOR = 2.75  # what strength 1 multiplies a small deviation by
TILT_SHARE = 0.5  # the share of the exaggeration that the asymmetric part gets
EXPRESSION_SHARE = (
    0.15  # the share that the mouth's own shape gets: a smile is of the moment, place and width are the person's
)
EASING = 1.2  # how soon more strength adds less
COMPONENTS = 28  # shape components that are exaggerated; the rest is the landmark network's noise
CODE_SIZE = 8  # numbers of a warp code, each for one of the first shape components
CODE_REACH = 2.0  # beyond it a number of a code says no more
CODE_STEP = 0.5  # how far a number of one standard deviation changes its component, as a logarithm
STEPS = 8  # Euler steps of the flow from face to caricature; each is too small to fold
STIFFNESS = 2e-3  # regularises the thin-plate spline: neighbouring points may disagree a little instead of tearing
REACH = 0.75  # how far beyond the landmarks, in face radii, the head still follows the face


@dataclass(frozen=True)
class FaceSpace:
    """Faces as deviations from their mean, in pixels of the frame."""

    mean: np.ndarray  # [68, 2], exactly symmetric
    components: np.ndarray  # [K, 136] principal directions, closed under mirroring
    deviations: np.ndarray  # [K] standard deviation along each
    habit: np.ndarray  # [68, 2] what artists do to every face
    expression: np.ndarray  # [2, 136] how faces move as mouth corners rise and lips part, by pixels of `mouth`
    factor: float = FACTOR

    @classmethod
    def load(cls, packed: Path) -> "FaceSpace":
        """The space of the packed training faces and the artists' habit."""
        with np.load(packed / "train.npz") as train, np.load(packed / "artists.npz") as artists:
            return cls.fit(train["landmarks"], artists["before"], artists["after"])

    @classmethod
    def fit(cls, landmarks: np.ndarray, before: np.ndarray, after: np.ndarray, side: int = 256) -> "FaceSpace":
        """Procrustes mean and PCA of faces [N, 68, 2] and their mirror images; habit of artists [M, 68, 2]."""
        faces = landmarks.astype(float)
        faces = np.concatenate([faces, mirrored(faces, side)])
        mean = faces.mean(0)
        for _ in range(3):
            fitted = np.stack([apply(similarity(face, mean), face) for face in faces])
            mean = fitted.mean(0)
        flat = (fitted - mean).reshape(len(faces), -1)
        mouths = mouth(fitted) - mouth(mean)
        expression = np.linalg.lstsq(mouths, flat, rcond=None)[0]
        _, singular, directions = np.linalg.svd(flat - mouths @ expression, full_matrices=False)
        spread = singular[:COMPONENTS] / np.sqrt(len(faces))
        return cls(mean, directions[:COMPONENTS], spread, habit(before, after, mean, side), expression)

    def deviation(self, face: np.ndarray, code: np.ndarray | None = None, side: int = 256) -> np.ndarray:
        """What is particular about a face [68, 2]: pixels of the frame, without place, expression and noise.

        A warp code [8] says of each of the first components how far it counts: 1 at 0, 1.65 at 1, .61 at -1.
        """
        to_mean = similarity(face, self.mean)
        fitted = apply(to_mean, face)
        flat = (fitted - self.mean).reshape(-1) - (mouth(fitted) - mouth(self.mean)) @ self.expression
        coefficients = flat @ self.components.T
        if code is not None:
            coefficients[:CODE_SIZE] *= np.exp(CODE_STEP * np.clip(code, -CODE_REACH, CODE_REACH))
        own = (coefficients @ self.components).reshape(68, 2)
        other = mirrored(own[None] + self.mean, side)[0] - self.mean
        even, odd = (own + other) / 2, (own - other) / 2
        return calm_mouth(even + TILT_SHARE * odd, self.mean) @ np.linalg.inv(to_mean[:, :2]).T

    def law(self) -> "FaceSpace":
        """The same without the artists' habit: deviations alone are exaggerated."""
        return replace(self, habit=np.zeros_like(self.habit))

    def artists(self) -> "FaceSpace":
        """The same without the law: every face is moved alike, as artists do on average."""
        return replace(self, factor=1.0)

    def displacement(self, face: np.ndarray, strength: float = 1.0, code: np.ndarray | None = None) -> np.ndarray:
        """How far a strength moves each landmark [68, 2], pixels: by a velocity, for as long as the strength says."""
        to_face = np.linalg.inv(similarity(face, self.mean)[:, :2])
        velocity = (self.factor - 1) * self.deviation(face, code) + self.habit @ to_face.T
        return drifted(face, velocity, ease(strength))


def mouth(faces: np.ndarray) -> np.ndarray:
    """How far the mouth's corners are raised and the lips part, pixels [..., 2], of faces [..., 68, 2]."""
    top, bottom = faces[..., 62, 1], faces[..., 66, 1]
    return np.stack([(top + bottom - faces[..., 48, 1] - faces[..., 54, 1]) / 2, bottom - top], -1)


def ease(strength: float) -> float:
    """Displacement of a strength in units of strength 1, ever gentler: 0 at 0, 1 at 1, 1.30 at 2, 1.39 at 3."""
    return float(np.expm1(-EASING * strength) / np.expm1(-EASING))


def habit(before: np.ndarray, after: np.ndarray, mean: np.ndarray, side: int = 256) -> np.ndarray:
    """The mean move [68, 2] from photos to artists' caricatures [M, 68, 2], made symmetric, in the mean's frame."""
    moves = [
        apply(similarity(new, mean), new) - apply(similarity(old, mean), old)
        for old, new in zip(before, after, strict=True)
    ]
    move = np.mean(moves, 0)
    return (move + mirrored(move[None] + mean, side)[0] - mean) / 2


def artists_slope(space: FaceSpace, before: np.ndarray, after: np.ndarray) -> float:
    """Slope of the artists' moves on the deviations of the faces [M, 68, 2], both less their means: 1 would double."""
    deviations = np.stack([apply(similarity(face, space.mean), face) - space.mean for face in before])
    moves = np.stack([apply(similarity(face, space.mean), face) - space.mean for face in after]) - deviations
    deviations, moves = deviations - deviations.mean(0), moves - moves.mean(0)
    return float((deviations * moves).sum() / (deviations * deviations).sum())


def calm_mouth(deviation: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """The deviation [68, 2] with the mouth's own shape damped; its place, width and slant stay."""
    mouth = slice(48, 68)
    moved = mean[mouth] + deviation[mouth]
    rigid = apply(similarity(mean[mouth], moved), mean[mouth])
    calm = deviation.copy()
    calm[mouth] = rigid - mean[mouth] + EXPRESSION_SHARE * (moved - rigid)
    return calm


def mirrored(faces: np.ndarray, side: int = 256) -> np.ndarray:
    """Faces [N, 68, 2] as in a mirrored picture of the given side."""
    flipped = faces[:, MIRROR].copy()
    flipped[..., 0] = side - 1 - flipped[..., 0]
    return flipped


def drifted(face: np.ndarray, velocity: np.ndarray, time: float, side: int = 256) -> np.ndarray:
    """How far landmarks [68, 2] come in a time, each by the velocity of the place where it is.

    What stands at a landmark's place moves with that landmark's velocity, whenever it comes there. So a distance is
    multiplied alike in equal times: a long nose grows as artists let it grow, and a short one is never used up.
    """
    knots, velocities = tied(face, velocity, side)
    at = face
    for _ in range(STEPS):
        at = at + spline(knots, velocities, at, side) * time / STEPS
    return at - face


def tied(points: np.ndarray, moves: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Points [N, 2] and their moves, and the picture's edge, which stays where it is."""
    anchors = frame_anchors(side)
    return np.concatenate([points, anchors]), np.concatenate([moves, np.zeros_like(anchors)])


def frame_anchors(side: int, count: int = 9) -> np.ndarray:
    """Points along the picture's edge that stay where they are [4 * (count - 1), 2]."""
    edge = np.linspace(0, side - 1, count)
    sides = [(x, y) for x in edge for y in (0, side - 1)] + [(x, y) for y in edge[1:-1] for x in (0, side - 1)]
    return np.array(sides)


def skull(face: np.ndarray) -> np.ndarray:
    """Where forehead and hair stand [5, 2], guessed from 68 landmarks: eyes lifted by shares of the face's height."""
    eyes = (face[36:42].mean(0) + face[42:48].mean(0)) / 2
    up = eyes - face[8]
    across = face[16] - face[0]
    return np.stack(
        [
            eyes + up * lift + across * at
            for lift, at in ((0.35, -0.5), (0.62, -0.3), (0.72, 0), (0.62, 0.3), (0.35, 0.5))
        ]
    )


def flow(face: np.ndarray, displacement: np.ndarray, side: int = 256, cells: int = 32) -> np.ndarray:
    """Backward map of the warp that carries landmarks by a displacement: source pixels [cells, cells, 2] of each cell.

    Forehead and hair follow the landmarks.
    """
    crown = skull(face)
    crown_move = skull(face + displacement) - crown
    return carried(np.concatenate([face, crown]), np.concatenate([displacement, REACH * crown_move]), side, cells)


def carried(start: np.ndarray, move: np.ndarray, side: int = 256, cells: int = 32) -> np.ndarray:
    """Backward map of the warp that carries points [N, 2]: source pixels [cells, cells, 2] of each cell.

    The points travel on straight lines; at each moment a thin-plate spline spreads their velocity over the plane,
    and the cells are carried back against it, step by step. Every step is near the identity, so their composition
    does not fold.
    """
    centres = (np.arange(cells) + 0.5) * side / cells - 0.5
    at = np.stack(np.meshgrid(centres, centres), -1).reshape(-1, 2)
    for step in range(STEPS, 0, -1):
        knots, velocities = tied(start + move * (step - 0.5) / STEPS, move, side)
        at = at - spline(knots, velocities, at, side) / STEPS
    return at.reshape(cells, cells, 2)


def spline(knots: np.ndarray, values: np.ndarray, at: np.ndarray, side: int) -> np.ndarray:
    """Smoothing thin-plate spline through values [N, 2] at knots [N, 2], at points [M, 2] (Bookstein 1989)."""
    knots, at = knots / side, at / side
    count = len(knots)
    system = np.zeros((count + 3, count + 3))
    system[:count, :count] = bending(knots, knots) + STIFFNESS * np.eye(count)
    system[:count, count:] = np.column_stack([np.ones(count), knots])
    system[count:, :count] = system[:count, count:].T
    weights = np.linalg.solve(system, np.concatenate([values, np.zeros((3, 2))]))
    return bending(at, knots) @ weights[:count] + np.column_stack([np.ones(len(at)), at]) @ weights[count:]


def bending(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The kernel r^2 log r between points [M, 2] and [N, 2]."""
    squared = (a[:, None, 0] - b[None, :, 0]) ** 2 + (a[:, None, 1] - b[None, :, 1]) ** 2
    return 0.5 * squared * np.log(squared + 1e-12)
