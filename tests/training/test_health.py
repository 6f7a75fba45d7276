"""training.engine.health: sick runs are told in words."""

from training.engine.health import Health, Symptom

SYMPTOM = Symptom(figure="sign", above=0.9, reports=3, says="It knows them by heart", try_="Augment more.")


def test_a_symptom_is_told_once_it_lasts() -> None:
    """After so many reports in a row, once; a good one in between begins the count anew."""
    health = Health([SYMPTOM])
    told = [health.complaints({"sign": value}) for value in (0.95, 0.95, 0.5, 0.95, 0.95, 0.95, 0.95)]
    assert [len(each) for each in told] == [0, 0, 0, 0, 0, 1, 0]
    assert told[5] == ["It knows them by heart (sign is 0.95). Augment more."]


def test_a_figure_that_is_not_there_shows_nothing() -> None:
    """A recipe may log some figures seldom."""
    assert not SYMPTOM.shows({}) and SYMPTOM.shows({"sign": 0.91}) and not SYMPTOM.shows({"sign": 0.9})
