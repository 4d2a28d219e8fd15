"""Saved models of every format that make a file appear when they are opened carelessly."""

from __future__ import annotations

import io
import pickle
import subprocess
import sys
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from tests.profilers.networks import Small

SYMBOL = b"Symbol('s"


class Payload:
    """Unpickles to an opened file, which so appears."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return open, (str(self.mark), "w")


class Writer(torch.nn.Module):  # type: ignore[misc]
    """A TorchScript class whose __setstate__ writes a file of its own choice."""

    def __init__(self, mark: str) -> None:
        super().__init__()
        self.mark = mark

    @torch.jit.export  # type: ignore[untyped-decorator]
    def __getstate__(self) -> tuple[str, bool]:
        return self.mark, self.training

    @torch.jit.export  # type: ignore[untyped-decorator]
    def __setstate__(self, state: tuple[str, bool]) -> None:
        self.mark = state[0]
        self.training = state[1]
        torch.save([1], self.mark)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


def torch_save(path: Path, mark: Path) -> None:
    torch.save({"weight": torch.zeros(2), "note": Payload(mark)}, path)


def legacy_torch_save(path: Path, mark: Path) -> None:
    torch.save({"weight": torch.zeros(2), "note": Payload(mark)}, path, _use_new_zipfile_serialization=False)


def protocol_4(path: Path, mark: Path) -> None:
    torch.save({"weight": torch.zeros(2), "note": Payload(mark)}, path, pickle_protocol=4)


def called_safetensors(path: Path, mark: Path) -> None:
    torch_save(path, mark)


def two_data_members(path: Path, mark: Path) -> None:
    """One archive with a plain and a hostile data.pkl: readers differ in which one counts."""
    torch_save(path, mark)
    hostile = zipfile.ZipFile(path).read(f"{path.stem}/data.pkl")
    plain = io.BytesIO()
    torch.save({"weight": torch.zeros(2)}, plain)
    members = zipfile.ZipFile(plain)
    with zipfile.ZipFile(path, "w") as archive:
        for name in members.namelist():
            archive.writestr(f"{path.stem}/{name.partition('/')[2]}", members.read(name))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            archive.writestr(f"{path.stem}/data.pkl", hostile)


def torchscript(path: Path, mark: Path) -> None:
    torch.jit.script(Writer(str(mark))).save(str(path))
    mark.unlink(missing_ok=True)  # scripting does not write it; should that ever change, the fixture must not count


def _edited(path: Path, change: Callable[[str, bytes], bytes]) -> None:
    exported(path)
    with zipfile.ZipFile(path) as archive:
        members = [(name, archive.read(name)) for name in archive.namelist()]
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members:
            archive.writestr(name, change(name, content))


_EXPORTED: list[bytes] = []


def exported(path: Path) -> None:
    """Save Small by torch.export for batches of any size; made once, as exporting takes seconds."""
    if not _EXPORTED:
        program = torch.export.export(
            Small().eval(), (torch.zeros(5, 3, 4, 4),), dynamic_shapes=({0: torch.export.Dim("batch")},)
        )
        saved = io.BytesIO()
        torch.export.save(program, saved)
        _EXPORTED.append(saved.getvalue())
    path.write_bytes(_EXPORTED[0])


def _saved(content: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def export_example_inputs(path: Path, mark: Path) -> None:
    """torch.export.load falls back to full unpickling where the restricted one refuses."""
    _edited(path, lambda name, content: _saved((Payload(mark),)) if "sample_inputs" in name else content)


def export_pickled_weight(path: Path, mark: Path) -> None:
    """A weight that its config marks as pickled is unpickled in full."""

    def change(name: str, content: bytes) -> bytes:
        if name.endswith("_weights_config.json"):
            return content.replace(b'"use_pickle": false', b'"use_pickle": true')
        return _saved(Payload(mark)) if name.endswith("data/weights/weight_0") else content

    _edited(path, change)


def export_expression(path: Path, mark: Path) -> None:
    """No pickle at all: the size of a dimension is text that sympify evaluates."""
    code = f"open({str(mark)!r},'w') and ".encode() + SYMBOL
    _edited(path, lambda name, content: content.replace(SYMBOL, code) if name.endswith("models/model.json") else content)


def export_before_2_8(path: Path, mark: Path) -> None:
    exported(path)
    graph = zipfile.ZipFile(path).read(next(n for n in zipfile.ZipFile(path).namelist() if n.endswith("models/model.json")))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("version", "8.20")
        archive.writestr("serialized_exported_program.json", graph)
        for name in ("state_dict", "constants", "example_inputs"):
            archive.writestr(f"serialized_{name}.pt", _saved({"x": Payload(mark)}))


def aotinductor(path: Path, mark: Path) -> None:
    """A native library whose constructor runs as it is loaded, before anything can be asked of it."""
    library = path.with_suffix(".so")
    code = f'#include <stdio.h>\n__attribute__((constructor)) static void at_load(void) {{ fclose(fopen("{mark}", "w")); }}\n'
    subprocess.run(["gcc", "-shared", "-fPIC", "-x", "c", "-", "-o", str(library)], input=code, text=True, check=True)
    writer = torch._C.PyTorchFileWriter(str(path))
    members = {"archive_format": b"pt2", "archive_version": b"0", "data/aotinductor/model/a.wrapper.so": library.read_bytes()}
    members["data/aotinductor/model/a.wrapper_metadata.json"] = b'{"AOTI_DEVICE_KEY": "cpu"}'
    for name, content in members.items():
        writer.write_record(name, content, len(content))
    writer.write_end_of_file()


def plain_pickle(path: Path, mark: Path) -> None:
    path.write_bytes(pickle.dumps(Payload(mark)))


# what plain torch does with each, and so what --trust does
FIXTURES: dict[str, Callable[[Path, Path], None]] = {
    "torch_save.pt": torch_save,
    "legacy.pth": legacy_torch_save,
    "protocol_4.pt": protocol_4,
    "pickle.safetensors": called_safetensors,
    "two_members.pt": two_data_members,
    "script.pt": torchscript,
    "inputs.pt2": export_example_inputs,
    "weight.pt2": export_pickled_weight,
    "expression.pt2": export_expression,
    "before_2_8.pt2": export_before_2_8,
    "native.pt2": aotinductor,
}

if __name__ == "__main__":  # open every one with trust, and say nothing of how it ends
    from profilers.models.opening import open_model

    for fixture in sys.argv[1:]:
        try:
            open_model(fixture, trust=True)
        except Exception as error:
            print(Path(fixture).name, type(error).__name__, error)
