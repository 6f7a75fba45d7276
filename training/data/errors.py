"""What can be wrong with data; the message names the file."""

from training.engine.errors import TrainingError


class DataError(TrainingError):
    """A set that cannot be read, or that there is nothing to learn from."""
