"""training.engine.clock: everything follows from the images seen."""

import pytest

from training.engine.clock import Growth, Size, due, half_cosine, linear_decay, steps_down


def test_something_is_due_when_its_interval_is_passed() -> None:
    """Also where a step jumps over the exact number; never at intervals of 0."""
    assert due(96, 104, 100) and due(90, 100, 100) and due(0, 350, 100)
    assert not due(100, 104, 100) and not due(0, 99, 100) and not due(0, 1000, 0)


def test_schedules_at_known_places() -> None:
    """Linear decay, half a cosine after its rise, and steps."""
    decay = linear_decay(100, 300)
    assert [decay(seen) for seen in (0, 100, 200, 300, 400)] == [1, 1, 0.5, 0, 0]
    cosine = half_cosine(110, warm_up=10)
    assert cosine(0) == pytest.approx(1 / 11) and cosine(10) == 1
    assert cosine(60) == pytest.approx(0.5) and cosine(110) == pytest.approx(0)
    steps = steps_down((10, 20))
    assert [steps(seen) for seen in (0, 9, 10, 19, 20)] == pytest.approx([1, 1, 0.1, 0.1, 0.01])


def test_growth_is_a_function_of_images() -> None:
    """Held, faded in, held: the fade ends where the next hold begins, and the last size stays."""
    growth = Growth(start=4, end=16, hold=100, fade=50)
    assert growth.at(0) == growth.at(99) == Size(4, 1)
    assert growth.at(100).resolution == 8 and 0 < growth.at(100).alpha < growth.at(149).alpha < 1
    assert growth.at(150) == growth.at(249) == Size(8, 1)
    assert growth.at(250).resolution == 16 and growth.at(300) == growth.at(10**9) == Size(16, 1)
    assert growth.arrivals == (100, 250)
