"""`ecosel profile`: measure a saved model, verify a recorded measurement, or sweep over settings."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from profilers.cli.common import factory_arguments, plan_of
from profilers.cli.several import measure_several, read_manifest, row_line
from profilers.errors import ProfilerError
from profilers.progress import progress_bar

if TYPE_CHECKING:
    from profilers.measuring.settings import ProfileSettings
    from profilers.meters.calibration import Calibration
    from profilers.results.inference_profile import InferenceProfile


@click.command()
@click.argument("models", nargs=-1, metavar="[MODEL]...")
@click.option(
    "--manifest",
    type=click.Path(path_type=Path),
    help="CSV with one model per line: file, factory, input. The models are measured in turn on one device.",
)
@click.option(
    "--factory",
    metavar="CODE",
    help="Code that builds the network: torchvision:resnet18, package.module:callable, path/file.py:callable.",
)
@click.option("--factory-args", metavar="JSON", help='Keyword arguments of the factory: {"num_classes": 10}.')
@click.option("--weights", metavar="FILE", help="Weights to load into a candidate of a search, ARCHIVE#CANDIDATE.")
@click.option("--entry", metavar="NAME", help="Checkpoint entry to load, such as params_ema (default: the usual names).")
@click.option(
    "--rename",
    "renames",
    multiple=True,
    metavar="OLD=NEW",
    help="Replace a pattern in the names of weights: gamma=weight. Repeatable.",
)
@click.option("--strict/--no-strict", default=True, help="Require all weights to fit, or leave out those that do not.")
@click.option("--trust", is_flag=True, help="Open a file that can run code; only if you trust its author.")
@click.option(
    "--dataset",
    metavar="DATA",
    help="Labelled images: digits, cifar10, cifar100, a tree with one folder per class, Parquet, .npz; or your own data: "
    "file.py:callable.",
)
@click.option("--split", default="test", show_default=True, metavar="NAME", help="Split of the data set.")
@click.option("--limit", type=click.IntRange(1), metavar="N", help="Use at most N images (default: all).")
@click.option(
    "--normalise",
    default="dataset",
    show_default=True,
    metavar="HOW",
    help="Mean and deviation: dataset (those of the training split), imagenet, none, or numbers: 0.5,0.5.",
)
@click.option("--resize", metavar="SIZE", help="Resize images to this shorter side (256), or height and width (224x224).")
@click.option("--crop", metavar="SIZE", help="Crop the centre of each image: 224, or 224x192.")
@click.option("--metric", metavar="CODE", help="Your own score: file.py:callable, called with (outputs, labels).")
@click.option("--better", type=click.Choice(["larger", "smaller"]), help="Which values of --metric are better.")
@click.option("--download", is_flag=True, help="Download the data set if torchvision offers it.")
@click.option(
    "--input",
    "inputs",
    multiple=True,
    metavar="SHAPE",
    help="Shape of a random input without the batch: 3x32x32, ids=128:int64. Repeatable.",
)
@click.option(
    "--batch-axis",
    metavar="N",
    help="Batch dimension of the inputs, counted from 0; one for all, or one per input: 1,0 (default: the file's, else 0).",
)
@click.option("--value", "values", multiple=True, metavar="NAME=V", help="A constant argument: sr=16000. Repeatable.")
@click.option("--device", default="auto", show_default=True, metavar="DEVICE", help="cpu, cuda, cuda:1, or a board's UUID.")
@click.option(
    "--mode",
    type=click.Choice(["paper", "device", "pipelined"]),
    default="paper",
    show_default=True,
    help="Include copies to the device (paper), leave them out (device), or overlap them (pipelined).",
)
@click.option("--batch-size", type=click.IntRange(1), default=100, show_default=True, metavar="N", help="Images per batch.")
@click.option("--precision", type=click.Choice(["fp32", "tf32", "bf16", "fp16"]), default="fp32", show_default=True,
              help="Number format of weights and inputs.")  # fmt: skip
@click.option("--channels-last", is_flag=True, help="Store images with the channels innermost.")
@click.option(
    "--compile", "compile_", is_flag=True, help="Also measure torch.compile: its cost, and after how many images it pays off."
)
@click.option(
    "--calibration",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Correct the board's gain and offset by this file, from ecosel devices --calibrate.",
)
@click.option(
    "--meter",
    metavar="METER",
    help="nvml, nvml:BOARD, rapl, hwmon:NAME[/LABEL], scmi, battery, pmic, replay:FILE or constant:WATTS "
    "(default: the device's own meter).",
)
@click.option("--ci", default="1%", show_default=True, metavar="P%", help="Half-width of the 95 % interval to reach.")
@click.option("--max-seconds", type=float, metavar="S", help="Measure for at most S seconds.  [default: 60; 10 with --quick]")
@click.option("--quick", is_flag=True, help="Measure for 3 to 10 s, after a shorter warm-up; intervals are wider.")
@click.option("--seed", type=int, default=0, show_default=True, metavar="N", help="Seed of random inputs, orders and pauses.")
@click.option(
    "--sweep",
    "sweeps",
    multiple=True,
    metavar="NAME=V,V",
    help="Measure every combination, one row each: batch=1,8 precision=fp32,bf16 mode=... channels-last=yes,no "
    "compile=yes,no. Repeatable.",
)
@click.option(
    "--format", "format_", type=click.Choice(["text", "json"]), default="text", show_default=True, help="Output format."
)
@click.option("--archive", type=click.Path(path_type=Path), metavar="FILE",
              help="Append a row for ecosel select: .db (SQLite) or .ndjson.")  # fmt: skip
@click.option("--trace", type=click.Path(path_type=Path), metavar="FILE", help="Keep every sample in a Parquet file.")
@click.option("--verify", type=click.Path(path_type=Path), metavar="TRACE",
              help="Derive every figure of a recorded trace again, and compare.")  # fmt: skip
def profile(models: tuple[str, ...], manifest: Path | None, verify: Path | None, **options: Any) -> int:
    """Measure the accuracy, energy per inference, time and size of a saved MODEL, or of several in turn.

    Energy needs a meter, such as an NVIDIA board or a CPU's RAPL counters (ecosel devices lists those found here). Without
    one, everything else is measured.
    """
    if verify is not None:
        if models or manifest is not None:
            raise click.UsageError("--verify reads a trace and takes no MODEL")
        return _verify(verify, options["format_"])
    if not models and manifest is None and not options["factory"]:
        raise click.UsageError("name a MODEL, a --factory that builds one, or a trace to --verify")
    requests = _requests(models, manifest, options)
    archive, trace = options["archive"], options["trace"]
    if len(requests) > 1:
        if options["sweeps"] or trace is not None or options["compile_"]:
            raise click.UsageError(
                "--sweep, --trace and --compile take one MODEL; leave them out, or measure each model separately"
            )
        measure_several(requests, archive=archive, format_=options["format_"])
        return 0
    if options["sweeps"]:
        if archive is None or trace is not None:
            raise click.UsageError("--sweep needs --archive for its rows, and does not take --trace")
        return _sweep(requests[0], options["sweeps"], archive, options["format_"])
    _measure(requests[0], archive=archive, trace=trace, format_=options["format_"])
    return 0


def _requests(models: tuple[str, ...], manifest: Path | None, options: dict[str, Any]) -> list[ProfileSettings]:
    """Return the settings of each model on the command line and in the manifest, whose cells override the options."""
    entries = read_manifest(manifest) if manifest is not None else ()
    requests = [_request(model, options) for model in models or (() if entries else ("",))]
    for entry in entries:
        own = {"factory": entry.factory or options["factory"], "inputs": entry.inputs or options["inputs"]}
        requests.append(_request(entry.model, options | own))
    return requests


def _measure(request: ProfileSettings, *, archive: Path | None, trace: Path | None, format_: str) -> None:
    from profilers.cli.common import check_trace, stdout_aside
    from profilers.machine.ending import clean_ends
    from profilers.measuring.profile import Uncompiled
    from profilers.measuring.profile import profile as run
    from profilers.measuring.runtime import check
    from profilers.results.archive import append, done, row_of
    from profilers.results.text import printable

    check(request)
    if archive is not None:
        done(archive)  # a file that cannot be appended to must not cost a measurement
    if trace is not None:
        check_trace(trace, archive)
    failed: ProfilerError | None = None
    with stdout_aside(), progress_bar() as show:
        try:
            profiled = run(request, show=show)
        except Uncompiled as error:
            failed, profiled, request = error, error.profiled, dataclasses.replace(request, compile=False)
    found = profiled.profile
    try:
        if trace is not None:
            try:
                with clean_ends():
                    profiled.write_trace(trace)
            except ProfilerError as error:  # the archive may be on another disk
                failed, trace = failed or error, None
        if archive is not None:
            # relative to the archive, so that the two can move together
            kept = os.path.relpath(trace.absolute(), archive.absolute().parent) if trace is not None else None
            row = row_of(found, candidate=request.candidate, configuration=request.configuration, trace=kept)
            click.echo(printable(f"appended {append(archive, row)[0]['candidate_id']} to {archive}"), err=True)
    finally:  # a full disk must not cost the answer
        _print(found, format_)
    if failed is not None:
        raise failed


def _sweep(request: ProfileSettings, texts: tuple[str, ...], archive: Path, format_: str) -> int:
    from profilers.measuring.runtime import check
    from profilers.measuring.several.sweep import combinations, sweep, unfinished
    from profilers.results.archive import append, done, failed_row, row_of

    wanted = combinations(request, texts)
    for one in wanted:
        check(one)  # a combination refused before measuring is not a row
    todo = unfinished(wanted, done(archive))
    if len(todo) < len(wanted):
        click.echo(f"{len(wanted) - len(todo)} of {len(wanted)} combinations are in {archive}", err=True)
    rows = []
    with progress_bar(bool(todo)) as show:
        for point in sweep(todo, show=show):
            names = {"candidate": point.request.candidate, "configuration": point.request.configuration}
            if point.profile is not None:
                row = row_of(point.profile, **names)
            else:
                row = failed_row(point.request, **names, status=point.status, reason=point.reason)
            rows += append(archive, row)
            if format_ == "text":
                click.echo(row_line(rows[-1]))
    if format_ == "json":
        click.echo(json.dumps(rows, indent=1))
    return 0


def _verify(path: Path, format_: str) -> int:
    from profilers.energy.sampling.trace import read_trace
    from profilers.results.building import verify

    found, differing = verify(*read_trace(path))
    _print(found, format_)
    if differing:
        raise ProfilerError(f"{path}: {', '.join(differing)} do not match the recording; the file was changed")
    click.echo(f"{path}: every figure matches the recording", err=True)
    return 0


def _print(found: InferenceProfile, format_: str) -> None:
    from profilers.results.text import profile_text

    click.echo(json.dumps(found.to_dict(), indent=1) if format_ == "json" else profile_text(found), nl=format_ == "json")


def _calibration(path: Path | None) -> Calibration | None:
    from profilers.meters.calibration import read_calibration

    return None if path is None else read_calibration(path)


def _request(model: str, options: dict[str, Any]) -> ProfileSettings:
    from profilers.measuring.settings import ProfileSettings

    names = (
        "factory",
        "weights",
        "trust",
        "entry",
        "strict",
        "inputs",
        "values",
        "dataset",
        "split",
        "limit",
        "normalise",
        "resize",
        "crop",
        "metric",
        "better",
        "download",
        "device",
        "mode",
    )
    more = ("batch_size", "precision", "channels_last", "meter", "seed")
    chosen = {name: options[name] for name in (*names, *more)}
    return ProfileSettings(
        model,
        **chosen,
        calibration=_calibration(options["calibration"]),
        rename=options["renames"],
        batch_axis=_axes(options["batch_axis"]),
        factory_args=factory_arguments(options["factory_args"]),
        compile=options["compile_"],
        plan=plan_of(options["ci"], quick=options["quick"], max_s=options["max_seconds"]),
    )


def _axes(text: str | None) -> tuple[int, ...] | None:
    if text is None:
        return None
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise ValueError(f"--batch-axis {text!r} is not a dimension counted from 0, or one per input: 1,0") from None
