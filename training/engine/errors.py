"""What can go wrong in training, in words for whoever started it."""


class TrainingError(Exception):
    """A run that cannot begin or go on; the message names the file, the key or the figure."""


class RecipeError(TrainingError):
    """A recipe that does not exist, or a setting that it does not have or take."""


class DeviceError(TrainingError):
    """A device or a precision that there is not."""


class RunError(TrainingError):
    """A run's folder that belongs to something else, or cannot be written or exported."""


class CheckpointError(TrainingError):
    """A checkpoint that cannot be written or read, or is another recipe's."""


class SickRun(TrainingError):
    """A run that would only waste time: it stopped, and its last good checkpoint is there."""
