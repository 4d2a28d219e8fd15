"""`ecosel energy`: joules per inference from an existing power log."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from profilers.logs.power_log import PowerLog
    from profilers.logs.windows import WindowEnergy


@click.command()
@click.argument("log", type=click.Path(path_type=Path))
@click.option("--start", metavar="T", help="Start of the window: a time stamp as in the log, or seconds.")
@click.option("--end", metavar="T", help="End of the window.")
@click.option("--inferences", type=click.IntRange(1), metavar="N", help="Number of inferences in the window.")
@click.option("--label", help="Name of the window.")
@click.option(
    "--windows",
    "table",
    type=click.Path(path_type=Path),
    metavar="FILE.csv",
    help="Several windows: start, end, label, inferences.",
)
@click.option("--gpu", metavar="BOARD", help="Index or UUID of the board, if the log has several.")
@click.option("--calibration", type=click.Path(path_type=Path), metavar="FILE",
              help="Correct the board's gain and offset by this file, from ecosel devices --calibrate.")  # fmt: skip
@click.option("--archive", type=click.Path(path_type=Path), metavar="FILE",
              help="Append a row per window for ecosel select: .db (SQLite) or .ndjson.")  # fmt: skip
@click.option(
    "--format", "format_", type=click.Choice(["text", "json"]), default="text", show_default=True, help="Output format."
)
def energy(
    log: Path, start: str | None, end: str | None, inferences: int | None, label: str | None, table: Path | None,
    gpu: str | None, calibration: Path | None, archive: Path | None, format_: str,
) -> None:  # fmt: skip
    """Turn windows of a power LOG into joules, with their interval.

    LOG is the output of nvidia-smi --query-gpu=timestamp,name,power.draw.instant --format=csv -lms 100, a wall meter's CSV of
    time and power, or a trace (Parquet). Times are time stamps as in the log, or seconds: on the log's own clock or, if it has
    time stamps, from its first row.
    """
    if table is not None and any(one is not None for one in (start, end, inferences, label)):
        raise click.UsageError("--windows defines the windows; leave out --start, --end, --inferences and --label")
    if table is None and (start is None or end is None):
        raise click.UsageError("give --start and --end, or --windows FILE.csv")
    from profilers.logs.power_log import read_log
    from profilers.logs.windows import Span, energies, read_spans
    from profilers.meters.calibration import read_calibration
    from profilers.results.archive import done
    from profilers.results.text import printable

    if archive is not None:
        done(archive)  # find out beforehand whether the archive accepts rows
    read = read_log(log, gpu=gpu)
    spans = read_spans(table) if table is not None else [Span(start or "", end or "", label, inferences)]
    corrected = None if calibration is None else read_calibration(calibration)
    found = energies(read, spans, calibration=corrected)
    try:
        if archive is not None:
            _append(archive, log, read if corrected is None else read.calibrated(corrected), found, gpu=gpu)
    finally:  # a full disk must not cost the answer
        if format_ == "json":
            click.echo(json.dumps({"windows": [one.to_dict() for one in found]}, indent=1, allow_nan=False))
        else:
            click.echo("\n".join(map(printable, _lines(found))))


def _append(archive: Path, log: Path, read: PowerLog, found: list[WindowEnergy], *, gpu: str | None) -> None:
    from profilers.results.archive import COLUMNS, append
    from profilers.results.text import printable

    rows = []
    for one in found:
        count = one.inferences
        low, high = (None if count is None or bound is None else bound / count for bound in (one.energy_j_low, one.energy_j_high))
        values = {
            "candidate_id": one.label or log.stem,
            "status": "ok",
            "energy_per_inference_j": one.energy_per_inference_j,
            "energy_per_inference_j_low": low,
            "energy_per_inference_j_high": high,
            "energy_source": "log",
            "energy_naive_j": None if count is None or one.naive_energy_j is None else one.naive_energy_j / count,
            "mean_power_w": one.energy_j / (one.end_s - one.start_s),
            "throughput_per_s": None if count is None else count / (one.end_s - one.start_s),
            "energy_gain_error": read.gain_error,
            "energy_offset_error_w": read.offset_error_w,
            "energy_meter": f"log {log}" if gpu is None else f"GPU {gpu} of log {log}",
            "device": read.device,
            "configuration": json.dumps({"log": str(log), "start_s": one.start_s, "end_s": one.end_s, "label": one.label}),
            "remarks": "; ".join(one.warnings) or None,
        }
        rows.append(dict.fromkeys(COLUMNS) | {name: value for name, value in values.items() if name in COLUMNS})
    for row in append(archive, *rows):
        click.echo(printable(f"appended {row['candidate_id']} to {archive}"), err=True)


def _lines(found: list[WindowEnergy]) -> list[str]:
    lines = []
    for one in found:
        name = one.label or "window"
        half = ""
        if one.energy_j_low is not None and one.energy_j_high is not None:
            half = f" ± {(one.energy_j_high - one.energy_j_low) / 2 / one.energy_j:.2%}"
        lines.append(f"{name}  {one.start_s:.3f} to {one.end_s:.3f} s  {one.energy_j:.5g} J{half}")
        if one.energy_per_inference_j is not None:
            lines[-1] += f"  {one.energy_per_inference_j:.5g} J per inference ({one.inferences:,})"
        if one.naive_energy_j is not None:
            lines.append(
                f"  trapezoid of the samples inside: {one.naive_energy_j:.5g} J ({one.naive_energy_j / one.energy_j - 1:+.1%})"
            )
        lines += [f"  note: {warning}" for warning in one.warnings]
    return lines
