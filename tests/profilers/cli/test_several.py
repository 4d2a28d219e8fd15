"""Several models in one call, and manifests: in turn on one device, a row each."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from profilers.cli.several import Entry, read_manifest
from profilers.errors import ProfilerError
from tests.conftest import Outcome

pytest.importorskip("onnxruntime")

from profilers.measuring.settings import Plan, ProfileSettings
from profilers.measuring.several.together import profile_together
from tests.profilers.models.onnx import files
from tests.profilers.models.onnx.files import node, values

SHORT = Plan(min_s=0.05, max_s=0.2, warm_up_s=0.05, flat_s=0.01, idle_s=0.05, group_s=0.005)
QUICK = ("--quick", "--max-seconds", "0.2", "--device", "cpu")
Run = Callable[..., Outcome]
pytestmark = pytest.mark.usefixtures("hasty")


@pytest.fixture
def models(tmp_path: Path) -> list[Path]:
    return [files.save(files.network(seed=seed), tmp_path / name) for seed, name in enumerate(("a.onnx", "b.onnx"))]


def broken(path: Path) -> Path:
    """Save a model that opens and cannot run."""
    nodes = [node("Flatten", "x", "f"), node("Reshape", "f s", "y")]
    return files.save(files.model(nodes, [values("s", [7, 5], "int64")], {"x": ["b", 1, 8, 8]}), path)


def test_groups_of_the_models_alternate_and_each_has_a_row(models: list[Path]) -> None:
    requests = [ProfileSettings(str(path), dataset="digits", limit=200, plan=SHORT) for path in models]
    points = profile_together(requests, show=lambda progress: None)
    assert [point.request for point in points] == requests
    for point in points:
        assert point.profile is not None
        assert point.profile.accuracy is not None
        assert point.profile.facts.peak_memory_bytes is None
        assert point.profile.facts.reasons["peak_memory"] == "several models share the process"
    assert {point.profile.groups for point in points if point.profile} == {points[0].profile.groups}  # type: ignore[union-attr]


def test_a_model_that_fails_costs_its_own_row_alone(models: list[Path], tmp_path: Path) -> None:
    requests = [ProfileSettings(str(path), batch_size=4, plan=SHORT) for path in (broken(tmp_path / "c.onnx"), *models)]
    points = profile_together(requests, show=lambda progress: None)
    assert points[0].status == "invalid"
    assert str(points[0].reason).startswith("the model on a batch of 4x1x8x8 ")
    assert all(point.profile is not None for point in points[1:])


def test_rows_are_appended_and_the_answer_is_json(models: list[Path], tmp_path: Path, ecosel: Run) -> None:
    archive = tmp_path / "runs.db"
    done = ecosel("profile", *models, broken(tmp_path / "c.onnx"), "--archive", archive, "--format", "json", *QUICK)
    assert done.status == 0, done.err
    answer = json.loads(done.out)
    assert [row["candidate_id"] for row in answer] == ["a", "b", "c"]
    assert answer[2]["remarks"].startswith("the model on a batch of ")
    with closing(sqlite3.connect(archive)) as database:
        kept = database.execute("SELECT candidate_id, parameters, runtime FROM archive ORDER BY rowid").fetchall()
    assert kept == [("a", files.PARAMETERS, "onnxruntime"), ("b", files.PARAMETERS, "onnxruntime"), ("c", None, None)]


def test_names_that_two_models_share_are_told_apart(tmp_path: Path, ecosel: Run) -> None:
    (tmp_path / "more").mkdir()
    two = [files.save(files.network(seed=seed), folder / "net.onnx") for seed, folder in enumerate((tmp_path, tmp_path / "more"))]
    done = ecosel("profile", *two, *QUICK)
    assert done.status == 0, done.err
    assert re.fullmatch(r"net: .*images/s\nnet-2: .*images/s\n", done.out)


def test_a_manifest_names_files_beside_it_and_its_cells_stand_before_the_options(tmp_path: Path) -> None:
    manifest = tmp_path / "models.csv"
    manifest.write_text(
        "\ufefffile, Factory ,input\na.onnx,,\nsub/b.pt,torchvision:resnet18,3x64x64\n\n/c.onnx,,ids=8:int64 3x4\n,code:net,4\n"
    )
    assert read_manifest(manifest) == (
        Entry(str(tmp_path / "a.onnx"), None, None),
        Entry(str(tmp_path / "sub/b.pt"), "torchvision:resnet18", ("3x64x64",)),
        Entry("/c.onnx", None, ("ids=8:int64", "3x4")),
        Entry("", "code:net", ("4",)),
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "begins with nothing; its columns must be file, factory, input"),
        ("model\na.onnx\n", "begins with model; its columns must be file, factory, input"),
        ("file,file\n", "begins with file, file"),
        ("file,trust\na,yes\n", "begins with file, trust"),
        ("file\n", "names no model"),
        ("file,input\n,3x4\n", "line 2: neither a file nor a factory"),
        ("file\na,b\n", "line 2: 2 cells, but the header has 1"),
        ('file\n"a\n', "is not CSV"),
        (b"file\n\xff\xfe\n", "is not UTF-8 text"),
    ],
)
def test_a_manifest_that_is_none_gives_one_line(text: str | bytes, words: str, tmp_path: Path) -> None:
    manifest = tmp_path / "models.csv"
    manifest.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ProfilerError, match=re.escape(words)) as error:
        read_manifest(manifest)
    assert "\n" not in str(error.value)


def test_models_of_a_manifest_and_of_the_call_are_measured_together(models: list[Path], tmp_path: Path, ecosel: Run) -> None:
    manifest = tmp_path / "models.csv"
    manifest.write_text("file,input\na.onnx,1x8x8\n")
    done = ecosel("profile", models[1], "--manifest", manifest, "--batch-size", "3", *QUICK)
    assert done.status == 0, done.err
    assert [line.partition(":")[0] for line in done.out.splitlines()] == ["b-b3", "a-b3"]
    alone = ecosel("profile", "--manifest", manifest, "--batch-size", "3", *QUICK)
    assert "onnxruntime; random inputs (3x1x8x8)" in alone.out


@pytest.mark.parametrize(
    ("more", "status", "words"),
    [
        (["--sweep", "batch=1,2", "--archive", "runs.db"], 2, "take one MODEL"),
        (["--trace", "run.parquet"], 2, "take one MODEL"),
        (["--compile"], 2, "take one MODEL"),
        (["--verify", "run.parquet"], 2, "--verify reads a trace and takes no MODEL"),
        (["missing.onnx"], 1, "missing.onnx does not exist"),
        (["a.onnx"], 2, "is named twice with the same settings"),
    ],
)
def test_what_several_models_cannot_have_is_refused_before_anything_is_written(
    more: list[str], status: int, words: str, models: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ecosel: Run
) -> None:
    monkeypatch.chdir(tmp_path)
    archive = [] if "--archive" in more else ["--archive", "runs.db"]
    done = ecosel("profile", "a.onnx", "b.onnx", *more, *archive, *QUICK)
    assert (done.status, done.out) == (status, "")
    assert words in done.err
    assert not (tmp_path / "runs.db").exists()


def test_a_missing_manifest_gives_one_line(tmp_path: Path, ecosel: Run) -> None:
    done = ecosel("profile", "--manifest", tmp_path / "none.csv")
    assert (done.status, done.out) == (1, "")
    assert done.err.endswith("none.csv cannot be read: No such file or directory\n")


def test_models_that_need_different_devices_are_reported(models: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    from profilers.measuring.device import Device
    from profilers.runtimes.onnxruntime import OnnxRuntime

    found = iter((Device("cuda:0", "a GPU", "gpu"), Device("cpu", "a processor", "cpu")))
    monkeypatch.setattr(OnnxRuntime, "find_device", lambda self, device: next(found))
    with pytest.raises(
        ValueError, match=r"a\.onnx would run on cuda:0 and .*b\.onnx on cpu; name one device for all: --device cpu"
    ):
        profile_together([ProfileSettings(str(path)) for path in models], show=lambda progress: None)
