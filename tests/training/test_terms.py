"""training.data.terms: what a model's users are told of the data behind it."""

from training.data.terms import foreign, terms


def test_research_data_make_a_model_for_research() -> None:
    """Named in the notice and the licence; with other data alone there is neither."""
    sources = ("faces (CelebA, non-commercial research)", "portraits (CC BY 3.0)")
    assert terms(sources) == {
        "notice": "Research only: trained on faces, non-commercial research",
        "licence": "Research only, as the training data",
        "data": sources,
    }
    assert terms(sources[1:]) == {"notice": "", "licence": "", "data": sources[1:]}


def test_a_checkpoint_of_others_is_for_research() -> None:
    """By its file's name, without where that lies on this machine."""
    assert terms([foreign("downloads/gen_00450000.pt")])["notice"].startswith(
        "Research only: trained on gen_00450000.pt,"
    )
