"""The errors that profilers raises for outside failures; a wrong argument is a ValueError."""

import zipfile
import zlib

_LZMA = getattr(zipfile, "lzma", None)  # Python can be built without it
# raised by zipfile for members that are damaged, encrypted or compressed in an unknown way
DAMAGED_ZIP = (
    zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, *((_LZMA.LZMAError,) if _LZMA else ()),
)  # fmt: skip
# bzip2 and LZMA unpack a whole member at once, however large it is
BOUNDED_ZIP = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


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
