"""The errors that profilers raises for outside failures; a wrong argument is a ValueError."""


class ProfilerError(Exception):
    """A model cannot be opened, run or measured."""


class MeterError(ProfilerError):
    """A meter is missing, or gives no plausible number."""


class WindowTooShort(ProfilerError):  # noqa: N818
    """A window holds too few samples to determine its energy."""


class ModelError(ProfilerError):
    """A saved model cannot be opened or run."""


class DataError(ProfilerError):
    """A data set is missing, or is not labelled images of one size."""


class OutOfMemory(ProfilerError):  # noqa: N818
    """A model and its batch do not fit into the device's memory."""


class Uncountable(Exception):  # noqa: N818
    """An operator multiplies, but how much is unknown."""
