"""What the parts of a training run raise, so that its command can tell it in a sentence."""


class TrainingError(Exception):
    """A run cannot go on; the message says why."""
