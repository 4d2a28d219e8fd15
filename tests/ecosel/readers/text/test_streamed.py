"""Records that are read one by one are those of the document read whole."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from ecosel.errors import ArchiveError
from ecosel.readers import open_archive
from ecosel.readers.bounds import Bounds
from ecosel.readers.text import streamed

RECORDS: list[dict[str, Any]] = [
    {"model": "a},\n{", "acc": 1, "is": True, "x": 2, "cost": {"ms": 3, "of": {"j": None}}},
    {"model": "b", "acc": 0.5, "is": None, "x": "two", "tags": [{"k": 1}, 2], "packed": '{"w": 7}'},
    {"model": None, "acc": None, "is": False, "x": 10**30, "ü": "😀", "big": 10**30},
    {"model": "c", "acc": 2, "is": 1, "x": False, "nan": float("nan"), "none": None},
] * 3
FORMS = {
    "list": json.dumps(RECORDS),
    "indented": json.dumps(RECORDS, indent=1, ensure_ascii=False),
    "lines": "\n".join(map(json.dumps, RECORDS)),
    "blank lines": "\ufeff" + "\r\n\n".join(map(json.dumps, RECORDS)) + "\n\n",
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("at_once", [1, 5, 100])
def test_streamed_records_are_those_of_the_whole_document(
    form: str, packed: bool, at_once: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = FORMS[form].encode()
    path = tmp_path / ("m.json.gz" if packed else "m.json")
    path.write_bytes(gzip.compress(content) if packed else content)
    whole = open_archive([str(path)])
    wanted = whole.read(whole.columns)
    monkeypatch.setattr(streamed, "_AT_ONCE", at_once)
    monkeypatch.setattr("ecosel.readers.opening._LARGE", 0)
    archive = open_archive([str(path)])
    found = archive.read(archive.columns)
    assert found.schema == wanted.schema
    assert found.equals(wanted)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('[{"a": 1}, {"a": 2} {"a": 3}]', "no comma follows record 1"),
        ('[{"a": 1}, {"a": 2}', "not valid JSON"),
        ('[{"a": 1}, {"a": 2}] 3', "text follows the list"),
        ('{"a": 1}\n{"a": oops}\n', "record 1 is not valid JSON"),
        ('{"a": 1}\n7\n', "record 1 is not an object"),
        ('{"a": 1}\n{"a": "x}\ny"}\n', "record 1 is not valid JSON: Invalid control character"),
        ('[{"a": 1}, {"a": [' + "1," * 1_200_000 + "1]}]", "record 1 is longer than 100 kB"),
    ],
)
def test_records_that_cannot_be_read_are_refused_in_a_line(
    text: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ecosel.readers.opening._LARGE", 0)
    (tmp_path / "m.json").write_text(text)
    with pytest.raises(ArchiveError) as error:
        open_archive([str(tmp_path / "m.json")], bounds=Bounds(max_size=10_000_000))
    assert says in str(error.value)
    assert "\n" not in str(error.value)


def test_values_that_take_far_more_memory_than_their_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "m.json").write_text('{"results": [' + ",".join(['{"a":1}'] * 50_000) + "]}")
    with pytest.raises(ArchiveError, match=r"100,001 values need too much memory .* raise --max-size"):
        open_archive([str(tmp_path / "m.json")], bounds=Bounds(max_size=10_000_000))


def test_long_lists_by_column_take_less_memory_and_are_read(tmp_path: Path) -> None:
    cells = [1, 0.5, None, "a"] * 10_000
    (tmp_path / "m.json").write_text(json.dumps({"acc": cells, "ms": cells}))
    archive = open_archive([str(tmp_path / "m.json")], bounds=Bounds(max_size=10_000_000))
    assert archive.read(["ms"], labels=["ms"])["ms"].to_list() == ["1", "0.5", None, "a"] * 10_000
    (tmp_path / "m.json").write_text('{"acc": [' + ",".join("1" * 100_000) + "]}")
    with pytest.raises(ArchiveError, match=r"100,001 values need too much memory .* raise --max-size"):
        open_archive([str(tmp_path / "m.json")], bounds=Bounds(max_size=10_000_000))
