"""The warp's pieces: flows, masks of parts, strengths."""

import pytest
import torch

from export.alignment import SQUARE_256
from training.data.caricaturist import ease
from training.networks.warp import CELLS, FRAME, PARTS, Flow, eased, identity, part_masks


def test_masks_are_where_the_parts_are() -> None:
    """Whole at the template's points, nowhere more than whole together, never a jump, the eyes alike on both sides."""
    masks = part_masks()[0]
    cells = [tuple(round((value + 0.5) * CELLS / FRAME - 0.5) for value in point) for point in SQUARE_256.points]
    here = [dict(zip(PARTS, masks[:, y, x].tolist(), strict=True)) for x, y in cells]
    assert [face["eyes"] for face in here[:2]] == [1, 1] and here[2]["nose"] > 0.9
    assert all(corner["mouth"] > 0.9 for corner in here[3:])
    assert (masks[3, -4:] == 1).all() and not masks[:, :8].any()
    assert masks.min() >= 0 and masks.sum(0).max() <= 1
    assert all((masks - masks.roll(1, axis)).abs()[:, 1:, 1:].max() < 0.8 for axis in (1, 2))


def test_a_flow_is_undone_by_its_negative() -> None:
    """exp(v) after exp(-v) is the identity up to the grid's resolution."""
    flow = Flow()
    y, x = torch.meshgrid(torch.linspace(-1, 1, 32), torch.linspace(-1, 1, 32), indexing="ij")
    bump = torch.exp(-4 * (x**2 + y**2)) * 0.15
    velocity = torch.stack([bump, -bump])[None]
    there, back = flow(velocity), flow(-velocity)
    at = (identity(32) + back).permute(0, 2, 3, 1)
    round_trip = back + torch.nn.functional.grid_sample(there, at, padding_mode="border", align_corners=False)
    assert round_trip.abs().max() < 0.01 < there.abs().max()


def test_a_smooth_strong_flow_does_not_fold() -> None:
    """Scaling and squaring keeps the Jacobian positive even for a flow of a quarter of the frame."""
    y, x = torch.meshgrid(torch.linspace(-1, 1, 32), torch.linspace(-1, 1, 32), indexing="ij")
    bump = torch.exp(-6 * (x**2 + y**2)) * 0.5
    place = (identity(32) + Flow()(torch.stack([bump, bump])[None]))[0]
    across, down = place[:, :-1, 1:] - place[:, :-1, :-1], place[:, 1:, :-1] - place[:, :-1, :-1]
    assert (across[0] * down[1] - across[1] * down[0]).min() > 0


def test_eased_strength_matches_the_caricaturist() -> None:
    """The network's time is the teacher's ease."""
    for strength in (0.0, 0.7, 1.0, 2.5):
        assert eased(torch.tensor([strength])).item() == pytest.approx(ease(strength), abs=1e-6)
