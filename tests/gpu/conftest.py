"""Tests on a real NVIDIA board: `python -m pytest -o addopts= -m gpu tests/gpu`, under 8 minutes; skipped where there is none.

Traces and results.json go to the folder that ECOSEL_RESULTS names, or to one of pytest's.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="session")
def results_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    named = os.environ.get("ECOSEL_RESULTS")
    folder = Path(named) if named else tmp_path_factory.mktemp("results")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def results(results_folder: Path) -> Iterator[dict[str, Any]]:
    """Collect what the tests measured; written at the end, whatever failed."""
    import torch

    if not torch.cuda.is_available():
        pytest.skip("this machine has no CUDA device")
    found: dict[str, Any] = {"board": torch.cuda.get_device_name(0), "torch": str(torch.__version__), "cuda": torch.version.cuda}
    yield found
    (results_folder / "results.json").write_text(json.dumps(found, indent=1, default=str))
