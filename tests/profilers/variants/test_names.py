"""Variants by their names, and what each needs, before anything is opened."""

from __future__ import annotations

import pytest

from profilers.errors import ProfilerError
from profilers.variants import names
from profilers.variants.names import Variant, check_packages, parse_variants


def test_names_are_read_in_their_order_and_each_once() -> None:
    found = parse_variants(" fold,bf16,prune-25,prune-50 ,lowrank-80,onnx,int8,fold")
    assert [one.name for one in found] == ["fold", "bf16", "prune-25", "prune-50", "lowrank-80", "onnx", "int8"]
    assert found[2] == Variant("prune", 25)
    assert [one.name for one in found if one.is_exact] == ["fold", "onnx"]
    assert [one.name for one in found if one.suffix == ".onnx"] == ["onnx", "int8"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("squash", "there is no variant 'squash'"),
        ("", "there is no variant ''"),
        ("int4", "there is no variant 'int4'"),
        ("prune", "write prune-25, say"),
        ("prune-", "there is no variant 'prune-'"),
        ("fold-25", "fold takes no number"),
        ("prune-0", "between 1 and 99"),
        ("lowrank-100", "between 1 and 99"),
        ("fold,,int8", "there is no variant ''"),
        ("int8-8", "int8 takes no number"),
        ("PRUNE-25", "there is no variant 'PRUNE-25'"),
    ],
)
def test_anything_but_a_variant_is_named(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse_variants(text)


def test_a_missing_package_is_named_with_what_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "is_installed", lambda module: module != "onnxscript")
    check_packages(parse_variants("fold,prune-25"))
    with pytest.raises(ProfilerError, match=r"variant int8 needs onnxscript: pip install 'ecosel\[compress\]'"):
        check_packages(parse_variants("fold,int8"))
