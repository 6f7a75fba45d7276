"""The tables of model cards, each a command of `python -m training.evaluation.cards`."""
