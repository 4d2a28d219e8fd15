"""What the command line prints, in every form, and what it loads to do so."""

from __future__ import annotations

import io
import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from ecosel.cli import COMMANDS
from ecosel.samples import sample
from tests.conftest import environment

YOUNG = str(sample("young2019.csv"))
DIGITS = str(sample("digits_mlp.csv"))


def python(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, env=environment(), check=False, **options)


@pytest.mark.parametrize("arguments", [["-m", "ecosel", "--help"], ["-c", "from ecosel.cli import main; main(['--help'])"]])
def test_help_names_every_command(arguments: list[str]) -> None:
    outcome = python(*arguments)
    assert outcome.returncode == 0
    for command in COMMANDS:
        assert f"  {command} " in outcome.stdout


def test_the_version_is_reported(ecosel: Callable[..., Any]) -> None:
    from ecosel import __version__

    assert __version__ in ecosel("--version").out


def test_a_misspelt_command_gets_a_proposal(ecosel: Callable[..., Any]) -> None:
    outcome = ecosel("selct", YOUNG)
    assert (outcome.status, outcome.err) == (2, "ecosel: no command 'selct'; did you mean 'select'? (ecosel --help)\n")


def test_json_follows_the_contract(ecosel: Callable[..., Any]) -> None:
    document = json.loads(ecosel("select", YOUNG, "--by", "dataset", "--preset", "paper", "--format", "json").out)
    assert document["archive"] == {
        "path": YOUNG,
        "rows": 10,
        "used": 10,
        "left_out": {"missing": 0, "filtered": 0, "unfinished": 0},
    }
    assert document["rule"]["weights"] == dict.fromkeys(
        ("accuracy", "inference_time_s", "parameters", "energy_per_inference_j"), 1.0
    )
    assert document["rule"]["ideal"] == {
        "accuracy": 1.0,
        "inference_time_s": 0.0,
        "parameters": 0.0,
        "energy_per_inference_j": 0.0,
    }
    assert [group["group"] for group in document["groups"]] == [{"dataset": name} for name in ("CIFAR-10", "CIFAR-100", "CINIC")]
    pair, *_, joint = document["groups"][1]["selections"]
    assert (pair["kind"], joint["kind"]) == ("pair", "joint")
    assert pair["objectives"] == [
        {"column": "accuracy", "sense": "max"},
        {"column": "inference_time_s", "sense": "min"},
    ]
    assert pair["front"] == [2, 3, 4, 5]
    assert pair["picks"] == {"best:accuracy": [3], "best:inference_time_s": [2], "trade_off": [2]}
    assert pair["labels"] == {"2": "C", "3": "D"}
    assert sum(pair["acceptability"].values()) == pytest.approx(1)
    assert len(joint["objectives"]) == 4


def test_without_groups_the_group_is_null(ecosel: Callable[..., Any]) -> None:
    assert json.loads(ecosel("select", YOUNG, "--format", "json").out)["groups"][0]["group"] is None


@pytest.mark.parametrize("form", ["table", "json", "csv", "ndjson", "markdown"])
def test_the_same_input_gives_the_same_bytes(form: str, ecosel: Callable[..., Any]) -> None:
    first, second = (ecosel("select", DIGITS, "--format", form) for _ in range(2))
    assert first.out == second.out
    assert first.out.endswith("\n")


def test_all_forms_hold_the_same_picks(tmp_path: Path, ecosel: Callable[..., Any]) -> None:
    for suffix in ("csv", "ndjson", "parquet", "json"):
        assert ecosel("select", YOUNG, "--by", "dataset", "-o", tmp_path / f"out.{suffix}").out == ""
    frame = pl.read_parquet(tmp_path / "out.parquet")
    assert pl.read_csv(tmp_path / "out.csv").equals(frame.cast(pl.read_csv(tmp_path / "out.csv").schema))
    assert pl.read_ndjson(tmp_path / "out.ndjson").height == frame.height
    document = json.loads((tmp_path / "out.json").read_text())
    picks = [row for g in document["groups"] for s in g["selections"] for rows in s["picks"].values() for row in rows]
    assert frame["row"].to_list() == picks
    assert frame.columns[:6] == ["group:dataset", "kind", "objectives", "role", "row", "label"]


def test_markdown_is_a_table_with_the_pick_in_bold(ecosel: Callable[..., Any]) -> None:
    out = ecosel("select", YOUNG, "--by", "dataset", "--format", "markdown").out
    assert "|  | row | model | accuracy | inference\\_time\\_s | distance | wins |" in out
    assert "| **\\>** | **0** | **A** |" in out


def test_the_table_fits_80_columns_and_states_rule_ideal_and_scale(ecosel: Callable[..., Any]) -> None:
    for options in ([YOUNG, "--by", "dataset"], [DIGITS], [YOUNG, "--weight", "accuracy=3", "--top", "4"]):
        out = ecosel("select", *options).out
        assert max(map(len, out.splitlines())) <= 80
        assert "scale max" in out
        assert "  ideal " in out
        assert "  scale " in out
    assert " weight " in out


def test_the_gain_against_the_most_accurate_model_is_reported(ecosel: Callable[..., Any]) -> None:
    # A 80.24 % for 3.39 s, B 81.82 % for 6.85 s: 98.07 % and 49.49 %
    out = " ".join(ecosel("select", YOUNG, "--where", "dataset = 'CIFAR-10'").out.split())
    assert out.startswith("Choose A: 80.2 % accuracy, 3.39 s inference time, 1.07 M parameters, 16 mJ energy per inference.")
    assert "Against B, the most accurate (81.8 %): 1.6 points less accuracy, 51 % less inference time, 96 % fewer" in out


def test_ties_are_marked(tmp_path: Path, ecosel: Callable[..., Any]) -> None:
    (tmp_path / "t.csv").write_text("q,c\n1,2\n1,2\n0,1\n")
    out = ecosel("select", tmp_path / "t.csv", "--maximize", "q", "--minimize", "c").out
    assert "Tie: 2 models are equally close, rows 0, 1." in out


def test_front_holds_all_used_rows_with_all_their_columns(tmp_path: Path, ecosel: Callable[..., Any]) -> None:
    for suffix, read in ((".csv", pl.read_csv), (".parquet", pl.read_parquet), (".ndjson", pl.read_ndjson)):
        ecosel("select", YOUNG, "--by", "dataset", "--where", "model <> 'A'", "--front", tmp_path / f"front{suffix}")
        frame = read(tmp_path / f"front{suffix}")
        assert frame["row"].to_list() == list(range(1, 10))
        assert set(pl.read_csv(YOUNG).columns) | {"row", "on_front", "rank", "distance"} == set(frame.columns)
        assert frame["on_front"].to_list() == (frame["rank"] == 0).to_list()
        assert frame.filter("on_front").height == 9


def test_a_wide_table_is_broken_into_blocks_and_no_number_is_cut(tmp_path: Path, ecosel: Callable[..., Any]) -> None:
    columns = [f"metric_number_{k}" for k in range(9)]
    rows = [[1_234_567_890 + 1000 * (i if k % 2 else -i) + k for k in range(9)] for i in range(3)]
    content = (
        "model," + ",".join(columns) + "\n" + "".join(f"m{i}," + ",".join(map(str, row)) + "\n" for i, row in enumerate(rows))
    )
    (tmp_path / "wide.csv").write_text(content)
    out = ecosel(
        "select", tmp_path / "wide.csv", *(part for c in columns for part in ("--minimize", c)), "--no-pairs", "--top", "3"
    ).out
    assert max(map(len, out.splitlines())) <= 80
    for row in rows:
        for value in row:
            assert f"{value:,}" in out
    assert "distance" in out
    assert "wins" in out
    assert out.count("m0") > 1


def test_a_tie_of_mirrored_models_is_not_certainty(tmp_path: Path, ecosel: Callable[..., Any]) -> None:
    (tmp_path / "t.csv").write_text("a,b\n1,2\n2,1\n")
    out = ecosel("select", tmp_path / "t.csv", "--minimize", "a", "--minimize", "b").out
    assert "every weighting" not in out
    assert "row 0 is the best trade-off under 50 % of all weightings" in out


def test_models_of_the_same_name_are_told_apart(tmp_path: Path, ecosel: Callable[..., Any]) -> None:
    (tmp_path / "t.csv").write_text("model,accuracy,cost\nnet,0.9,10\nnet,0.8,1\n")
    out = ecosel("select", tmp_path / "t.csv", "--maximize", "accuracy", "--minimize", "cost").out
    assert (
        "Choose net (row 1): 80 % accuracy, cost 1. Against net (row 0), the most accurate (90 %): 10 points less accuracy, 90 % lower cost."
        in " ".join(out.split())
    )


def test_several_pairs_without_a_joint_selection_cannot_be_marked(tmp_path: Path, ecosel: Callable[..., Any]) -> None:
    outcome = ecosel("select", YOUNG, "--no-joint", "--front", tmp_path / "f.csv")
    assert (outcome.status, list(tmp_path.iterdir())) == (2, [])


def test_columns_called_like_the_marks_are_kept_beside_them(tmp_path: Path, ecosel: Callable[..., Any]) -> None:
    (tmp_path / "d.csv").write_text("acc,cost,rank\n0.9,10,7\n0.8,5,8\n")
    ecosel("select", tmp_path / "d.csv", "--maximize", "acc", "--minimize", "cost", "--front", tmp_path / "f.csv")
    frame = pl.read_csv(tmp_path / "f.csv")
    assert (frame["rank"].to_list(), frame["archive:rank"].to_list()) == ([0, 0], [7, 8])


def test_resampled_shares_stand_in_the_marked_rows(tmp_path: Path, ecosel: Callable[..., Any]) -> None:
    ecosel("select", DIGITS, "--front", tmp_path / "f.csv")
    frame = pl.read_csv(tmp_path / "f.csv")
    off_front = frame.filter(~pl.col("on_front"))
    assert 0 < off_front["probability_on_front"].max() < 1  # type: ignore[operator]
    assert frame["probability_pick"].sum() == pytest.approx(1, abs=0.01)


def test_every_form_states_the_rule(ecosel: Callable[..., Any]) -> None:
    for form in ("csv", "ndjson"):
        out = ecosel("select", YOUNG, "--weight", "accuracy=3", "--format", form).out
        frame = (pl.read_csv if form == "csv" else pl.read_ndjson)(out.encode())
        assert json.loads(frame["rule"][0])["weights"]["accuracy"] == 3
    assert "accuracy: ideal 1, scale 1, weight 3" in ecosel("why", YOUNG, "0", "--weight", "accuracy=3").out


def test_rows_left_out_are_counted_and_listed_on_request(tmp_path: Path, ecosel: Callable[..., Any]) -> None:
    (tmp_path / "m.csv").write_text("q,c\n1,N/A\n1,2\n,-\n")
    outcome = ecosel("select", tmp_path / "m.csv", "--maximize", "q", "--minimize", "c", "--left-out")
    assert "1 of 3 models used (2 miss a value)" in " ".join(outcome.out.split())
    assert outcome.err == "row 0: no value in c\nrow 2: no value in q, c\n"


def test_columns_are_found_in_any_case(ecosel: Callable[..., Any]) -> None:
    assert ecosel("select", YOUNG, "--maximize", "ACCURACY", "--minimize", "Parameters").status == 0


def test_a_derived_column_is_an_objective(tmp_path: Path, ecosel: Callable[..., Any]) -> None:
    (tmp_path / "p.csv").write_text('acc,seconds,watts\n0.9,10,"1,000"\n0.8,20,10\n')
    outcome = ecosel("select", tmp_path / "p.csv", "--derive", "energy = seconds * watts / 1000.0", "--maximize", "acc",
                     "--minimize", "energy", "--format", "json")  # fmt: skip
    values = json.loads(outcome.out)["groups"][0]["selections"][0]["values"]
    assert values == {"1": {"acc": 0.8, "energy": 0.2}, "0": {"acc": 0.9, "energy": 10.0}}


def test_a_derived_column_keeps_small_numbers(tmp_path: Path, ecosel: Callable[..., Any]) -> None:
    # polars computes 1.0 * integer as a decimal of seven digits: 3e-9 would become 0, the best energy of all
    (tmp_path / "p.csv").write_text("acc,nj\n1,3\n2,6\n")
    outcome = ecosel(
        "select",
        tmp_path / "p.csv",
        "--derive",
        "j = 1.0 * nj / 1000000000",
        "--maximize",
        "acc",
        "--minimize",
        "j",
        "--format",
        "json",
    )
    values = json.loads(outcome.out)["groups"][0]["selections"][0]["values"]
    assert [values[row]["j"] for row in ("0", "1")] == pytest.approx([3e-9, 6e-9])


def test_without_objectives_numeric_columns_and_an_example_are_reported(tmp_path: Path, ecosel: Callable[..., Any]) -> None:
    (tmp_path / "t.csv").write_text("name,top1,params\na,1,2\n")
    outcome = ecosel("select", tmp_path / "t.csv")
    assert outcome.status == 2
    assert "numeric columns: top1, params" in outcome.err
    assert "--maximize COL --minimize COL" in outcome.err


def test_escape_sequences_in_names_do_not_reach_the_terminal(tmp_path: Path, ecosel: Callable[..., Any]) -> None:
    (tmp_path / "t.csv").write_text("model,acc,cost\n\x1b[2Jevil\x07,0.5,1\n[bold]b,0.9,2\n")
    options = ("select", tmp_path / "t.csv", "--maximize", "acc", "--minimize", "cost")
    for form in ("table", "markdown"):
        out = ecosel(*options, "--format", form).out
        assert "\x1b" not in out
        assert "evil" in out
        assert "bold" in out


def test_standard_input_is_read(tmp_path: Path) -> None:
    outcome = python("-m", "ecosel", "select", "-", "--format", "json", input=Path(YOUNG).read_text())
    assert json.loads(outcome.stdout)["archive"]["path"] == "standard input"


def test_a_closed_pipe_is_not_an_error() -> None:
    command = f"{sys.executable} -m ecosel select {YOUNG} --by dataset --format ndjson | head -1"
    outcome = subprocess.run(["bash", "-c", command], capture_output=True, text=True, env=environment(), check=False)
    assert outcome.stdout.count("\n") == 1
    assert outcome.stderr == ""


def on_terminal(*arguments: str, **extra: str) -> str:
    """Run select on a pseudo-terminal and return what it shows."""
    parent, child = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "ecosel", "select", *(arguments or (YOUNG,))],
        stdout=child,
        stderr=child,
        env=environment(TERM="xterm-256color", **extra),
    ):
        os.close(child)
        shown = io.BytesIO()
        while True:
            try:
                chunk = os.read(parent, 65536)
            except OSError:  # the other end is closed
                break
            if not chunk:
                break
            shown.write(chunk)
    os.close(parent)
    return shown.getvalue().decode()


@pytest.mark.parametrize("form", ["table", "csv", "ndjson", "json", "markdown"])
def test_names_cannot_control_the_terminal_in_any_format(form: str, tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("model,acc\x1b]0;x\x07,cost\na\x1b[2J\u202e\x9b,1,2\nb,,1\n")
    shown = on_terminal(str(tmp_path / "m.csv"), "--maximize", "acc\x1b]0;x\x07", "--minimize", "cost", "--format", form,
                        "--left-out", NO_COLOR="1")  # fmt: skip
    assert "2J" in shown
    assert not set(shown) & set("\x1b\x07\x9b\u202e")


def test_no_color_is_obeyed_on_a_terminal() -> None:
    assert "\x1b[" in on_terminal()
    assert "\x1b" not in on_terminal(NO_COLOR="1")


def test_debug_shows_the_traceback() -> None:
    assert "Traceback" in python("-m", "ecosel", "--debug", "select", "nowhere.csv").stderr
    assert "Traceback" not in python("-m", "ecosel", "select", "nowhere.csv").stderr


def test_why_tells_dominators_weighting_and_neighbours(ecosel: Callable[..., Any]) -> None:
    out = ecosel("why", YOUNG, "--by", "dataset", "J").out
    assert out.startswith("J (row 9): accuracy 0.637")
    assert "It is dominated by\n    G (row 6): accuracy 0.6393 (+0.361 %), inference_time_s 26.62 (-0.56 %)" in out
    assert "On the front, but not the best trade-off, which is I (row 8)." in out
    assert "under 12.1 % of all weightings" in out
    assert max(map(len, out.splitlines())) <= 80


def test_why_as_json_names_all_dominators(ecosel: Callable[..., Any]) -> None:
    document = json.loads(ecosel("why", YOUNG, "--no-joint", "9", "--by", "dataset", "--format", "json").out)
    assert (document["row"], document["label"], document["group"]) == (9, "J", {"dataset": "CINIC"})
    assert [s["dominated_by"] for s in document["selections"]] == [[6], [], []]
    assert document["selections"][0]["compared_with"][0]["difference"]["accuracy"] == pytest.approx(0.0023)


def test_why_about_an_unknown_model_is_reported(ecosel: Callable[..., Any]) -> None:
    outcome = ecosel("why", YOUNG, "Z")
    assert (outcome.status, outcome.out) == (2, "")
    assert "no model is called 'Z'; give a row (0 to " in outcome.err


def document_of(ecosel: Callable[..., Any], folder: Path, content: str, *options: str) -> dict[str, Any]:
    (folder / "d.csv").write_text(content)
    outcome = ecosel("select", folder / "d.csv", "--maximize", "acc", "--minimize", "cost", *options, "--format", "json")
    assert (outcome.status, outcome.err) == (0, "")
    document: dict[str, Any] = json.loads(outcome.out)
    return document


def test_nan_and_infinity_are_missing_in_a_condition(tmp_path: Path, ecosel: Callable[..., Any]) -> None:
    document = document_of(ecosel, tmp_path, "acc,cost,v\n1,2,NaN\n3,4,7\n9,9,inf\n", "--where", "v > 6")
    assert document["groups"][0]["selections"][0]["front"] == [1]


def test_integers_beyond_the_floats_are_distinguished_in_a_condition(tmp_path: Path, ecosel: Callable[..., Any]) -> None:
    content = "acc,cost,id\n1,2,9007199254740993\n5,3,9007199254740992\n"
    assert document_of(ecosel, tmp_path, content, "--where", "id = 9007199254740993")["archive"]["used"] == 1


def test_labels_and_groups_keep_their_text(tmp_path: Path, ecosel: Callable[..., Any]) -> None:
    content = "name,g,acc,cost\n007,007,1,2\n1.10,7,2,1\n"
    document = document_of(ecosel, tmp_path, content, "--by", "g")
    assert [group["group"] for group in document["groups"]] == [{"g": "007"}, {"g": "7"}]
    assert document["groups"][1]["selections"][0]["labels"] == {"1": "1.10"}
    assert document["groups"][0]["selections"][0]["labels"] == {"0": "007"}


def test_groups_of_whole_numbers_are_numbers_and_no_value_is_null(tmp_path: Path, ecosel: Callable[..., Any]) -> None:
    document = document_of(ecosel, tmp_path, "batch,acc,cost\n32,1,2\n64,2,1\n,3,3\n", "--by", "batch", "--by", "batch")
    assert [group["group"] for group in document["groups"]] == [{"batch": 32}, {"batch": 64}, {"batch": None}]


def test_an_objective_called_like_a_column_of_the_answer_stands_beside_it(tmp_path: Path, ecosel: Callable[..., Any]) -> None:
    (tmp_path / "d.csv").write_text("acc,row,distance\n0.9,10,3\n0.8,5,3\n")
    outcome = ecosel(
        "select",
        tmp_path / "d.csv",
        "--maximize",
        "acc",
        "--minimize",
        "row",
        "--minimize",
        "distance",
        "--format",
        "csv",
    )
    frame = pl.read_csv(outcome.out.encode())
    assert set(frame["row"]) == {0, 1}
    assert set(frame["objective:row"].drop_nulls()) == {10, 5}
    assert set(frame["objective:distance"].drop_nulls()) == {3}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("cells", [["-1.7e308", "1.7e308", "0"], ["1e308", "1e308", "1"], ["5e-324", "1e-320", "1"]])
def test_the_largest_and_smallest_floats_give_finite_distances(
    cells: list[str], tmp_path: Path, ecosel: Callable[..., Any]
) -> None:
    content = "acc,cost,c2\n" + "".join(f"{k},{k + 5},{cell}\n" for k, cell in enumerate(cells))
    for options in ([], ["--scale", "range"], ["--scale", "archive-range"], ["--weight", "c2=0"]):
        document = document_of(ecosel, tmp_path, content, "--minimize", "c2", *options)
        for selection in document["groups"][0]["selections"]:
            assert selection["distance"] >= 0
            assert sum(selection["acceptability"].values()) >= 0.99


def test_nested_columns_are_written_as_text(tmp_path: Path, ecosel: Callable[..., Any]) -> None:
    frame = pl.DataFrame({"acc": [0.9, 0.8], "cost": [2, 1], "layers": [[1, 2], [3]], "blob": [b"x", None]})
    frame.write_parquet(tmp_path / "n.parquet")
    for suffix in (".csv", ".ndjson"):
        outcome = ecosel(
            "select",
            tmp_path / "n.parquet",
            "--maximize",
            "acc",
            "--minimize",
            "cost",
            "--front",
            tmp_path / f"f{suffix}",
        )
        assert outcome.status == 0, outcome.err
        assert "[1, 2]" in (tmp_path / f"f{suffix}").read_text()


def test_names_of_columns_do_not_steer_the_terminal(tmp_path: Path, ecosel: Callable[..., Any]) -> None:
    column = "co\x1b[31mst"
    (tmp_path / "d.csv").write_text(f"acc,{column}\n0.9,10\n0.8,5\n")
    options = (tmp_path / "d.csv", "--maximize", "acc", "--minimize", column)
    for arguments in (
        ("why", options[0], "1", *options[1:]),
        ("select", *options),
        ("select", *options, "--format", "markdown"),
        ("select", *options, "--where", "x"),
    ):
        outcome = ecosel(*arguments)
        assert "\x1b" not in outcome.out + outcome.err


def test_brackets_in_the_name_of_an_arrow_file_are_not_a_pattern(tmp_path: Path, ecosel: Callable[..., Any]) -> None:
    pl.read_csv(YOUNG).write_ipc(tmp_path / "b[1].arrow")
    assert ecosel("select", tmp_path / "b[1].arrow").status == 0


def test_a_file_name_that_is_not_utf_8_is_read(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"n\xff.csv")).write_bytes(Path(YOUNG).read_bytes())
    outcome = subprocess.run(
        [sys.executable.encode(), b"-m", b"ecosel", b"select", os.fsencode(tmp_path) + b"/n\xff.csv"],
        capture_output=True,
        env=environment(),
        check=False,
    )
    assert (outcome.returncode, outcome.stderr) == (0, b"")


def test_generated_columns_of_a_database_are_columns(tmp_path: Path, ecosel: Callable[..., Any]) -> None:
    import sqlite3

    with sqlite3.connect(tmp_path / "g.db") as database:
        database.execute("CREATE TABLE t (acc, c, cost AS (c * 2))")
        database.execute("INSERT INTO t (acc, c) VALUES (1, 2)")
    assert ecosel("select", tmp_path / "g.db", "--maximize", "acc", "--minimize", "cost").status == 0


def test_models_of_one_name_are_told_apart_by_what_differs(tmp_path: Path, ecosel: Callable[..., Any]) -> None:
    (tmp_path / "t.csv").write_text("model,batch,acc,ms\nnet,8,0.8,1\nnet,64,0.9,2\nnet,32,0.7,9\n")
    outcome = ecosel("select", tmp_path / "t.csv", "--maximize", "acc", "--minimize", "ms")
    assert outcome.out.startswith("Choose net · batch 64: acc 0.9, ms 2.\n")
    assert "net · batch 8" in outcome.out
    assert "(row" not in outcome.out
