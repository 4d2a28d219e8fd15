"""Workbooks and DuckDB files of strangers: what unpacks, spreads or runs without end is refused in one line."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from ecosel.errors import ArchiveError
from ecosel.readers import open_archive
from ecosel.readers.bounds import Bounds
from tests.ecosel.readers.test_bounds import SMALL, refused

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"
PARTS = {
    "_rels/.rels": f'<Relationships xmlns="{PACKAGE}/relationships"><Relationship Id="r1" Type="{RELATIONS}/officeDocument"'
    ' Target="xl/workbook.xml"/></Relationships>',
    "xl/workbook.xml": f'<workbook xmlns="{MAIN}" xmlns:r="{RELATIONS}"><sheets><sheet name="S" sheetId="1" r:id="r1"/></sheets>'
    "</workbook>",
    "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{PACKAGE}/relationships"><Relationship Id="r1"'
    f' Type="{RELATIONS}/worksheet" Target="worksheets/sheet1.xml"/><Relationship Id="r2" Type="{RELATIONS}/sharedStrings"'
    ' Target="sharedStrings.xml"/></Relationships>',
}
HEADER = '<row r="1"><c r="A1" t="inlineStr"><is><t>acc</t></is></c><c r="B1" t="inlineStr"><is><t>ms</t></is></c></row>'
SECOND = '<row r="2"><c r="A2"><v>1</v></c><c r="B2"><v>2</v></c></row>'


def workbook(path: Path, rows: str, *, shared: str = "") -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as parts:
        for name, text in PARTS.items():
            parts.writestr(name, text)
        parts.writestr("xl/sharedStrings.xml", f'<sst xmlns="{MAIN}"><si><t>{shared}</t></si></sst>')
        parts.writestr("xl/worksheets/sheet1.xml", f'<worksheet xmlns="{MAIN}"><sheetData>{rows}</sheetData></worksheet>')
    return path


def test_a_workbook_that_unpacks_to_too_much_is_refused(tmp_path: Path) -> None:
    assert "unpacks to more than 40 times its size" in refused(workbook(tmp_path / "m.xlsx", HEADER + " " * 2_000_000))


def test_a_size_that_is_declared_smaller_does_not_hide_it(tmp_path: Path) -> None:
    path = workbook(tmp_path / "m.xlsx", HEADER + " " * 2_000_000)
    with zipfile.ZipFile(path) as parts:
        size = parts.getinfo("xl/worksheets/sheet1.xml").file_size
    path.write_bytes(path.read_bytes().replace(size.to_bytes(4, "little"), (100).to_bytes(4, "little")))
    assert "unpacks to more than 40 times its size" in refused(path)


@pytest.mark.parametrize(
    "row",
    [
        '<row r="900000"><c r="ZZZ900000"><v>1</v></c></row>',
        "<row r='900000'><c><v>1</v></c></row><row><c r='ZZ3'><v>1</v></c></row>",
        '<x:row xmlns:x="' + MAIN + '" r="900000"><x:c s="1" r="zz900000"><x:v>1</x:v></x:c></x:row>',
    ],
)
def test_a_cell_far_away_from_the_others_is_refused(row: str, tmp_path: Path) -> None:
    assert "too far apart" in refused(workbook(tmp_path / "m.xlsx", HEADER + row))


def test_an_empty_cell_far_away_which_only_has_a_style_is_none(tmp_path: Path) -> None:
    styled = '<row r="900000" s="1"><c r="ZZZ900000" s="1"/></row>'
    archive = open_archive([str(workbook(tmp_path / "m.xlsx", HEADER + SECOND + styled))], bounds=SMALL)
    assert archive.read(["acc", "ms"]).rows() == [(0, 1, 2)]


def test_a_long_text_that_many_cells_share_is_refused(tmp_path: Path) -> None:
    cells = "".join(f'<row r="{k}"><c r="A{k}" t="s"><v>0</v></c></row>' for k in range(2, 3000))
    path = workbook(tmp_path / "m.xlsx", HEADER + cells, shared="x" * 9_000)
    assert "repeat long texts" in refused(path)


VIEWS = {
    "never ends": (
        "SELECT a.range acc, b.range ms FROM range(100000000) a, range(100000000) b WHERE (a.range * 7 + b.range) % 1000003 = -1",
        "a query of it (a view?) takes more",
    ),
    "long texts": ("SELECT repeat('x', 100) || range acc, range ms FROM range(20000)", "its rows take more than"),
    "too many rows": ("SELECT range acc, range ms FROM range(1000000000000)", "more than 200,000 rows"),
}


@pytest.mark.parametrize("case", VIEWS)
def test_a_view_of_duckdb_can_neither_hang_nor_fill_the_machine(case: str, tmp_path: Path) -> None:
    duckdb = pytest.importorskip("duckdb")
    sql, says = VIEWS[case]
    with duckdb.connect(str(tmp_path / "m.duckdb")) as database:
        database.execute(f"CREATE VIEW v AS {sql}")
    seconds = 10 if case == "never ends" else 1000  # a busy machine is slow
    assert says in refused(tmp_path / "m.duckdb", Bounds(max_size=10_000_000, seconds=seconds))


LISTS = {
    "a list of a thousand million numbers": "SELECT n acc, len(range(1000000000 + n)) ms FROM range(3) t(n)",
    "a text of two thousand million letters": "SELECT n acc, length(repeat('x', 2000000000 + n)) ms FROM range(3) t(n)",
}

REFUSED = """
import resource, sys
from ecosel.errors import ArchiveError
from ecosel.readers import open_archive
from ecosel.readers.bounds import Bounds
try:
    archive = open_archive([sys.argv[1]], bounds=Bounds(seconds=1000))
    archive.read(archive.columns)
except ArchiveError as error:
    print(error)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the memory of a process is bounded on Linux")
@pytest.mark.parametrize("case", LISTS)
def test_what_functions_of_duckdb_allocate_is_bounded_too(case: str, tmp_path: Path) -> None:
    duckdb = pytest.importorskip("duckdb")
    with duckdb.connect(str(tmp_path / "m.duckdb")) as database:
        database.execute(f"CREATE VIEW v AS {LISTS[case]}")
    # in a small process of its own, as a process that is forked begins with the memory of the one that forks it
    run = subprocess.run([sys.executable, "-c", REFUSED, str(tmp_path / "m.duckdb")], capture_output=True, text=True, check=True)
    says, kilobytes = run.stdout.splitlines()
    assert "takes more memory than its size and --max-size allow" in says
    assert int(kilobytes) <= 300_000


def test_duckdb_that_dies_ends_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    duckdb = pytest.importorskip("duckdb")
    with duckdb.connect(str(tmp_path / "m.duckdb")) as database:
        database.execute("CREATE TABLE models AS SELECT 0.5 acc, 1 ms")
    child = tmp_path / "child.py"
    child.write_text("import os; os.abort()")
    monkeypatch.setattr("ecosel.readers.stores.duckdb._CHILD", child)
    with pytest.raises(ArchiveError, match="DuckDB ended by SIGABRT: the file is damaged, or needs too much memory"):
        open_archive([str(tmp_path / "m.duckdb")])


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_member_that_can_only_be_unpacked_whole_is_refused(method: int, tmp_path: Path) -> None:
    for name, member in (("a.zip", "t.csv"), ("a.xlsx", "[Content_Types].xml")):
        with zipfile.ZipFile(tmp_path / name, "w", method) as archive:
            archive.writestr(member, bytes(10_000_000))
        with pytest.raises(ArchiveError, match="is packed by bzip2 or LZMA"):
            open_archive([str(tmp_path / name)])
