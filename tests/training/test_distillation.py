import pytest
import torch

from training.losses.distillation import descriptor_loss, relational_loss


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
    assert relational_loss(student, teacher).item() == pytest.approx(0, abs=1e-9)
    assert relational_loss(student[torch.randperm(6)], teacher) > 0.1


def test_relations_have_a_known_value():
    """Two students alike, two teachers at a right angle: both off-diagonal cosines are off by one."""
    assert relational_loss(torch.ones(2, 3), torch.eye(2)).item() == pytest.approx(1)
