"""Keep the trained weights of candidates near the front, and remove those of candidates that leave it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from evolver.candidates import weights_of

# The most that the kept weights of a run may take, beside what running trainings are about to add; ours.
MOST_BYTES = 2 << 30


class KeptWeights:
    """The folder of weights of one archive."""

    def __init__(self, archive: Path) -> None:
        self.archive = archive
        self.folder = weights_of(archive, 0).parent

    def open(self) -> None:
        """Make the folder, into which workers save."""
        with suppress(OSError):  # without it nothing is kept, and the search is as good
            self.folder.mkdir(exist_ok=True)

    def path(self, birth: int) -> str:
        """Return the absolute path: a cluster's worker runs in another folder."""
        return str(weights_of(self.archive, birth).absolute())

    def prune(self, near: Iterable[int], *, running: Callable[[int], bool]) -> None:
        """Remove weights of births not in `near` (best first) or beyond the size bound."""
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
        """Remove the folder where it is empty."""
        with suppress(OSError):
            self.folder.rmdir()

    def _size(self, birth: int) -> int | None:
        with suppress(OSError):
            return weights_of(self.archive, birth).stat().st_size
        return None
