"""A file that is no saved PyTorch model is named for what it is, in one line; a damaged one is told from it."""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import struct
import tarfile
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest

from profilers.errors import ModelError
from profilers.models.formats import recognise
from profilers.models.opening import open_model


def refused(path: Path) -> str:
    with pytest.raises(ModelError) as error:
        recognise(path)
    message = str(error.value)
    assert "\n" not in message
    assert str(path) in message
    return message


def protobuf(*fields: tuple[int, int | bytes]) -> bytes:
    """Encode top-level fields below 16: a whole number below 128, or bytes below 128 long."""
    return b"".join(
        bytes([number << 3, value]) if isinstance(value, int) else bytes([number << 3 | 2, len(value)]) + value
        for number, value in fields
    )


LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a21\nsize 44678912\n"
# onnx.proto: ir_version 1, producer_name 2, graph 7, opset_import 8; saved_model.proto: 1, 2; graph.proto: node 1, versions 4
ONNX = protobuf((1, 8), (2, b"pytorch"), (7, b"\x0a\x00"), (8, b"\x10\x11"))
SAVED_MODEL = protobuf((1, 1), (2, b"\x0a\x00"))
GRAPH = protobuf((1, b"\x0a\x01x"), (4, b"\x08\x16"))


def test_an_onnx_model_is_recognised_and_pytorch_does_not_open_it(tmp_path: Path) -> None:
    (tmp_path / "model.pt").write_bytes(ONNX)
    assert recognise(tmp_path / "model.pt").format == "onnx"
    with pytest.raises(ModelError, match="is an ONNX model, which PyTorch does not run"):
        open_model(str(tmp_path / "model.pt"))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty (0 bytes)"),
        (LFS, "is a Git LFS pointer, not the model (44678912 bytes); run git lfs pull"),
        (b"<!DOCTYPE html><html>Sign in</html>", "is a web page"),
        (SAVED_MODEL, "is a TensorFlow SavedModel; save"),
        (GRAPH, "is a TensorFlow graph; save"),
        (b"\x1c\0\0\0TFL3" + bytes(40), "is a TensorFlow Lite model"),
        (b"\x89HDF\r\n\x1a\n" + bytes(40), "is an HDF5 file, as Keras writes it"),
        (b"GGUF\3\0\0\0", "is a GGUF file"),
        (b"\x7fELF\2\1\1", "is a bare native library"),
        (b"\x1f\x8b\x08\0", "is compressed by gzip"),
        (b"SQLite format 3\0" + bytes(80), "#CANDIDATE_ID"),
        (b"\x80\x04\x95\x10", "was written by Python's pickle"),
        (pickle.dumps({"a": 1}), "was written by Python's pickle, not by torch.save"),
        (b"layer,size\nconv,3\n", "is not a saved PyTorch model (it begins with b'layer,si')"),
        (b"\x08", "is not a saved PyTorch model"),
        (b"PK\x03\x04 and no more", "is cut short or damaged"),
    ],
)
def test_another_file_is_named_for_what_it_is(content: bytes, said: str, tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    path.write_bytes(content)
    assert said in refused(path)


def test_a_folder_is_reported(tmp_path: Path) -> None:
    assert "is a folder; name a saved model in it" in refused(tmp_path)
    (tmp_path / "saved_model.pb").write_bytes(SAVED_MODEL)
    assert "TensorFlow SavedModel" in refused(tmp_path)


def test_a_pipe_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert "is not a regular file" in refused(tmp_path / "pipe")


@pytest.mark.parametrize(
    ("members", "said"),
    [
        (["weights.npy"], "NumPy arrays"),
        (["config.json", "model.weights.h5"], "a Keras model"),
        (["m/.data/extern_modules", "m/data.pkl"], "torch.package archive, which holds code"),
        (["word/document.xml"], "a ZIP archive without a model"),
        ([], "is not a saved PyTorch model"),
    ],
)
def test_another_archive_is_named_for_what_it_is(members: list[str], said: str, tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    with zipfile.ZipFile(path, "w") as archive:
        for member in members:
            archive.writestr(member, b"x")
    assert said in refused(path)


def test_a_tar_archive_and_a_joblib_file_are_reported(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    with tarfile.open(path, "w") as archive:
        archive.add(__file__)
    assert "is a tar archive" in refused(path)
    joblib = pytest.importorskip("joblib")
    joblib.dump({"weights": np.zeros(10)}, path)
    assert "was written by joblib" in refused(path)
    joblib.dump({"weights": np.zeros(10)}, path, compress=3)
    assert "compressed by zlib, as joblib does" in refused(path)


def safetensors(tensors: dict[str, object], payload: int) -> bytes:
    header = json.dumps(tensors).encode()
    return struct.pack("<Q", len(header)) + header + bytes(payload)


def test_safetensors_are_known_by_their_header(tmp_path: Path) -> None:
    path = tmp_path / "model.bin"
    entry = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
    path.write_bytes(safetensors({"w": entry, "__metadata__": {"by": "hand"}}, 8))
    assert recognise(path).format == "safetensors"
    path.write_bytes(safetensors({"w": entry}, 7))
    assert "is cut short or damaged" in refused(path)
    path.write_bytes(safetensors({"w": entry}, 8)[:40])
    assert "is cut short or damaged" in refused(path)
    path.write_bytes(safetensors({"w": [1]}, 8))
    assert "is not a saved PyTorch model" in refused(path)


@pytest.mark.parametrize("legacy", [False, True])
def test_every_cut_of_a_checkpoint_is_reported(legacy: bool, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    whole, path = tmp_path / "whole.pt", tmp_path / "cut.pt"
    torch.save({"weight": torch.zeros(50)}, whole, _use_new_zipfile_serialization=not legacy)
    content = whole.read_bytes()
    assert recognise(whole).format == "state_dict"
    pickled = content.index(b"weight") if legacy else len(content) - 1  # later cuts of the legacy format are torch's to find
    for length in range(30, pickled, 37):
        path.write_bytes(content[:length])
        assert "is cut short or damaged" in refused(path)


def test_random_bytes_never_end_in_another_error(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    rng = np.random.default_rng(8)
    heads = [b"", b"\x80\x02", b"PK\x03\x04", b"\x08\x01", LFS[:20], b"\x10" + bytes(7) + b"{"]
    for trial in range(300):
        path.write_bytes(heads[trial % len(heads)] + rng.bytes(int(rng.integers(1, 400))))
        with contextlib.suppress(ModelError):
            recognise(path)


class Megabytes:
    """Deflates megabytes of zeros, the first of them alone."""

    def __init__(self) -> None:
        deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
        self.block = deflate.compress(bytes(1 << 20)) + deflate.flush(zlib.Z_FULL_FLUSH)
        self.end = deflate.flush()

    def compress(self, content: bytes) -> bytes:
        return self.block

    def flush(self) -> bytes:
        return self.end


def test_a_file_that_unpacks_to_gigabytes_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    bomb = tmp_path / "bomb.pt"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("m/data/0", "w", force_zip64=True) as member:
        member._compressor = Megabytes()  # type: ignore[attr-defined]
        for _ in range(1100):
            member.write(bytes(1 << 20))
    with pytest.raises(ModelError, match=r"unpacks to 1\.15 GB from 1\.\d+ MB"):
        recognise(bomb)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_member_that_can_only_be_unpacked_whole_is_refused(method: int, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "model.pt", "w", method) as archive:
        archive.writestr("m/data.pkl", bytes(10_000_000))
    assert "'m/data.pkl' in it is packed in a way that PyTorch does not read" in refused(tmp_path / "model.pt")


def test_a_pickle_of_endless_steps_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("profilers.models.formats._MOST_OPCODES", 1000)
    with zipfile.ZipFile(tmp_path / "model.pt", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("m/data.pkl", b"\x80\x02" + b"]0" * 1000 + b"N.")
    assert "its pickle has more than 1,000 steps" in refused(tmp_path / "model.pt")


def test_a_damaged_member_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("m/data.pkl", pickle.dumps({str(number): number for number in range(500)}))
    content = bytearray(path.read_bytes())
    data = content.index(b"m/data.pkl") + len("m/data.pkl")
    content[data + 14 : data + 60] = b"\x07" * 46
    path.write_bytes(content)
    assert "damaged" in refused(path)
