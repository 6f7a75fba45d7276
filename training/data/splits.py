"""Parts of a set that share no person, so that what is measured on one was not learnt on another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from training.data.errors import DataError
from training.data.sources import Picture

REST = "train"
"""The part of everybody who is in no other."""


def by_share(pictures: Sequence[Picture], shares: Mapping[str, float], seed: int = 0) -> list[str]:
    """The part of each picture: each part gets its share of the persons, in random order, but one at least.

    A picture without a person is a person of its own. DataError if nobody were left for the rest, or if there are fewer
    persons than parts.
    """
    if not all(share > 0 for share in shares.values()) or sum(shares.values()) >= 1:
        raise DataError(f"shares are above 0 and together below 1, as the rest is {REST}")
    keys = [_person(picture) for picture in pictures]
    persons = sorted(set(keys))
    if len(persons) <= len(shares):
        whose = f"; all are of {persons[0][1]!r}" if len(persons) == 1 else ""
        raise DataError(f"{len(shares) + 1} parts that share nobody need as many persons, not {len(persons)}{whose}")
    order = np.random.default_rng(seed).permutation(len(persons))
    parts = dict.fromkeys(persons, REST)
    begin = 0
    for number, (part, share) in enumerate(shares.items(), 1):
        # The parts that come, and the rest, need a person each.
        most = len(persons) - begin - (len(shares) - number) - 1
        end = begin + min(max(1, round(share * len(persons))), most)
        parts |= {persons[index]: part for index in order[begin:end]}
        begin = end
    return [parts[key] for key in keys]


def by_list(pictures: Sequence[Picture], lists: Mapping[str, frozenset[str]]) -> list[str]:
    """The part whose list has the picture's person, or else the rest. DataError names who is in two lists or in none.

    In none: a part of whose persons there is no picture.
    """
    parts: dict[str, str] = {}
    for part, persons in lists.items():
        if both := sorted(persons & parts.keys()):
            raise DataError(f"{both[0]!r} is in the lists of {parts[both[0]]} and of {part}")
        parts |= dict.fromkeys(persons, part)
    found = [parts.get(picture.person, REST) for picture in pictures]
    for part in lists:
        if part not in found:
            raise DataError(f"no picture shows anybody of the list of {part}")
    return found


def _person(picture: Picture) -> tuple[bool, str]:
    """Names and files never meet."""
    return (False, picture.person) if picture.person else (True, str(picture.path))
