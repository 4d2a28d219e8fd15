"""Recognise the format of a saved model from its content alone, without torch and without executing any of it."""

from __future__ import annotations

import json
import pickletools
import struct
import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

from profilers.errors import BOUNDED_ZIP, DAMAGED_ZIP, ModelError

Format = Literal[
    "torchscript", "export", "aotinductor", "state_dict", "safetensors", "pickle", "genome", "onnx", "pretrained", "factory"
]  # fmt: skip

# Written by torch.save before torch 1.6: a pickled magic number, a protocol number, the platform, then the object.
_LEGACY_MAGIC = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
# A file that unpacks to more bytes than this, and to more than this many times its size, is a bomb.
_MOST_BYTES, _MOST_TIMES = 1 << 30, 200
_LEGACY_PREAMBLE = 3
# Steps of a pickle: a checkpoint needs about five for each tensor and each number beside them.
_MOST_OPCODES = 2_000_000
# A pickle with only these names may be plain weights; torch's restricted unpickler has the last word.
_PLAIN = {"torch", "torch._utils", "torch._tensor", "torch.storage", "torch.serialization", "torch.nn.parameter"}
_PLAIN_NAMES = {"collections.OrderedDict", "collections.Counter", "_codecs.encode"} | {
    f"{module}.{name}" for module in ("builtins", "__builtin__") for name in ("bytearray", "set", "complex")
}
_EXPORT_BEFORE_2_8 = "serialized_exported_program.json"
_WEIGHTS = "save the state_dict() of the PyTorch model, or use torch.export.save"
# (offset, bytes, what the file is and what to do about it)
_FOREIGN = (
    (0, b"\x89HDF\r\n\x1a\n", f"an HDF5 file, as Keras writes it; {_WEIGHTS}"),
    (0, b"GGUF", f"a GGUF file (llama.cpp), which torch cannot run; {_WEIGHTS}"),
    (4, b"TFL3", f"a TensorFlow Lite model; {_WEIGHTS}"),
    (4, b"ORTM", "a model in ONNX Runtime's own format; profile the .onnx that it was made from"),
    (4, b"ET12", "an ExecuTorch program; profile the .pt2 that it was made from"),
    (4, b"PTMF", "a TorchScript flatbuffer for mobile; profile the TorchScript archive that it was made from"),
    (0, b"\x7fELF", "a bare native library; profile the .pt2 of torch._inductor.aoti_compile_and_package"),
    (0, b"\x93NUMPY", f"a NumPy array; {_WEIGHTS}"),
    (0, b"<!DOCTYPE", "a web page, not a model; download the file itself"),
    (0, b"<!doctype", "a web page, not a model; download the file itself"),
    (0, b"<html", "a web page, not a model; download the file itself"),
    (0, b"\x1f\x8b", "compressed by gzip; decompress it"),
    (0, b"BZh", "compressed by bzip2; decompress it"),
    (0, b"\xfd7zXZ", "compressed by xz; decompress it"),
    (0, b"(\xb5/\xfd", "compressed by zstd; decompress it"),
    (0, b"\x78\x9c", f"compressed by zlib, as joblib does; {_WEIGHTS}"),
    (0, b"\x78\x5e", f"compressed by zlib, as joblib does; {_WEIGHTS}"),
)


@dataclass(frozen=True)
class Recognised:
    """A format and, for a pickle, the classes and functions it names beyond those of plain weights."""

    format: Format
    foreign: tuple[str, ...] = ()


def recognise(path: Path) -> Recognised:
    """Return the format of a saved model; for any other file, raise ModelError, stating what it is and what to do."""
    if path.is_dir():
        if (path / "config.json").is_file() and any(file.suffix in (".safetensors", ".bin") for file in path.iterdir()):
            return Recognised("pretrained")
        inside = _inside(path)
        raise ModelError(f"{path} is a folder{inside}" + ("; name a saved model in it" if "joins it" not in inside else ""))
    if not path.is_file():
        raise ModelError(f"{path} is not a regular file; save the model to one")
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            return _of_content(path, file, size)
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}") from error


def _inside(folder: Path) -> str:
    if (folder / "saved_model.pb").exists():
        return " with a TensorFlow SavedModel, which torch cannot run"
    if (folder / ".metadata").exists() and any(folder.glob("*.distcp")):
        tool = "python -m torch.distributed.checkpoint.format_utils dcp_to_torch"
        return f" of torch.distributed.checkpoint; {tool} {folder} FILE joins it"
    return ""


def _of_content(path: Path, file: IO[bytes], size: int) -> Recognised:
    head = file.read(1024)
    if not head:
        raise ModelError(f"{path} is empty (0 bytes); copy or download it again")
    if head.startswith(b"version https://git-lfs.github.com/spec/"):
        real = next((line[5:].decode("ascii", "replace") for line in head.split(b"\n") if line.startswith(b"size ")), "?")
        raise ModelError(f"{path} is a Git LFS pointer, not the model ({real} bytes); run git lfs pull")
    if _is_safetensors(path, head, size):  # first, as its first bytes are a number, which may look like any other format
        return Recognised("safetensors")
    if path.suffix == ".distcp":
        raise ModelError(f"{path} is part of a torch.distributed.checkpoint; name its folder")
    for offset, magic, what in _FOREIGN:
        if head[offset:].startswith(magic):
            raise ModelError(f"{path} is {what}")
    if head.startswith(b"SQLite format 3\0"):
        raise ModelError(f"{path} is a database; for a candidate of an archive write {path}#CANDIDATE_ID")
    file.seek(0)
    if head.startswith(b"PK\x03\x04"):
        return _of_zip(path, file)
    if head.startswith(b"\x80"):
        return _of_pickle(path, file, legacy=head.startswith(_LEGACY_MAGIC))
    if head[257:262] == b"ustar" and tarfile.is_tarfile(path):
        raise ModelError(f"{path} is a tar archive; unpack it, or save the state_dict() again with a newer torch")
    if (foreign := _protobuf(file)) is not None:
        if foreign == "onnx":
            return Recognised("onnx")
        raise ModelError(f"{path} is {foreign}; {_WEIGHTS}")
    raise ModelError(f"{path} is not a saved PyTorch model (it begins with {head[:8]!r}); {_WEIGHTS}")


def _of_zip(path: Path, file: IO[bytes]) -> Recognised:
    try:
        with zipfile.ZipFile(file) as archive:
            _check_unpacked(path, archive)
            names = archive.namelist()
            inner = {name.partition("/")[2] for name in names}  # PyTorch puts everything into one folder
            if _EXPORT_BEFORE_2_8 in names or any(name.startswith("models/") for name in inner):
                return Recognised("export")
            if any(name.startswith("data/aotinductor/") for name in inner):
                return Recognised("aotinductor")
            if "constants.pkl" in inner:
                return Recognised("torchscript")
            if ".data/extern_modules" in inner:
                raise ModelError(f"{path} is a torch.package archive, which holds code; save the state_dict() instead")
            if "data.pkl" in inner:
                member = next(name for name in names if name.partition("/")[2] == "data.pkl")
                with archive.open(member) as pickled:
                    return _classified(_globals(path, pickled))
    except DAMAGED_ZIP as error:
        raise _cut_short(path) from error
    kind = "NumPy arrays (.npz)" if names and all(name.endswith(".npy") for name in names) else "a ZIP archive without a model"
    if "model.weights.h5" in names:
        kind = "a Keras model"
    raise ModelError(f"{path} is {kind}; {_WEIGHTS}")


def _check_unpacked(path: Path, archive: zipfile.ZipFile) -> None:
    """Refuse a bomb before anything is unpacked: PyTorch stores its members uncompressed."""
    if odd := next((member for member in archive.infolist() if member.compress_type not in BOUNDED_ZIP), None):
        raise ModelError(f"{path}: {odd.filename[:80]!r} in it is packed in a way that PyTorch does not read; {_WEIGHTS}")
    packed, unpacked = path.stat().st_size, sum(member.file_size for member in archive.infolist())
    if unpacked > max(_MOST_BYTES, _MOST_TIMES * packed):
        raise ModelError(
            f"{path} unpacks to {unpacked / 1e9:.3g} GB from {packed / 1e6:.3g} MB, which no saved model does;"
            " if this is intended, load it and save it again with torch.save"
        )


def before_2_8(path: Path) -> bool:
    """Tell whether a torch.export program has the layout of torch 2.7 and older."""
    with zipfile.ZipFile(path) as archive:
        return _EXPORT_BEFORE_2_8 in archive.namelist()


def _of_pickle(path: Path, file: IO[bytes], *, legacy: bool) -> Recognised:
    names: set[str] = set()
    try:
        for _ in range(_LEGACY_PREAMBLE if legacy else 0):
            _globals(path, file)
        _globals(path, file, names)
    except EOFError as error:
        if legacy:
            raise _cut_short(path) from error
    if not legacy:  # joblib stores arrays raw among the opcodes, so that its pickles end in an error
        of = "joblib" if any(name.startswith("joblib.") for name in names) else "Python's pickle"
        raise ModelError(f"{path} was written by {of}, not by torch.save; {_WEIGHTS}")
    return _classified(names)


def _classified(names: set[str]) -> Recognised:
    foreign = tuple(sorted(name for name in names if name.rpartition(".")[0] not in _PLAIN and name not in _PLAIN_NAMES))
    return Recognised("pickle" if foreign else "state_dict", foreign)


def _globals(path: Path, file: IO[bytes], found: set[str] | None = None) -> set[str]:
    """Add every class and function that one pickle names, "module.name": its opcodes are read, not run."""
    found = set() if found is None else found
    strings: list[str] = []
    try:
        for number, (opcode, argument, _) in enumerate(pickletools.genops(file)):
            if number > _MOST_OPCODES:
                raise ModelError(
                    f"{path}: its pickle has more than {_MOST_OPCODES:,} steps, which no saved model needs; {_WEIGHTS}"
                )
            if opcode.name in ("GLOBAL", "INST"):
                found.add(str(argument).replace(" ", ".", 1))
            elif opcode.name == "STACK_GLOBAL":
                # its two names are on the stack, usually pushed just before; memoised ones are shown as "?"
                found.add(".".join(strings[-2:]) or "?")
            elif isinstance(argument, str):
                strings.append(argument)
    except (ValueError, struct.error, MemoryError, OverflowError) as error:  # a length may be anything
        raise EOFError("the pickle ends early") from error
    return found


def _is_safetensors(path: Path, head: bytes, size: int) -> bool:
    """Check the header of a safetensors file (its length, then JSON), and that every tensor is within the file."""
    if len(head) < 9 or head[8:9] != b"{":
        return False
    length = int.from_bytes(head[:8], "little")
    if length > 100_000_000:  # the format's own limit
        return False
    with path.open("rb") as file:
        file.seek(8)
        header = file.read(length)
    if len(header) < length:
        raise _cut_short(path)
    try:
        tensors = json.loads(header)
        ends = [entry["data_offsets"][1] for name, entry in tensors.items() if name != "__metadata__"]
        end = 8 + length + max(ends, default=0)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError):
        return False
    if end > size:
        raise _cut_short(path)
    return True


def _protobuf(file: IO[bytes]) -> str | None:
    """Recognise a protocol buffer by its top-level fields: onnx.proto, saved_model.proto or graph.proto."""
    file.seek(0)
    fields = list(_fields(file))
    if not fields or fields[-1] is None:
        return None
    kinds = {field for field in fields if field is not None}
    if (1, 0) in kinds and (7, 2) in kinds:  # ModelProto: ir_version, graph
        return "onnx"
    if (1, 0) in kinds and (2, 2) in kinds and len(kinds) == 2:  # SavedModel: schema version, meta graphs
        return "a TensorFlow SavedModel"
    if (1, 2) in kinds and (4, 2) in kinds:  # GraphDef: nodes, versions
        return "a TensorFlow graph"
    return None


def _fields(file: IO[bytes]) -> Iterator[tuple[int, int] | None]:
    """Yield (number, wire type) of every top-level field; finally None if the bytes are not a protocol buffer."""
    size = file.seek(0, 2)
    file.seek(0)
    while file.tell() < size:
        key = _varint(file)
        if key is None or not 0 < key >> 3 < 100:
            yield None
            return
        number, wire = key >> 3, key & 7
        length = {0: 0, 1: 8, 5: 4}.get(wire, -1)
        if wire in (0, 2):
            value = _varint(file)
            if value is None:
                yield None
                return
            length = value if wire == 2 else 0
        if length < 0 or file.tell() + length > size:
            yield None
            return
        file.seek(length, 1)
        yield number, wire


def _varint(file: IO[bytes]) -> int | None:
    value = 0
    for shift in range(0, 70, 7):
        byte = file.read(1)
        if not byte:
            return None
        value |= (byte[0] & 127) << shift
        if byte[0] < 128:
            return value
    return None


def _cut_short(path: Path) -> ModelError:
    return ModelError(f"{path} is cut short or damaged ({path.stat().st_size} bytes); copy or download it again")
