"""`ecosel compress`: make variants of a saved model, verify them, and compare them with it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from profilers.cli.common import factory_arguments, plan_of
from profilers.errors import ProfilerError
from profilers.progress import progress_bar
from profilers.variants.names import parse_variants


@click.command()
@click.argument("model")
@click.option("--factory", metavar="CODE", help="Code that builds the network, as in ecosel profile.")
@click.option("--factory-args", metavar="JSON", help='Keyword arguments of the factory: {"num_classes": 10}.')
@click.option("--weights", metavar="FILE", help="Trained weights of a candidate (run.db#22), as evolve --final saves them.")
@click.option("--trust", is_flag=True, help="Open a file that can run code; only if you trust its author.")
@click.option("--dataset", required=True, metavar="DATA", help="Labelled images, as in ecosel profile.")
@click.option("--split", default="test", show_default=True, metavar="NAME", help="Split on which to verify and measure.")
@click.option("--limit", type=click.IntRange(1), metavar="N", help="Use at most N images of that split (default: all).")
@click.option("--normalise", default="dataset", show_default=True, metavar="HOW", help="As in ecosel profile.")
@click.option("--resize", metavar="SIZE", help="Resize images to this shorter side (256), or height and width (224x224).")
@click.option("--crop", metavar="SIZE", help="Crop the centre of each image: 224, or 224x192.")
@click.option("--download", is_flag=True, help="Download the data set if torchvision offers it.")
@click.option(
    "--variants",
    default="fold,bf16,onnx,int8",
    show_default=True,
    metavar="NAME,...",
    help="Variants to make: fold, bf16, prune-N, lowrank-N (removes N percent of the channels or weights), onnx, int8.",
)
@click.option("--finetune", type=click.IntRange(0), default=2, show_default=True, metavar="EPOCHS",
              help="Fine-tune pruned and low-rank variants.")  # fmt: skip
@click.option("-o", "--output", "folder", required=True, type=click.Path(file_okay=False, path_type=Path), metavar="FOLDER",
              help="Folder for the files.")  # fmt: skip
@click.option("--batch-size", type=click.IntRange(1), default=100, show_default=True, metavar="N", help="Images per batch.")
@click.option("--meter", metavar="METER", help="As in ecosel profile.")
@click.option("--ci", default="1%", show_default=True, metavar="P%", help="Half-width of the ratios' 95 % interval to reach.")
@click.option("--max-seconds", type=float, metavar="S",
              help="Measure each model for at most S seconds.  [default: 60; 10 with --quick]")  # fmt: skip
@click.option("--quick", is_flag=True, help="Measure for a shorter time, after a shorter warm-up; intervals are wider.")
@click.option("--seed", type=int, default=0, show_default=True, metavar="N",
              help="Seed of fine-tuning and of the order of measurements.")  # fmt: skip
@click.option(
    "--format", "format_", type=click.Choice(["text", "json"]), default="text", show_default=True, help="Output format."
)
@click.option("--archive", type=click.Path(path_type=Path), metavar="FILE",
              help="Append a row per model for ecosel select: .db (SQLite) or .ndjson.")  # fmt: skip
def compress(model: str, variants: str, finetune: int, folder: Path, archive: Path | None, format_: str, **options: Any) -> int:
    """Make smaller and faster variants of a saved MODEL, or of a candidate of a search (run.db#22).

    Each variant is a file, verified in a separate process. Parent and variants are measured in turn on this processor, so that
    other load affects them equally. Needs ecosel[compress].
    """
    from profilers.cli.common import stdout_aside
    from profilers.machine.ending import clean_ends
    from profilers.measuring.settings import ProfileSettings
    from profilers.results.archive import append, done
    from profilers.variants.settings import CompressSettings, check_settings

    plan = plan_of(options.pop("ci"), quick=options.pop("quick"), max_s=options.pop("max_seconds"))
    arguments = factory_arguments(options.pop("factory_args"))
    parent = ProfileSettings(model, factory_args=arguments, device="cpu", plan=plan, **options)
    settings = CompressSettings(parent, parse_variants(variants), folder, finetune)
    check_settings(settings)
    if archive is not None:
        done(archive)  # find out before the work whether the archive accepts rows
    with clean_ends(), stdout_aside(), progress_bar() as show:  # a signal leaves no unfinished variant beside the others
        try:
            from profilers.variants.session import compress as run
        except ModuleNotFoundError as error:
            raise ProfilerError(f"{error.name} is not installed: pip install 'ecosel[torch]'") from None
        found = run(settings, show=show)
    from profilers.variants.rows import compression_text, named_rows

    rows = named_rows(found)
    try:
        if archive is not None:
            rows = append(archive, *rows)
    finally:  # a full disk must not cost the answer
        click.echo(json.dumps(rows, indent=1) if format_ == "json" else compression_text(found, rows), nl=format_ == "json")
    if not found.variants:
        reasons = "; ".join(f"{failure.variant.name}: {failure.reason}" for failure in found.failures)
        raise ProfilerError(f"no variant could be made ({reasons})")
    return 0
