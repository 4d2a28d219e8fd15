"""Several files: rows one after another where the objectives stand in each, or columns beside one another by a key."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from ecosel.readers.derived.combining import parse_key

OPTIONS = ("--maximize", "top1", "--minimize", "ms", "--format", "json")


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "results.csv").write_text("model,top1\na,80\nb,82\nc,85\n")
    (tmp_path / "speed.csv").write_text("model,ms\nc,9.5\na,2\nb,4\n")
    return tmp_path


def front(document: dict[str, Any]) -> dict[str, tuple[float, ...]]:
    choice = document["groups"][0]["selections"][0]
    return {choice["labels"][row]: tuple(values.values()) for row, values in choice["values"].items()}


def joined(ecosel: Callable[..., Any], folder: Path, *arguments: Any) -> dict[str, Any]:
    outcome = ecosel("select", *arguments, *OPTIONS)
    assert outcome.status == 0, outcome.err
    document: dict[str, Any] = json.loads(outcome.out)
    return document


def test_columns_of_two_files_stand_beside_one_another(files: Path, ecosel: Callable[..., Any]) -> None:
    document = joined(ecosel, files, files / "results.csv", files / "speed.csv", "--join", "model")
    assert front(document) == {"a": (80, 2), "b": (82, 4), "c": (85, 9.5)}
    assert document["groups"][0]["selections"][0]["front"] == [0, 1, 2]  # rows of the first file
    turned = joined(ecosel, files, files / "speed.csv", files / "results.csv", "--join", "model")
    assert front(turned) == front(document)


@pytest.mark.parametrize(
    ("speed", "key"),
    [
        ("name,ms\nc,9.5\na,2\nb,4\n", "model = name"),
        ("name,ms\nc.x,9.5\na.y,2\nb,4\n", "model = split_part(name, '.', 1)"),
        ("Model Name,ms\nC,9.5\nA,2\nB,4\n", 'model = lower("Model Name")'),
        ("Model Name,ms\nc,9.5\na,2\nb,4\n", "model = Model Name"),
        ("model;ms\n c ;9,5\na;2\nb;4\n", "model"),
    ],
)
def test_keys_may_have_other_names_and_be_computed(files: Path, ecosel: Callable[..., Any], speed: str, key: str) -> None:
    (files / "speed.csv").write_text(speed)
    document = joined(ecosel, files, files / "results.csv", files / "speed.csv", "--join", key)
    assert front(document) == {"a": (80, 2), "b": (82, 4), "c": (85, 9.5)}


def test_an_expression_alone_is_of_both_files(files: Path, ecosel: Callable[..., Any]) -> None:
    (files / "results.csv").write_text("model,top1\na.in1k,80\nb.in21k,82\nc,85\n")
    document = joined(ecosel, files, files / "results.csv", files / "speed.csv", "--join", "split_part(model, '.', 1)")
    assert [choice["front"] for choice in document["groups"][0]["selections"]] == [[0, 1, 2], [0, 1, 2]]


def test_several_keys_of_several_kinds_and_three_files(files: Path, ecosel: Callable[..., Any]) -> None:
    (files / "results.json").write_text('[{"m": "a", "size": 224, "top1": 80}, {"m": "a", "size": 384, "top1": 82}]')
    (files / "speed.csv").write_text("m,size,ms\na,384.0,4\na,224.0,2\n")
    (files / "size.csv").write_text("m,size,mb\na,224,5\na,384,5\n")
    names = [files / name for name in ("results.json", "speed.csv", "size.csv")]
    document = joined(ecosel, files, *names, "--join", "m", "--join", "size", "--where", "mb = 5", "--label", "size")
    assert front(document) == {"224": (80, 2), "384": (82, 4)}


def test_rows_that_fit_nothing_are_counted_and_listed_on_request(files: Path, ecosel: Callable[..., Any]) -> None:
    with (files / "results.csv").open("a") as file:
        file.writelines(f"x{k},1\n" for k in range(8))
    arguments = (files / "results.csv", files / "speed.csv", "--join", "model")
    (remark, *_) = joined(ecosel, files, *arguments)["remarks"]
    assert remark == f"8 rows of {files / 'results.csv'} match no row of {files / 'speed.csv'}: x0, x1, x2, x3, x4 and 3 more"
    assert joined(ecosel, files, *arguments, "--left-out")["remarks"][0].endswith("x3, x4, x5, x6, x7")


def test_columns_of_one_name_get_their_file_as_prefix(files: Path, ecosel: Callable[..., Any]) -> None:
    (files / "speed.csv").write_text("model,ms,top1\nc,9.5,1\na,2,2\nb,4,3\n")
    base = ("select", files / "results.csv", files / "speed.csv", "--join", "model", "--minimize", "ms")
    assert "did you mean 'results.top1' or 'speed.top1'?" in ecosel(*base, "--maximize", "top1").err
    document = json.loads(ecosel(*base, "--maximize", "speed.top1", "--format", "json").out)
    assert front(document) == {"a": (2, 2), "b": (3, 4)}


@pytest.mark.parametrize("twice", ["results", "speed"])
def test_a_key_that_is_not_unique_stops_with_an_example(files: Path, ecosel: Callable[..., Any], twice: str) -> None:
    with (files / f"{twice}.csv").open("a") as file:
        file.write("b,5\n")
    outcome = ecosel("select", files / "results.csv", files / "speed.csv", "--join", "model", *OPTIONS)
    at = "1 and 3" if twice == "results" else "2 and 3"
    assert (outcome.status, outcome.out) == (1, "")
    assert f"the key 'b' occurs 2 times in {files / f'{twice}.csv'}, in rows {at}; keys must be unique" in outcome.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--join", "modle"), "--join 'modle': no column 'modle'; did you mean 'model'?"),
        (("--join", "a = b = c"), "name a column, or two as in --join 'name = model'"),
        (("--join", " = b"), "name a column, or two as in --join 'name = model'"),
        (("--join", "model = speed"), "no column 'speed'"),
    ],
)
def test_wrong_keys_are_named(files: Path, ecosel: Callable[..., Any], arguments: tuple[str, ...], words: str) -> None:
    outcome = ecosel("select", files / "results.csv", files / "speed.csv", *arguments, *OPTIONS)
    assert (outcome.status, outcome.err.count("\n")) == (2, 1)
    assert words in outcome.err
    assert "needs two or more files" in ecosel("select", files / "results.csv", "--join", "model", *OPTIONS).err


def test_an_equals_sign_in_quotes_or_in_a_comparison_does_not_part_a_key() -> None:
    assert parse_key("replace(m, '=', '')").first.sql == "replace(m, '=', '')"
    assert parse_key('"a=b" = c').first.sql == '"a=b"'


def test_a_join_agrees_with_a_slow_twin(tmp_path: Path, ecosel: Callable[..., Any]) -> None:
    rng = np.random.default_rng(7)
    left, right = rng.permutation(60)[:40], rng.permutation(60)[:40]
    top1 = dict(zip(left.tolist(), rng.integers(1, 99, 40).tolist(), strict=True))
    ms = dict(zip(right.tolist(), rng.integers(1, 99, 40).tolist(), strict=True))
    pl.DataFrame({"k": list(top1), "top1": list(top1.values())}).write_csv(tmp_path / "l.csv")
    pl.DataFrame({"k": list(ms), "ms": list(ms.values())}).write_parquet(tmp_path / "r.parquet")
    document = json.loads(ecosel("select", tmp_path / "l.csv", tmp_path / "r.parquet", "--join", "k", *OPTIONS).out)
    both = [(row, top1[k], ms[k]) for row, k in enumerate(top1) if k in ms]
    expected = [a[0] for a in both if not any(b[1] >= a[1] and b[2] <= a[2] and b[1:] != a[1:] for b in both)]
    assert document["groups"][0]["selections"][0]["front"] == expected
    assert document["archive"]["used"] == len(both)


def test_files_with_other_columns_are_combined_if_each_has_the_objectives(tmp_path: Path, ecosel: Callable[..., Any]) -> None:
    (tmp_path / "a.json").write_text('{"run": "a", "top1": 80, "ms": 2, "gpu.0.power": 100}')
    (tmp_path / "b.json").write_text('{"run": "b", "top1": 82, "ms": 4}')
    (tmp_path / "c.json").write_text('{"run": "c", "top1": "85", "ms": 9.5, "gpu.1.power": "n/a", "note": [1]}')
    document = joined(ecosel, tmp_path, tmp_path / "*.json", "--label", "run", "--label", "source")
    assert {name.split(" / ")[0]: values for name, values in front(document).items()} == {
        "a": (80, 2),
        "b": (82, 4),
        "c": (85, 9.5),
    }
    filtered = joined(ecosel, tmp_path, tmp_path / "*.json", "--where", '"gpu.0.power" > 50', "--label", "run")
    assert front(filtered) == {"a": (80, 2)}
