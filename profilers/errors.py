"""What profilers raise when the world fails; a wrong argument is a ValueError."""


class ProfilerError(Exception):
    """A model cannot be opened, run or measured."""


class MeterError(ProfilerError):
    """A meter is missing, or has no number that can be believed."""


class WindowTooShort(ProfilerError):  # noqa: N818
    """A window holds too few samples for its energy to be known."""


class ModelError(ProfilerError):
    """A saved model cannot be opened, or cannot be run."""


class DataError(ProfilerError):
    """A data set is missing, or is not labelled images of one size."""


class OutOfMemory(ProfilerError):  # noqa: N818
    """A model and its batch do not fit into the memory of the device."""


class Uncountable(Exception):  # noqa: N818
    """An operator multiplies, and nothing tells how much."""
