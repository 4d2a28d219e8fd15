"""What an ONNX file may not do: name operators outside it, reach outside its folder, or say more than it holds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from profilers.errors import ModelError
from profilers.models.onnx import checking
from profilers.models.onnx.checking import check_file, digest, external_files
from profilers.models.onnx.graph import Constants
from tests.profilers.models.onnx import files
from tests.profilers.models.onnx.files import helper, node, onnx, tensor


def refused(path: Path) -> str:
    with pytest.raises(ModelError) as error:
        check_file(path)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_plain_model_and_one_with_its_weights_beside_it_pass(tmp_path: Path) -> None:
    one, two = files.save(files.network(), tmp_path / "one.onnx"), files.save_apart(files.network(), tmp_path / "two.onnx")
    assert external_files(one, check_file(one)) == []
    assert external_files(two, check_file(two)) == [tmp_path / "two.onnx.data"]


def test_the_digest_is_of_the_weights_beside_it_too(tmp_path: Path) -> None:
    path = files.save_apart(files.network(), tmp_path / "net.onnx")
    before = digest(path, check_file(path))
    data = tmp_path / "net.onnx.data"
    data.write_bytes(data.read_bytes()[:-1] + b"\x55")
    assert digest(path, check_file(path)) != before


def test_the_weights_beside_it_are_not_read(tmp_path: Path) -> None:
    path = files.save_apart(files.network(), tmp_path / "net.onnx")
    model = check_file(path)
    assert [len(one.raw_data) for one in model.graph.initializer] == [0, 0, 0, 0]


FOREIGN: dict[str, Callable[[], Any]] = {
    "a domain of somebody's": lambda: [node("Evil", "x", "y", domain="my.ops")],
    "torch's own operators": lambda: [node("ATen", "x", "y", domain="org.pytorch.aten")],
    "extensions of ONNX Runtime": lambda: [node("StringLength", "x", "y", domain="ai.onnx.contrib")],
    "inside control flow": lambda: [
        node("Cast", "x", "c", to=9),
        node(
            "If", "c", "y",
            then_branch=helper.make_graph([node("Evil", "x", "z", domain="my.ops")], "t", [], [helper.make_tensor_value_info("z", 1, None)]),
            else_branch=helper.make_graph([node("Identity", "x", "z2")], "e", [], [helper.make_tensor_value_info("z2", 1, None)]),
        ),
    ],
}  # fmt: skip


@pytest.mark.parametrize("what", FOREIGN)
def test_operators_that_are_code_outside_the_file_are_refused(what: str, tmp_path: Path) -> None:
    path = files.save(files.model(FOREIGN[what](), [], {"x": [1]}), tmp_path / "net.onnx")
    assert "which are code outside the file; only those of ONNX and com.microsoft are allowed" in refused(path)


@pytest.mark.parametrize("operator", ["EPContext", "PythonOp"])
def test_operators_of_microsoft_that_load_more_are_refused(operator: str, tmp_path: Path) -> None:
    path = files.save(files.model([node(operator, "x", "y", domain="com.microsoft")], [], {"x": [1]}), tmp_path / "net.onnx")
    assert refused(path).endswith(f"uses {operator}, which loads code from outside the file; it is not run")


def test_functions_of_the_files_own_are_refused(tmp_path: Path) -> None:
    function = helper.make_function("mine", "Twice", ["a"], ["b"], [node("Add", "a a", "b")], [helper.make_opsetid("", 20)])
    made = files.model([node("Twice", "x", "y", domain="mine")], [], {"x": [1]}, functions=[function])
    assert "defines functions of its own (mine); inline them: onnx.inliner" in refused(files.save(made, tmp_path / "net.onnx"))


@pytest.mark.parametrize(
    ("location", "words"),
    [
        ("../weights", "outside the model's folder"),
        ("sub/../../weights", "outside the model's folder"),
        ("/etc/hostname", "outside the model's folder"),
        ("..\\weights", "outside the model's folder"),
        ("C:weights", "outside the model's folder"),
        ("", "outside the model's folder"),
        ("missing", "which is missing"),
        ("folder", "which is missing"),
        ("link", "which is a link"),
        ("linked/weights", "which is a link"),
        ("short", "is missing from the place that the file states"),
    ],
)
def test_weights_outside_the_folder_are_not_read(location: str, words: str, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    (folder / "folder").mkdir(parents=True)
    (tmp_path / "weights").write_bytes(bytes(20_000))
    (folder / "link").symlink_to(tmp_path / "weights")
    (folder / "linked").symlink_to(tmp_path)
    (folder / "short").write_bytes(bytes(100))
    path = files.save_apart(files.network(), folder / "net.onnx")
    made = onnx.load(str(path), load_external_data=False)
    for one in made.graph.initializer:
        one.external_data[0].value = location
    (folder / "net.onnx").write_bytes(made.SerializeToString())
    assert words in refused(path)


@pytest.mark.parametrize(
    ("key", "value"), [("offset", "-8"), ("offset", "99999999"), ("offset", "1e3"), ("length", "3"), ("length", "-1")]
)
def test_weights_that_are_not_where_the_file_says_are_refused(key: str, value: str, tmp_path: Path) -> None:
    path = files.save_apart(files.network(), tmp_path / "net.onnx")
    made = onnx.load(str(path), load_external_data=False)
    entry = next(one for one in made.graph.initializer[0].external_data if one.key == key)
    entry.value = value
    path.write_bytes(made.SerializeToString())
    assert "is missing from the place that the file states, 'net.onnx.data'" in refused(path)


def test_external_data_of_a_constant_in_a_branch_is_checked_too(tmp_path: Path) -> None:
    hidden = tensor("t", 4)
    hidden.ClearField("raw_data")
    hidden.data_location = 1
    hidden.external_data.add(key="location", value="../secret")
    branch = helper.make_graph([node("Constant", "", "z", value=hidden)], "t", [], [helper.make_tensor_value_info("z", 1, None)])
    made = files.model(
        [node("Cast", "x", "c", to=9), node("If", "c", "y", then_branch=branch, else_branch=branch)], [], {"x": [1]}
    )
    assert "outside the model's folder" in refused(files.save(made, tmp_path / "net.onnx"))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda one: one.dims.__setitem__(0, 1 << 40), "but its shape needs"),
        (lambda one: one.dims.__setitem__(0, -4), "has a negative size"),
        (lambda one: setattr(one, "data_type", 99), "has the type 99"),
        (lambda one: (one.ClearField("raw_data"), one.float_data.extend([1.0])), "holds less data than its shape needs"),
    ],
)
def test_a_tensor_that_says_more_than_it_holds_is_refused(change: Callable[[Any], object], words: str, tmp_path: Path) -> None:
    made = files.network()
    change(made.graph.initializer[0])
    assert words in refused(files.save(made, tmp_path / "net.onnx"))


def test_a_file_that_is_cut_short_anywhere_ends_in_one_line_or_has_lost_an_end_that_nobody_needs(tmp_path: Path) -> None:
    content = files.network().SerializeToString()
    path = tmp_path / "net.onnx"
    refusals = []
    for length in range(0, len(content), 97):
        path.write_bytes(content[:length])
        try:
            check_file(path)
        except ModelError as error:
            refusals.append(str(error))
    assert len(refusals) > 100
    assert not any("\n" in refusal for refusal in refusals)


def test_names_that_are_not_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(files.network().SerializeToString().replace(b"Relu", b"Re\xff\xfe"))
    assert "has names that are not text" in refused(path)


def test_a_graph_that_takes_minutes_to_look_at_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checking, "_MOST_NODES", 5)
    nodes = [files.node("Identity", f"v{k}" if k else "x", f"v{k + 1}" if k < 8 else "y") for k in range(9)]
    (tmp_path / "m.onnx").write_bytes(files.model(nodes, [], {"x": ["b", 3]}).SerializeToString())
    with pytest.raises(ModelError, match="more than 5 nodes"):
        check_file(tmp_path / "m.onnx")
    monkeypatch.setattr(checking, "_MOST_ENDS", 3)
    for model, says in (
        (files.model(nodes[-1:], [files.tensor(f"w{k}", 1) for k in range(9)], {"x": [1]}), "more than 5 nodes or tensors"),
        (files.model(nodes[-1:], [], {f"x{k}": [1] for k in range(9)}), "more than 3 inputs and outputs"),
    ):
        (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
        with pytest.raises(ModelError, match=says):
            check_file(tmp_path / "m.onnx")
    for model in (files.model(nodes[-1:], [], {"x": [1] * 70}), files.model(nodes[-1:], [files.tensor("w", 1)], {"x": [1]})):
        for held in model.graph.initializer:
            held.dims.extend([1] * 70)
        (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
        with pytest.raises(ModelError, match=r"a tensor of 7\d dimensions"):
            check_file(tmp_path / "m.onnx")


def test_each_value_of_a_long_chain_is_followed_once() -> None:
    count = 300
    nodes = [files.node("Identity", f"w{k}", f"w{k + 1}") for k in range(count)]
    constants = Constants(files.model([*nodes, files.node("MatMul", "x w9", "y")], [files.tensor("w0", 3, 3)], {"x": ["b", 3]}))

    class Counting(dict[str, Any]):
        looked = 0

        def get(self, key: str, default: Any = None) -> Any:
            self.looked += 1
            return super().get(key, default)

    constants._made_by = counting = Counting(constants._made_by)
    found = [constants.source(f"w{k}") for k in range(count, 0, -1)]
    assert {name for name, _ in filter(None, found)} == {"w0"}
    assert counting.looked <= count
