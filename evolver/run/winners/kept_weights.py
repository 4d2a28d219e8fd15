"""Keep the trained weights of candidates near the front, and remove those of candidates that leave it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from evolver.candidates import weights_of

# Largest size of a run's kept weights, besides those that running trainings may add; chosen by us.
MOST_BYTES = 2 << 30


class KeptWeights:
    """The folder with the weights of one archive."""

    def __init__(self, archive: Path) -> None:
        self.archive = archive
        self.folder = weights_of(archive, 0).parent

    def open(self) -> None:
        """Make the folder in which workers save weights."""
        with suppress(OSError):  # without it nothing is kept, but the search is just as good
            self.folder.mkdir(exist_ok=True)

    def path(self, birth: int) -> str:
        """Return the absolute path, as a cluster's worker runs in another folder."""
        return str(weights_of(self.archive, birth).absolute())

    def prune(self, near: Iterable[int], *, running: Callable[[int], bool]) -> None:
        """Remove weights of births that are not in `near` (best first), or beyond the size bound."""
        sizes = {birth: size for birth in near if (size := self._size(birth)) is not None}
        total, kept = 0, set()
        for birth, size in sizes.items():
            total += size
            if total <= MOST_BYTES:
                kept.add(birth)
        for file in self.folder.glob("*.pt*"):
            number = file.name.partition(".")[0]
            if not (number.isdecimal() and (int(number) in kept or running(int(number)))):
                file.unlink(missing_ok=True)

    def close(self) -> None:
        """Remove the folder if it is empty."""
        with suppress(OSError):
            self.folder.rmdir()

    def _size(self, birth: int) -> int | None:
        with suppress(OSError):
            return weights_of(self.archive, birth).stat().st_size
        return None
