"""Find the archives that ship with ecosel."""

from pathlib import Path


def sample(name: str, /) -> Path:
    """Return the path of a file in data/, in a checkout or an installed package.

    Raises FileNotFoundError if there is no such file.
    """
    package = Path(__file__).parent
    for folder in (package / "data", package.parent / "data"):
        if (folder / name).is_file():
            return folder / name
    raise FileNotFoundError(f"no sample {name!r}")
