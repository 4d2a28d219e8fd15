"""The help of every command: grouped, with examples that its options allow, and with defaults."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Callable
from typing import Any

import click
import pytest

from ecosel.cli import COMMANDS, group
from ecosel.cli.options.help import EXAMPLES, GROUPS


def command_of(name: str) -> click.Command:
    command = group.get_command(click.Context(group), name)
    assert command is not None
    return command


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_stands_under_one_heading(name: str) -> None:
    options = [p.opts[-1] for p in command_of(name).params if isinstance(p, click.Option) and not p.hidden]
    listed = Counter(option for _, names in GROUPS[name] for option in names)
    assert listed == Counter(options)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_examples_use_options_that_exist(name: str) -> None:
    assert EXAMPLES[name]
    for line in EXAMPLES[name]:
        program, command, *arguments = shlex.split(line)
        assert (program, command in COMMANDS) == ("ecosel", True)
        known = {opt for p in command_of(command).params for opt in [*p.opts, *p.secondary_opts]}
        assert {argument for argument in arguments if argument.startswith("-") and argument != "-"} <= known


@pytest.mark.parametrize("name", COMMANDS)
def test_help_shows_headings_and_examples(name: str, ecosel: Callable[..., Any]) -> None:
    out = ecosel(name, "--help").out
    assert all(f"{heading}:\n" in out for heading, _ in GROUPS[name])
    assert EXAMPLES[name][0] in out


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_says_what_it_does_and_names_its_default(name: str) -> None:
    context = click.Context(command_of(name), info_name=name, **command_of(name).context_settings)
    for option in (one for one in context.command.params if isinstance(one, click.Option)):
        record = option.get_help_record(context)
        assert record is not None
        assert option.help, option.name
        if isinstance(option.get_default(context), (str, int, float)) and not (option.is_flag and not option.secondary_opts):
            assert record[1].count("default") == 1, record
