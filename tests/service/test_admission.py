"""service.admission: places and memory are bounded and given back."""

import pytest

from service.admission import Admission, Memory
from service.errors import Overloaded


def test_admission_is_bounded_and_gives_places_back() -> None:
    """No more than the limit is inside at a time, however its guests leave."""
    admission = Admission(1)
    with admission, pytest.raises(Overloaded), admission:
        pass
    with pytest.raises(KeyError), admission:
        raise KeyError
    with admission:
        pass


def test_memory_is_bounded_and_given_back() -> None:
    """What does not fit beside what is held is refused and takes nothing; what is released fits again."""
    memory = Memory(100)
    with memory.held(60):
        with pytest.raises(Overloaded), memory.held(41):
            pass
        with memory.held(40):
            pass
    with pytest.raises(KeyError), memory.held(100):
        raise KeyError
    with memory.held(100):
        pass
