"""Tables as people have them: each gives the right answer, or one line that is true and says what to do."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from ecosel.selection import select

ACC_MS = "acc ms"
READ: dict[str, tuple[str, str, str, dict[int, list[float]]]] = {
    # what: file, content, quality and cost, the values of the front by row
    "units below the names": ("t.csv", "model,acc,ms\n,%,ms\na,80,2\nb,82,4\n", ACC_MS, {0: [0.8, 2], 1: [0.82, 4]}),
    "units in brackets, decimal commas": ("t.csv", "t;acc;ms\n[s];[-];[ms]\n1;0,8;2\n2;0,9;3\n", ACC_MS, {0: [0.8, 2], 1: [0.9, 3]}),
    "units of canonical columns": (
        "t.csv", "model,accuracy,inference_time_s\n,%,ms\na,80,2\nb,90,4\n", "accuracy inference_time_s",
        {0: [0.8, 0.002], 1: [0.9, 0.004]}),
    "types below the names": ("t.csv", "model,acc,ms\nstring,float,float\na,0.8,2\nb,0.9,4\n", ACC_MS, {0: [0.8, 2], 1: [0.9, 4]}),
    "a first row of missing values is a row": ("t.csv", "model,acc,ms\ns,-,n/a\nb,0.9,4\n", ACC_MS, {1: [0.9, 4]}),
    "a first row of numbers is a row": ("t.csv", "model,acc,ms\nA,1,2\nB,2,3\n", ACC_MS, {0: [1, 2], 1: [2, 3]}),
    "two levels of pandas": ("t.csv", ",test,time\n,acc,ms\na,0.8,2\nb,0.9,4\n", "test/acc time/ms", {0: [0.8, 2], 1: [0.9, 4]}),
    "groupby().agg() of pandas": (
        "t.csv", ",acc,acc,ms\n,mean,std,mean\nmodel,,,\na,0.8,0.01,2\nb,0.9,0.01,4\n", "acc/mean ms/mean", {0: [0.8, 2], 1: [0.9, 4]}),
    "trials_dataframe(multi_index=True)": (
        "t.csv", ",number,values,values,state\n,,0,1,\n0,0,0.8,2,COMPLETE\n1,1,,,FAIL\n2,2,0.9,4,COMPLETE\n", "values/0 values/1",
        {0: [0.8, 2], 2: [0.9, 4]}),
    "three rows of names and units": (
        "t.csv", "model,a,a,b\n,x,y,x\n,%,ms,J\nA,80,1,2\nB,90,4,5\n", "a/x a/y", {0: [0.8, 1], 1: [0.9, 4]}),
    "a title with the separators of a sheet": ("t.csv", "Results,,\n,,\nmodel,acc,ms\na,0.8,2\n", ACC_MS, {0: [0.8, 2]}),
    "a name on two lines": ("t.csv", 'model,"acc\n(%)",ms\na,80,2\n', "acc (%)|ms", {0: [80, 2]}),
    "blanks align the cells": ("t.txt", "model   acc  ms\na      0.80   2\nb      0.90   4\n", ACC_MS, {0: [0.8, 2], 1: [0.9, 4]}),
    "print(frame) of pandas": ("t.txt", "   acc  ms\na  0.8   2\nb  0.9   4\n", ACC_MS, {0: [0.8, 2], 1: [0.9, 4]}),
    "a simple table of reStructuredText": ("t.txt", "=== ===\nacc ms\n=== ===\n0.8 2\n0.9 4\n=== ===\n", ACC_MS, {0: [0.8, 2], 1: [0.9, 4]}),
    "a table of MySQL": ("t.txt", "+---+---+\n|acc| ms|\n+---+---+\n|0.8| 2 |\n|0.9| 4 |\n+---+---+\n", ACC_MS, {0: [0.8, 2], 1: [0.9, 4]}),
    "a table of psql": ("t.txt", " acc | ms \n-----+----\n 0.8 |  2 \n 0.9 |  4 \n(2 rows)\n", ACC_MS, {0: [0.8, 2], 1: [0.9, 4]}),
    "an Org table": ("t.txt", "| acc | ms |\n|-----+----|\n| 0.8 | 2 |\n| 0.9 | 4 |\n", ACC_MS, {0: [0.8, 2], 1: [0.9, 4]}),
    "cells of spreadsheets and databases for no value": (
        "t.csv", "acc,ms\n#DIV/0!,1\n0.7,<NA>\n0.8,\\N\n0.6,N.A.\n0.9,4\n", ACC_MS, {4: [0.9, 4]}),
    "other signs in numbers": ("t.csv", "acc,ms\n−0.5,1_200\n0.9,12_000\n", ACC_MS, {0: [-0.5, 1200], 1: [0.9, 12000]}),
    "errors with units and percent signs": (
        "t.csv", "acc,ms\n76.1% ± 0.4%,3 ms ± 100 µs per loop\n$80.2\\% \\pm 0.1\\%$,5 ms ± 0.1 ms per loop\n".replace("\\%", "%"),
        ACC_MS, {0: [0.761, 3], 1: [0.802, 5]}),
    "errors in brackets before a unit": ("t.csv", "acc,ms\n(76.1 ± 0.4) %,3\n", ACC_MS, {0: [0.761, 3]}),
    "counts in millions and billions": (
        "t.csv", "model,acc,params\na,0.8,350M\nb,0.9,1.3B\n", "acc params", {0: [0.8, 0.35], 1: [0.9, 1.3]}),
    "rates with a count before the unit": ("t.csv", "acc,rate\n0.8,350 img/s\n0.9,0.2k img/s\n", "rate acc", {0: [0.35, 0.8]}),
    "money": ("t.csv", "acc,cost\n0.8,$0.35\n0.9,$1.20\n", "acc cost", {0: [0.8, 0.35], 1: [0.9, 1.2]}),
    "grams and kilograms": ("t.csv", "acc,co2\n0.8,120 g\n0.9,0.35 kg\n", "acc co2", {0: [0.8, 0.12], 1: [0.9, 0.35]}),
    "durations in parts": ("t.csv", "acc,took\n0.8,45m\n0.9,1h 20m\n", "acc took", {0: [0.8, 2700], 1: [0.9, 4800]}),
    "to_json() of pandas with names": (
        "t.json", '{"acc":{"a":0.8,"b":0.9},"ms":{"a":2,"b":4}}', ACC_MS, {0: [0.8, 2], 1: [0.9, 4]}),
    "objects by name": ("t.json", '{"a":{"acc":0.8,"ms":2},"b":{"acc":0.9,"ms":4}}', ACC_MS, {0: [0.8, 2], 1: [0.9, 4]}),
    "rows as spreadsheets hand them out": ("t.json", '[["model","acc","ms"],["a",0.8,2],["b",0.9,4]]', ACC_MS, {0: [0.8, 2], 1: [0.9, 4]}),
    "settings of lm-evaluation-harness": (
        "t.json", json.dumps({"results": {"arc": {"acc,none": 0.5}}, "config": {"model": "hf", "model_num_parameters": 7}}),
        "arc.acc config.model_num_parameters", {0: [0.5, 7]}),
}  # fmt: skip


@pytest.mark.parametrize("what", READ)
def test_it_is_read(tmp_path: Path, ecosel: Callable[..., Any], what: str) -> None:
    name, content, columns, front = READ[what]
    (tmp_path / name).write_text(content)
    quality, cost = columns.split("|") if "|" in columns else columns.split(" ")
    assert fronts(ecosel, [tmp_path / name], quality, cost) == {row: pytest.approx(values) for row, values in front.items()}


def fronts(ecosel: Callable[..., Any], paths: list[Path], quality: str, cost: str, *options: str) -> dict[int, list[float]]:
    outcome = ecosel("select", *paths, "--maximize", quality, "--minimize", cost, "--format", "json", *options)
    assert outcome.status == 0, outcome.err
    selection = json.loads(outcome.out)["groups"][0]["selections"][0]
    return {row: [selection["values"][str(row)][column] for column in (quality, cost)] for row in selection["front"]}


SAID = {
    "acc,ms\n0.8,OOM\n0.9,4\n": "'OOM' in row 0 is not a number (1 such cell); correct the file, exclude such rows with"
    " --where \"ms <> 'OOM'\", or",
    "acc,ms\n0.8,1\nacc,ms\n0.9,4\n": "'acc' in row 1 is not a number (1 such cell, the header again)",
    "acc,ms\n76.1 (0.4),2\n80.2 (0.1),4\n": "'76.1 (0.4)' in row 0 is not a number (2 such cells)",
    "acc,ms\n0.8,2024-01-01\n0.9,2024-02-01\n": "(2 such cells; a date is no number)",
    'acc,ms\n"0,8",1\n"0,9",4\n': "for decimal commas say --decimal comma",
    'model,acc,ms\n"a, b",0.9,10\n5" net,0.8,2\n': "correct the quotes, perhaps in line 3",
    'model,acc,ms\n"b" x,0.8,2\n': "correct the quotes, perhaps in line 2",
    "0.8,1\n0.9,4\n": "the columns are '0.8', '1'; does a line of names stand above the first row?",
    "model acc ms\nbig net 0.8 2\nnet 0.9 4\n": "blanks part them into different numbers of cells; save the table as CSV",
}


@pytest.mark.parametrize("content", SAID)
def test_it_is_reported_in_one_line(tmp_path: Path, ecosel: Callable[..., Any], content: str) -> None:
    (tmp_path / "t.txt").write_text(content)
    outcome = ecosel("select", tmp_path / "t.txt", "--maximize", "acc", "--minimize", "ms")
    assert outcome.status in (1, 2)
    assert (SAID[content] in outcome.err, outcome.err.count("\n")) == (True, 1), outcome.err


def test_the_row_that_the_message_names_can_be_left_out_so(tmp_path: Path, ecosel: Callable[..., Any]) -> None:
    (tmp_path / "t.csv").write_text("acc,ms\n0.8,OOM\n0.9,4\n")
    assert fronts(ecosel, [tmp_path / "t.csv"], "acc", "ms", "--where", "ms <> 'OOM'") == {1: [0.9, 4]}


def test_utf_16_and_a_zip_with_one_table_are_read(tmp_path: Path, ecosel: Callable[..., Any]) -> None:
    text = "model\tacc\tms\r\na\t0,8\t2\r\nb\t0,9\t4\r\n"
    (tmp_path / "t.txt").write_bytes(text.encode("utf-16"))
    with zipfile.ZipFile(tmp_path / "t.zip", "w", zipfile.ZIP_DEFLATED) as file:
        file.write(tmp_path / "t.txt", "results/t.csv")
        file.writestr("README", "no table")
    for path in (tmp_path / "t.txt", tmp_path / "t.zip"):
        assert fronts(ecosel, [path], "acc", "ms") == {0: [0.8, 2], 1: [0.9, 4]}


@pytest.mark.parametrize(
    ("files", "options", "said"),
    [
        ({"a.csv": "x", "b.csv": "x"}, (), "holds 2 tables; name one with --table: a.csv, b.csv"),
        ({"a.csv": "x", "b.csv": "x"}, ("--table", "c.csv"), "holds 2 tables; name one with --table: a.csv, b.csv"),
        ({"a.png": "x"}, (), "holds no table, but a.png"),
        ({"a.csv": "a,b\n" + "1,2\n" * 300_000}, ("--max-size", "1MB"), "a.csv unpacks to more than 200 times its size"),
    ],
)
def test_other_content_of_a_zip_is_reported(
    tmp_path: Path, ecosel: Callable[..., Any], files: dict[str, str], options: tuple[str, ...], said: str
) -> None:
    with zipfile.ZipFile(tmp_path / "t.zip", "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in files.items():
            file.writestr(name, content)
    outcome = ecosel("select", tmp_path / "t.zip", "--maximize", "a", "--minimize", "b", *options)
    assert (outcome.status, outcome.err.count("\n"), said in outcome.err) == (1, 1, True), outcome.err


@pytest.mark.parametrize("head", ["Name", "Model", "arch", "tags.mlflow.runName", "", "Unnamed: 0"])
def test_the_column_that_names_a_model_is_found(tmp_path: Path, ecosel: Callable[..., Any], head: str) -> None:
    (tmp_path / "t.csv").write_text(f'"{head}",acc,ms\nresnet,0.8,2\n')
    outcome = ecosel("select", tmp_path / "t.csv", "--maximize", "acc", "--minimize", "ms")
    assert outcome.out.startswith("Choose resnet: ")


def test_keys_that_never_fit_are_named(tmp_path: Path, ecosel: Callable[..., Any]) -> None:
    (tmp_path / "a.csv").write_text("model,acc\nnet.x,1\n")
    (tmp_path / "b.csv").write_text("model,ms\nnet,1\n")
    outcome = ecosel("select", tmp_path / "a.csv", tmp_path / "b.csv", "--join", "model", "--maximize", "acc", "--minimize", "ms")
    assert outcome.status == 1
    assert "they begin with 'net.x' and 'net'" in outcome.err


def test_blanks_around_names_and_text_of_a_frame_do_not_count() -> None:
    frame = pl.DataFrame({" model ": ["a ", "b"], "accuracy ": [0.8, 0.9], " ms": ["2 ", "3"], "x": [1, 2], " x": [3, 4]})
    chosen = select(frame, {"accuracy": "max", "ms": "min"}, labels=["model"])
    assert (chosen.label(0), chosen.models["ms"].to_list()) == ("a", [2, 3])
    assert select(frame, {"accuracy": "max", " x": "min"}).models[" x"].to_list() == [3, 4]
