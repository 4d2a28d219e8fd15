"""Group the options in each --help by purpose, show examples, and refuse an option given twice.

Options are listed here by name, so that help imports none of the packages that contain the commands.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import click

_COMPARE = ("What to compare", ("--maximize", "--minimize", "--by", "--label"))
_ROWS = (
    "Which models",
    ("--where", "--limit", "--within", "--derive", "--mean-over", "--join", "--table", "--study", "--decimal", "--max-size"),
)
_RULE = ("How to choose", ("--weight", "--ideal", "--scale", "--preset", "--pick", "--joint", "--pairs", "--seed"))

# command: headings, each with the options under it; --help comes last
GROUPS: Mapping[str, Sequence[tuple[str, Sequence[str]]]] = {
    "select": (
        _COMPARE,
        _ROWS,
        _RULE,
        ("What to show", ("--top", "--left-out", "--hypervolume", "--format", "--output", "--front")),
    ),
    "why": (_COMPARE, _ROWS, _RULE, ("What to show", ("--format",))),
    "report": (_COMPARE, _ROWS, _RULE, ("What to write", ("--output", "--static", "--columns", "--force", "--watch", "--open"))),
    "profile": (
        ("Which model", ("--weights", "--factory", "--factory-args", "--entry", "--rename", "--strict", "--trust", "--manifest")),
        (
            "Which data",
            ("--dataset", "--split", "--limit", "--normalise", "--resize", "--crop", "--download", "--metric", "--better"),
        ),
        ("Or random inputs", ("--input", "--value", "--batch-axis")),
        ("How to run it", ("--device", "--mode", "--batch-size", "--precision", "--channels-last", "--compile")),
        ("How to measure it", ("--meter", "--calibration", "--ci", "--max-seconds", "--quick", "--seed", "--sweep")),
        ("What to keep", ("--format", "--archive", "--trace", "--verify")),
    ),
    "compress": (
        ("Which model", ("--factory", "--factory-args", "--weights", "--trust")),
        ("Which data", ("--dataset", "--split", "--limit", "--normalise", "--resize", "--crop", "--download")),
        ("What to make", ("--variants", "--finetune", "--output")),
        ("How to measure it", ("--batch-size", "--meter", "--ci", "--max-seconds", "--quick", "--seed")),
        ("What to keep", ("--format", "--archive")),
    ),
    "evolve": (
        ("What to search for", ("--dataset", "--objectives", "--limit", "--start", "--feature-slots", "--classifier-slots")),
        ("How long to search", ("--births", "--time", "--joules")),
        ("How to search", ("--population", "--tournament", "--lifetime", "--seed", "--reproducible", "--surrogate")),
        (
            "How to train",
            ("--max-epochs", "--no-collapse-test", "--no-rungs", "--deadline", "--confirm", "--final", "--compress"),
        ),
        ("What to measure", ("--measure", "--meter", "--batch-size")),
        ("Where to run", ("--devices", "--workers", "--executor")),
        ("What to keep and show", ("--archive", "--page", "--dry-run", "--quiet", "--plain", "--format")),
    ),
    "energy": (
        ("Which windows", ("--start", "--end", "--inferences", "--label", "--windows")),
        ("Which board", ("--gpu", "--calibration")),
        ("What to keep", ("--archive", "--format")),
    ),
    "devices": (("What to show", ("--probe", "--calibrate", "--format")),),
}

EXAMPLES: Mapping[str, Sequence[str]] = {
    "select": (
        "ecosel select models.csv --maximize top1 --minimize param_count",
        "ecosel select study.db --weight values_1=2 --format json",
        'ecosel select runs.csv --derive "energy = seconds * watts" --maximize acc --minimize energy --where "gpu = \'A40\'"',
    ),
    "why": (
        "ecosel why models.csv 12 --maximize top1 --minimize param_count",
        "ecosel why run.db 3f2a --no-pairs",
    ),
    "report": (
        "ecosel report models.csv --maximize top1 --minimize param_count -o report.html",
        "ecosel report data/young2019.csv --by dataset --preset paper --static figure1.pdf",
        "ecosel report run.db --watch --open",
    ),
    "profile": (
        "ecosel profile resnet18.pt --factory torchvision:resnet18 --input 3x224x224 --archive runs.db",
        "ecosel profile --factory torchvision:resnet18 --input 3x224x224 --quick",
        "ecosel profile model.pt --factory model.py:build --dataset cifar10 --trace run.parquet",
        "ecosel profile checkpoint.ckpt --factory model.py:build --entry state_dict_ema --dataset photos --resize 256 --crop 224",
        "ecosel profile a.onnx b.onnx c.pt2 --trust --dataset digits --archive runs.db",
        "ecosel profile --manifest models.csv --device cpu --format json",
        "ecosel profile bert/ --input input_ids=128:int64'<30522'",
        "ecosel profile model.pt --factory model.py:build --dataset data.py:batches --metric data.py:error_rate --better smaller",
        "ecosel profile scripted.pt --trust --input 512 --value sr=16000",
        "ecosel profile traced.pt --trust --batch-axis 1",
        "ecosel profile program.pt2 --trust --compile",
        "ecosel profile 'run.db#22' --dataset digits --sweep batch=1,8,32",
        "ecosel profile --verify run.parquet",
    ),
    "compress": (
        "ecosel compress model.pt --factory model.py:build --dataset cifar10 --variants fold,bf16,onnx,int8 -o out/",
        "ecosel compress model.pt --factory model.py:build --dataset cifar10 --variants prune-25,prune-50 --finetune 3 -o out/",
        "ecosel compress 'run.db#22' --dataset digits --variants onnx,int8 -o out/ --archive variants.db",
    ),
    "evolve": (
        "ecosel evolve --dataset digits --archive run.db --births 200",
        "ecosel evolve --dataset cifar10 --archive run.db --time 6h --objectives accuracy,parameters --limit parameters=1e6",
        "ecosel select run.db",
    ),
    "energy": (
        "ecosel energy power.csv --start '2026/01/31 12:00:05.250' --end '2026/01/31 12:01:05.250' --inferences 10000",
        "ecosel energy trace.parquet --windows windows.csv --archive runs.db",
    ),
    "devices": ("ecosel devices", "ecosel devices --probe --format json"),
}


class OnceCommand(click.Command):
    """A command that refuses an option given twice with two values, unless it is repeatable; click would keep the last one."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        given: dict[str, list[object]] = {}
        parser = self.make_parser(ctx)
        for options in (parser._long_opt, parser._short_opt):
            for name, option in options.items():
                if option.action in ("store", "store_const"):
                    option.action = "append" if option.action == "store" else "append_const"
                    given.setdefault(str(option.dest), []).append(name)
        try:
            values, _, _ = parser.parse_args(args=list(args))
        except click.UsageError:  # click itself reports this below
            return super().parse_args(ctx, args)
        for dest, names in given.items():
            several = list(dict.fromkeys(map(str, values.get(dest) or ())))
            if len(several) > 1:
                longest = max(map(str, names), key=len)
                if several == ["True", "False"] or several == ["False", "True"]:
                    raise click.UsageError(f"{longest} and its opposite are both given; keep one", ctx)
                raise click.UsageError(f"{longest} is given twice, {' and '.join(map(repr, several[:2]))}; keep one", ctx)
        return super().parse_args(ctx, args)


class GroupedCommand(OnceCommand):
    """A command whose --help shows its options under the headings of GROUPS, and its EXAMPLES."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        options = [option for option in self.get_params(ctx) if isinstance(option, click.Option)]
        records = {option.opts[-1]: record for option in options if (record := option.get_help_record(ctx))}
        for heading, names in GROUPS[str(self.name)]:
            with formatter.section(heading):
                formatter.write_dl([records.pop(name) for name in names if name in records])
        with formatter.section("Other"):
            formatter.write_dl(list(records.values()))
        with formatter.section("Examples"):
            for line in EXAMPLES[str(self.name)]:
                formatter.write(f"{'':{formatter.current_indent}}{line}\n")


def grouped(name: str, command: click.Command, /) -> click.Command:
    """Return the command with grouped help, or with plain help if it has no groups."""
    return (GroupedCommand if name in GROUPS else OnceCommand)(
        name, callback=command.callback, params=command.params, help=command.help,
        context_settings={**command.context_settings, "show_default": True}, no_args_is_help=command.no_args_is_help,
    )  # fmt: skip
