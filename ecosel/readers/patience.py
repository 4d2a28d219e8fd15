"""Bound the time that native code, which cannot be interrupted, spends on a stranger's file."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn, TypeVar

from ecosel.readers.bounds import Bounds

T = TypeVar("T")


class Patience:
    """The seconds that reading a file of `size` bytes may take, all calls together."""

    def __init__(self, path: str, size: int, bounds: Bounds) -> None:
        self._path, self._bounds = path, bounds
        self._most = self.left = bounds.patience(size)

    def call(self, work: Callable[[], T]) -> T:
        """Return what work returns. If it takes too long, refuse the file and leave the work to end with the process."""
        ended: list[tuple[T | None, BaseException | None]] = []
        thread = threading.Thread(target=_keep, args=(work, ended), daemon=True)
        with self.spent():
            thread.start()
            thread.join(self.left)
        if not ended:
            self.refuse("reading it")
        result, error = ended[0]
        if error is not None:
            raise error
        return result  # type: ignore[return-value]  # None only if that is what it returned

    @contextmanager
    def spent(self) -> Iterator[None]:
        began = time.monotonic()
        try:
            yield
        finally:
            self.left = max(0.0, self.left - (time.monotonic() - began))

    def refuse(self, what: str) -> NoReturn:
        self._bounds.refuse(self._path, f"{what} takes more than {self._most:g} s")


def _keep(work: Callable[[], Any], ended: list[Any]) -> None:
    try:
        ended.append((work(), None))
    except BaseException as error:  # polars panics with one
        ended.append((None, error))
