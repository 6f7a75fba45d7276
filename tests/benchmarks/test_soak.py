from benchmarks import pictures, soak
from benchmarks.exchanges import Exchange


def test_a_tenth_of_the_requests_is_broken():
    """Every tenth request is damaged, every kind of damage has its turn, and so has every photo."""
    photos = [Exchange("image/jpeg", body) for body in pictures.photos({(64, 48): 4})]
    mixed = soak.mixed(photos)
    broken = [each.problem for each in mixed if each.problem]
    assert len(mixed) == 10 * len(broken)
    assert {*broken} == {*pictures.broken(photos[0].body)} and len({*broken}) == len(broken)
    assert {each.body for each in photos} <= {each.body for each in mixed}


def test_growth_is_told_from_warming_up():
    """What grows in the first tenth only is no growth; what grows all the time is."""
    flat = [{"rss": 100.0 + min(index, 5)} for index in range(100)]
    steady = [{"rss": 100.0 + index} for index in range(100)]
    assert soak.compared(flat, "rss")["growth"] == 0
    assert soak.compared(steady, "rss") == {"second_tenth": 114.5, "last_tenth": 194.5, "growth": 80.0, "most": 199.0}
