import pytest
import torch

from training.losses.distillation import descriptor_loss, neighbour_loss, relational_loss


def test_the_direction_of_a_descriptor_is_what_counts():
    """0 for the same direction at any length, 1 for a right angle, 2 for the opposite."""
    teacher = torch.tensor([[1.0, 0], [0, 2]])
    assert descriptor_loss(3 * teacher, teacher).item() == pytest.approx(0)
    assert descriptor_loss(teacher.flip(1), teacher).item() == pytest.approx(1)
    assert descriptor_loss(-teacher, teacher).item() == pytest.approx(2)


def test_relations_ignore_rotations_and_dimensions():
    """Rotated, scaled and padded with zeros, a batch has the same relations; shuffled it has others."""
    torch.manual_seed(0)
    teacher = torch.randn(6, 4, dtype=torch.float64)
    rotation = torch.linalg.qr(torch.randn(4, 4, dtype=torch.float64)).Q
    student = torch.cat([5 * teacher @ rotation, torch.zeros(6, 3)], dim=1)
    assert relational_loss(student, teacher).item() == pytest.approx(0, abs=1e-5)
    assert relational_loss(student[torch.randperm(6)], teacher) > 0.1


def test_relations_that_are_right_or_of_nobody_have_finite_gradients():
    """A student who agrees with the teacher, and a batch of one row, learn nothing; the root at 0 would give NaN."""
    for rows in (1, 4):
        student = torch.eye(4)[:rows].requires_grad_()
        loss = relational_loss(student, student.detach())
        loss.backward()
        assert loss.item() == pytest.approx(0, abs=1e-5) and torch.isfinite(student.grad).all()


def test_relations_have_a_known_value():
    """Two students alike, two teachers at a right angle: both off-diagonal cosines are off by one."""
    assert relational_loss(torch.ones(2, 3), torch.eye(2)).item() == pytest.approx(1)


def test_neighbours_are_a_distribution_at_a_temperature():
    """0 for the same relations whatever the space; a known divergence; finite and pulling the right way."""
    torch.manual_seed(0)
    teacher = torch.randn(6, 4, dtype=torch.float64)
    rotation = torch.linalg.qr(torch.randn(4, 4, dtype=torch.float64)).Q
    assert neighbour_loss(5 * teacher @ rotation, teacher).item() == pytest.approx(0, abs=1e-9)
    # Cosines of each row with the two others: the teacher's 1 and 0 or 0 and 0, the student's all 1.
    rows = torch.tensor([[1.0, 0], [1, 0], [0, 1]])
    odds = torch.tensor([torch.e, 1.0])
    share = odds / odds.sum()
    expected = 2 * (share * (share / 0.5).log()).sum() / 3
    assert neighbour_loss(torch.ones(3, 2), rows, 1.0).item() == pytest.approx(expected.item(), rel=1e-5)
    student = torch.randn(6, 3, requires_grad=True)
    before = neighbour_loss(student, teacher.float())
    before.backward()
    after = neighbour_loss(student.detach() - 0.1 * student.grad, teacher.float())
    assert torch.isfinite(student.grad).all() and after < before


def test_a_high_temperature_compares_cosines():
    """The divergence tends to half the mean variance of the differences of cosines (Hinton et al. 2015, eq. 4)."""
    torch.manual_seed(0)
    student, teacher = torch.randn(8, 4, dtype=torch.float64), torch.randn(8, 5, dtype=torch.float64)
    cosines = [rows / rows.norm(dim=1, keepdim=True) for rows in (student, teacher)]
    difference = cosines[0] @ cosines[0].T - cosines[1] @ cosines[1].T
    others = ~torch.eye(8, dtype=torch.bool)
    expected = 0.5 * difference[others].reshape(8, 7).var(dim=1, correction=0).mean()
    assert neighbour_loss(student, teacher, 1e3).item() == pytest.approx(expected.item(), rel=1e-2)
