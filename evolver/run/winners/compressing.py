"""Make variants of the winners of a search, each in a child process: `ecosel compress` on the models saved by `--final`."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from evolver.errors import EvolverError
from evolver.run.request import SearchRequest

Rows = list[dict[str, Any]]


def variants_of(archive: Path, /) -> Path:
    """Return the archive of the winners and their variants, all measured on the test images."""
    return archive.with_name(f"{archive.stem}-variants.ndjson")


def compress_winners(request: SearchRequest, finals: list[dict[str, Any]], variants: str, /) -> Rows:
    """Return a row for each saved winner and each of its variants; variants made by an earlier command are kept.

    Raises EvolverError if a winner cannot be compressed at all; a variant that fails becomes a row with its reason.
    """
    rows = list(_held(variants_of(request.archive)))
    made = {row["parent"] for row in rows if row.get("parent")}
    for final in finals:
        name = f"{request.archive.stem}-{final['candidate_id']}"
        if final["saved"] is not None and name not in made:
            rows += _compressed(request, final, variants)
    return rows


def _held(path: Path) -> Iterator[dict[str, Any]]:
    try:
        lines = path.read_text("utf-8").splitlines() if path.exists() else []
        yield from (json.loads(line) for line in lines)
    except (OSError, ValueError, RecursionError) as error:
        raise EvolverError(f"{path} cannot be read ({error}); move it away") from error


def _compressed(request: SearchRequest, final: Mapping[str, Any], variants: str) -> Rows:
    archive = request.archive
    model = f"{archive}#{final['candidate_id']}"
    command = [
        sys.executable, "-m", "ecosel", "compress", model, "--weights", f"{final['saved']}.pt", "--dataset",
        request.settings.dataset, "--variants", variants, "-o", str(archive.with_name(f"{archive.stem}-variants")),
        "--archive", str(variants_of(archive)), "--batch-size", str(request.settings.batch_size), "--quick", "--format", "json",
    ]  # fmt: skip
    if request.settings.meter is not None:
        command += ["--meter", request.settings.meter]
    before = len(list(_held(variants_of(archive))))
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    added = list(_held(variants_of(archive)))[before:]
    if not added:  # on a full disk, it prints rows that it could not append
        said = (done.stderr.strip().splitlines() or [f"it ended with status {done.returncode}"])[-1]
        raise EvolverError(f"--compress: {model}: {said.removeprefix('ecosel: ')}")
    return added


def as_lines(request: SearchRequest, rows: Rows, /) -> Iterator[str]:
    """Describe each variant relative to its parent, and tell how to choose among all of them."""
    for row in rows:
        if row.get("variant") is None:
            continue
        if row["status"] != "ok":
            yield f"variant {row['candidate_id']}: {row['status']} ({row['remarks']})"
            continue
        accuracy = "" if row["accuracy"] is None else f", test accuracy {row['accuracy']:.2%}"
        yield f"variant {row['candidate_id']}: {row['time_ratio']:.2f} of its parent's time{accuracy}"
    yield f"choose among them: ecosel select {variants_of(request.archive)}"
