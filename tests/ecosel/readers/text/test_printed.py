"""What programs print: drawn tables are read, cut ones and logs refused in one line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

DRAWN = {
    "rich": "Results\n┏━━━━━━━┳━━━━━┳━━━━┓\n┃ model ┃ acc ┃ ms ┃\n┡━━━━━━━╇━━━━━╇━━━━┩\n│ a     │ 0.8 │ 2  │\n│ b     │ 0.9 │ 4  │\n└───────┴─────┴────┘\n",
    "rich, rounded": "╭───────┬─────┬────╮\n│ model │ acc │ ms │\n├───────┼─────┼────┤\n│ a     │ 0.8 │ 2  │\n│ b     │ 0.9 │ 4  │\n╰───────┴─────┴────╯\n",
    "polars": str(pl.DataFrame({"model": ["a", "b"], "acc": [0.8, 0.9], "ms": [2, 4]})),
    "write.table() of R": '"model" "acc" "ms"\n"1" "res net" 0.8 2\n"2" "b" 0.9 4\n',
    "write.table() of R with names": '"acc" "ms"\n"res net" 0.8 2\n"b" 0.9 4\n',
    "a bar in the cell of a Markdown table": "model | acc | ms\n--- | --- | ---\na│b | 0.8 | 2\nb | 0.9 | 4\n",
}  # fmt: skip
NO_TABLE = {
    "   acc  ms\n0  0.8   2\n.. ...  ..\n9  0.9   4\n": "t.txt: rows are missing, as the dots in row 1 show; save the whole table as CSV",
    "acc | ms\n--- | ---\n0.8 | 2\n... | ...\n0.9 | 4\n": "t.txt: rows are missing, as the dots in row 1 show",
    str(pl.DataFrame({"acc": [float(k) for k in range(50)], "ms": range(50)})): "rows are missing, as the dots in row",
    "12:00 INFO epoch=1 acc=0.7 ms=2\n12:01 INFO epoch=2 acc=0.8 ms=2\n": "is a log, with names in each line (epoch, acc), not a table",
    "[2024-01-31 12:00:00,1] Epoch 1, loss: 0.3, acc: 0.7\n[2024-01-31 12:01:00,1] Epoch 2, loss: 0.2, acc: 0.8\n":
        "is a log, with names in each line (loss, acc), not a table",
}  # fmt: skip


@pytest.mark.parametrize("name", DRAWN)
def test_a_printed_table_is_read(name: str, tmp_path: Path, ecosel: Callable[..., Any]) -> None:
    (tmp_path / "t.txt").write_text(DRAWN[name])
    outcome = ecosel("select", tmp_path / "t.txt", "--maximize", "acc", "--minimize", "ms", "--front", tmp_path / "front.csv")
    assert outcome.status == 0, outcome
    front = pl.read_csv(tmp_path / "front.csv")
    assert front.select("acc", "ms").rows() == [(0.8, 2), (0.9, 4)]


@pytest.mark.parametrize("content", NO_TABLE)
def test_a_cut_table_and_a_log_are_refused(content: str, tmp_path: Path, ecosel: Callable[..., Any]) -> None:
    (tmp_path / "t.txt").write_text(content)
    outcome = ecosel("select", tmp_path / "t.txt", "--maximize", "acc", "--minimize", "ms")
    assert (outcome.status, outcome.err.count("\n"), NO_TABLE[content] in outcome.err) == (1, 1, True), outcome.err


@pytest.mark.parametrize("header", ["acc@k=1,acc@k=5", "# seed=1 lr=0.1\nacc,ms"])
def test_names_with_an_equals_sign_are_no_log(header: str, tmp_path: Path, ecosel: Callable[..., Any]) -> None:
    (tmp_path / "t.csv").write_text(f"{header}\n0.8,2\n0.9,4\n")
    first, second = header.split("\n")[-1].split(",")
    assert ecosel("select", tmp_path / "t.csv", "--maximize", first, "--minimize", second).status == 0
