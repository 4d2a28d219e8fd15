"""Find classes that a script defined and pickled as `__main__`, by looking for the script in the working folder."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from profilers.errors import ModelError
from profilers.models.factories import module_of_file

_ABSENT = re.compile(r"[Cc]an't get attribute '(\w+)' on <module '(?:[\w.]+\.)?__main__'")
_MOST_FILES, _MOST_CLASSES = 500, 100


def with_classes_of_scripts(load: Callable[[], object], file: Path, /) -> object:
    """Load a trusted pickle; take the names it needs from `__main__` from the only script here that defines them.

    The script is imported, so that code under `if __name__ == "__main__"` does not run.
    """
    for _ in range(_MOST_CLASSES):
        try:
            return load()
        except AttributeError as error:
            absent = _ABSENT.search(str(error))
            if absent is None:
                raise
            name = absent[1]
        found = _script(name, file)
        main = sys.modules["__main__"]
        for one, value in vars(found).items():
            if not hasattr(main, one):
                setattr(main, one, value)
        if not hasattr(main, name):
            break
    raise ModelError(f"{file} needs more classes of its script than can be found here; save its state_dict() instead")


def _script(name: str, file: Path) -> object:
    """Import the only script in the working folder, or beside the file, that defines a class at its top level."""
    folders = dict.fromkeys((Path.cwd(), file.resolve().parent))
    scripts = [path for folder in folders for path in sorted(folder.glob("*.py"))[:_MOST_FILES] if _defines(path, name)]
    if len(scripts) != 1:
        where = ", ".join(path.name for path in scripts[:3])
        which = f"{where} define it" if scripts else "no script here defines it"
        raise ModelError(
            f"{file} needs the class {name} of the script that saved it, and {which}; "
            "save its state_dict() and give --factory script.py:callable instead"
        )
    return module_of_file(scripts[0])


def _defines(path: Path, name: str) -> bool:
    with suppress(OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return any(isinstance(one, ast.ClassDef) and one.name == name for one in ast.parse(path.read_bytes()).body)
    return False
