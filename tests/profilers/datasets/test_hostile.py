"""Data sets from strangers can neither fill the machine nor run code."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from profilers.datasets.loading import load_dataset
from profilers.errors import DataError


def refused(path: Path) -> str:
    with pytest.raises(DataError) as error:
        load_dataset(str(path))
    assert "\n" not in str(error.value)
    return str(error.value)


def arrays(folder: Path, images: np.ndarray, labels: np.ndarray) -> Path:
    np.savez_compressed(folder / "a.npz", images=images, labels=labels)
    return folder / "a.npz"


def test_arrays_that_unpack_to_too_much_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = arrays(tmp_path, np.zeros((2000, 20, 20), np.uint8), np.arange(2000) % 2)
    assert len(load_dataset(str(path)).labels) == 2000
    monkeypatch.setattr("profilers.datasets.arrays._MOST_BYTES", 1000)
    assert "more than 200 times its size" in refused(path)


def test_labels_that_declare_classes_without_end_are_refused(tmp_path: Path) -> None:
    assert "label 4611686018427387904 is more than 99,999" in refused(
        arrays(tmp_path, np.zeros((2, 4, 4), np.uint8), np.array([0, 2**62]))
    )


def test_a_shape_that_the_bytes_do_not_fill_is_refused(tmp_path: Path) -> None:
    path = arrays(tmp_path, np.zeros((2, 4, 4), np.uint8), np.array([0, 1]))
    np.savez(path, images=np.zeros((2, 4, 4), np.uint8), labels=np.array([0, 1]))
    path.write_bytes(path.read_bytes().replace(b"(2, 4, 4)", b"(2**9,4)"))
    assert "not a file of plain NumPy arrays" in refused(path)
    np.savez(path, images=np.zeros((11, 11, 11), np.uint8), labels=np.array([0, 1]))
    path.write_bytes(path.read_bytes().replace(b"(11, 11, 11)", b"(9999, 9**9)"))
    assert "not a file of plain NumPy arrays" in refused(path)


def test_objects_which_are_pickles_are_not_opened(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.touch, (tmp_path / "ran",))

    assert "not a file of plain NumPy arrays" in refused(arrays(tmp_path, np.array([Trap()]), np.array([0])))
    assert not (tmp_path / "ran").exists()


def test_rows_without_end_are_refused_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("profilers.datasets.folders._MOST_ROWS", 5)
    pl.DataFrame({"image": [b"x"] * 6, "label": [0, 1] * 3}).write_parquet(tmp_path / "a.parquet")
    assert "it declares 6 rows; at most 5 are read" in refused(tmp_path / "a.parquet")


def test_one_image_in_many_rows_counts_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("PIL.Image").fromarray(np.zeros((64, 64), np.uint8)).save(tmp_path / "a.png")
    row = (tmp_path / "a.png").read_bytes()
    pl.DataFrame({"image": [row] * 2000, "label": [0, 1] * 1000}).write_parquet(tmp_path / "a.parquet")
    assert len(load_dataset(str(tmp_path / "a.parquet"), limit=100).labels) == 100
    monkeypatch.setattr("profilers.datasets.decoding._MOST_BYTES", 1000)
    assert "more than 200 times their files" in refused(tmp_path / "a.parquet")


def test_headers_that_no_array_has_are_refused_unread(tmp_path: Path) -> None:
    for length, header, says in (
        (9_000_000, b" " * 9_000_000, "has 9,000,000 bytes; NumPy writes about 100"),
        (9000, b"(" * 9000, "not a file of plain NumPy arrays"),
    ):
        with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as stored:
            stored.writestr("images.npy", b"\x93NUMPY\x02\x00" + length.to_bytes(4, "little") + header)
        assert says in refused(tmp_path / "a.npz")


def test_only_images_and_labels_are_unpacked(tmp_path: Path) -> None:
    odd = np.array([{}])  # a pickle, which would be refused
    np.savez(tmp_path / "a.npz", images=np.zeros((2, 4, 4), np.uint8), labels=np.array([0, 1]), other=odd)
    assert len(load_dataset(str(tmp_path / "a.npz")).labels) == 2


@pytest.mark.parametrize("labels", [[0.5, float("nan")], [[0], [1]], [b"a", b"b"]])
def test_labels_that_are_no_classes_are_refused(labels: list[object], tmp_path: Path) -> None:
    pl.DataFrame({"image": [b"x", b"y"], "label": labels}).write_parquet(tmp_path / "a.parquet")
    assert "not numbers or names of classes" in refused(tmp_path / "a.parquet")


@pytest.mark.parametrize("suffix", [".npz", ".parquet"])
def test_a_pipe_or_a_device_is_no_data_set(suffix: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / f"pipe{suffix}")
    (tmp_path / f"device{suffix}").symlink_to("/dev/zero")
    for name in ("pipe", "device"):
        assert "a pipe or a device; name files" in refused(tmp_path / f"{name}{suffix}")
