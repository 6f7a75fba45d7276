"""training.losses.identity: it falls as faces become more alike, each by itself."""

import torch

from training.losses.identity import identity_hinge, similarity

ORIGINAL = torch.eye(4)


def turned(angles: list[float]) -> torch.Tensor:
    """ORIGINAL's rows, each turned by an angle towards the next one."""
    radians = torch.tensor(angles)[:, None]
    return radians.cos() * ORIGINAL + radians.sin() * ORIGINAL.roll(-1, 0)


def test_it_falls_as_faces_become_more_alike() -> None:
    """From what is asked for down to 0, and not the other way round, as SATNet's text has it."""
    losses = [identity_hinge(similarity(turned([angle] * 4), ORIGINAL), 0.5).item() for angle in (1.5, 1.2, 1.05, 0.5)]
    assert losses[0] > losses[1] > losses[2] >= losses[3] == 0


def test_each_face_is_compared_with_its_own() -> None:
    """SATNet's cosine was of the whole batch in one vector, where a face that is lost hides among those that are not.

    Lengths do not count either: in one vector the longest face would be nearly all of it.
    """
    made = turned([0.0, 0.0, 0.0, 1.5])
    cosine = similarity(made * torch.tensor([100.0, 1, 1, 1])[:, None], ORIGINAL)
    assert torch.allclose(cosine, torch.tensor([0.0, 0, 0, 1.5]).cos(), atol=1e-5)
    assert identity_hinge(cosine, 0.2875) > 0
    flat = similarity(made.reshape(1, -1), ORIGINAL.reshape(1, -1))
    assert identity_hinge(flat, 0.2875) == 0


def test_who_is_recognised_is_left_alone() -> None:
    """Beyond the threshold there is no gradient, before it there is one for that face alone; none is infinite at 0."""
    made = turned([0.1, 1.5, 1.0, 0.2]).requires_grad_()
    identity_hinge(similarity(made, ORIGINAL), 0.2875).backward()
    assert [bool(row.any()) for row in made.grad] == [False, True, False, False]
    nothing = torch.zeros(1, 4, requires_grad=True)
    identity_hinge(similarity(nothing, ORIGINAL[:1]), 0.2875).backward()
    assert torch.isfinite(nothing.grad).all()
