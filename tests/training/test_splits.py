"""training.data.splits: parts that share nobody."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.data.errors import DataError
from training.data.sources import Picture
from training.data.splits import REST, by_list, by_share

PERSONS = st.lists(st.sampled_from(["", *(f"p{number}" for number in range(12))]), min_size=1, max_size=60)
SHARES = st.dictionaries(st.sampled_from(["test", "val", "other"]), st.floats(0.01, 0.33), min_size=1, max_size=3)


def pictures(persons: list[str]) -> list[Picture]:
    """A picture of each."""
    return [Picture(Path(f"{number}.png"), person=person) for number, person in enumerate(persons)]


@given(PERSONS, SHARES, st.integers(0, 5))
def test_nobody_is_in_two_parts(persons: list[str], shares: dict[str, float], seed: int) -> None:
    """Whoever there is and whatever the shares; no part is empty; shares are met within one person."""
    identities = len({person for person in persons if person}) + persons.count("")
    if identities <= len(shares):
        with pytest.raises(DataError, match="as many persons"):
            by_share(pictures(persons), shares, seed)
        return
    parts = by_share(pictures(persons), shares, seed)
    assert set(parts) == {*shares, REST}
    homes = {(person or number): set() for number, person in enumerate(persons)}
    for number, (person, part) in enumerate(zip(persons, parts, strict=True)):
        homes[person or number].add(part)
    assert all(len(home) == 1 for home in homes.values())
    for part, share in shares.items():
        count = sum(part in home for home in homes.values())
        assert abs(count - share * identities) <= 1


def test_a_split_is_the_same_again() -> None:
    """Whatever the order of the pictures; another seed gives another one."""
    persons = [f"p{number % 20}" for number in range(60)]
    forwards = dict(zip(persons, by_share(pictures(persons), {"test": 0.5}), strict=True))
    backwards = dict(zip(persons[::-1], by_share(pictures(persons[::-1]), {"test": 0.5}), strict=True))
    assert forwards == backwards
    assert forwards != dict(zip(persons, by_share(pictures(persons), {"test": 0.5}, seed=1), strict=True))


def test_one_person_cannot_be_divided() -> None:
    """Who it is, is said."""
    with pytest.raises(DataError, match=r"2 parts .* persons, not 1; all are of 'Ada'"):
        by_share(pictures(["Ada", "Ada"]), {"test": 0.5})


@pytest.mark.parametrize("shares", [{"test": 0.0}, {"test": 1.0}, {"test": 0.5, "val": 0.5}])
def test_shares_leave_a_rest(shares: dict[str, float]) -> None:
    """And are shares."""
    with pytest.raises(DataError, match="above 0 and together below 1"):
        by_share(pictures(["Ada", "Bo", "Cy"]), shares)


def test_lists_say_who_is_where() -> None:
    """Whoever is in none is in the rest; nobody may be in two, and no part may be empty."""
    three = pictures(["Ada", "Bo", "Ada", ""])
    assert by_list(three, {"test": frozenset({"Ada", "Zoe"})}) == ["test", REST, "test", REST]
    with pytest.raises(DataError, match="'Ada' is in the lists of test and of val"):
        by_list(three, {"test": frozenset({"Ada"}), "val": frozenset({"Ada", "Bo"})})
    with pytest.raises(DataError, match="no picture shows anybody of the list of val"):
        by_list(three, {"test": frozenset({"Ada"}), "val": frozenset({"Zoe"})})
