"""`ecosel compress`: make variants of a saved model, verify them, and measure them beside it."""

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
@click.option("--factory", metavar="CODE", help="What builds the network of saved weights, as in ecosel profile.")
@click.option("--factory-args", metavar="JSON", help='Keyword arguments of the factory: {"num_classes": 10}.')
@click.option("--weights", metavar="FILE", help="Trained weights of a candidate (run.db#22), as evolve --final saves them.")
@click.option("--trust", is_flag=True, help="Open a file that can run code; only if you know who made it.")
@click.option("--dataset", required=True, metavar="DATA", help="Labelled images, as in ecosel profile.")
@click.option("--split", default="test", show_default=True, help="Split of the data set to verify and measure on.")
@click.option("--limit", type=click.IntRange(1), help="Use at most N images of that split.")
@click.option("--normalise", default="dataset", show_default=True, help="Mean and deviation: dataset, imagenet, none.")
@click.option("--resize", metavar="SIZE", help="Resize images: the shorter side (256), or height and width (224x224).")
@click.option("--crop", metavar="SIZE", help="Cut the middle out of each image: 224, or 224x192.")
@click.option("--download", is_flag=True, help="Download the data set where torchvision offers it.")
@click.option(
    "--variants",
    default="fold,bf16,onnx,int8",
    show_default=True,
    metavar="NAME,...",
    help="Of fold, bf16, prune-N, lowrank-N (N percent of the channels or weights go), onnx, int8.",
)
@click.option(
    "--finetune", type=click.IntRange(0), default=2, show_default=True, metavar="EPOCHS", help="Of pruned and low-rank variants."
)
@click.option(
    "-o", "--output", "folder", required=True, type=click.Path(file_okay=False, path_type=Path), help="Folder of the files."
)
@click.option("--batch-size", type=click.IntRange(1), default=100, show_default=True)
@click.option("--meter", metavar="METER", help="As in ecosel profile.")
@click.option("--ci", default="1%", show_default=True, help="Half-width of the 95 % interval of the ratios to reach.")
@click.option("--max-seconds", type=float, help="Stop measuring then, for each model.  [default: 60; 10 with --quick]")
@click.option("--quick", is_flag=True, help="Measure for a shorter time, after a shorter warm-up.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of fine-tuning, and of the order of measuring.")
@click.option("--format", "format_", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.option("--archive", type=click.Path(path_type=Path), help="Append a row of each for `ecosel select`: .db or .ndjson.")
def compress(model: str, variants: str, finetune: int, folder: Path, archive: Path | None, format_: str, **options: Any) -> int:
    """Make smaller and faster variants of a saved MODEL, or of a candidate of a search (run.db#22).

    Each variant is a file that was verified in a fresh process. Parent and variants are measured in turn on this processor, so
    that their ratios hold whatever else runs here. Needs ecosel[compress].
    """
    from profilers.machine.stdout import stdout_aside
    from profilers.measuring.settings import ProfileSettings
    from profilers.results.archive import done
    from profilers.variants.settings import CompressSettings, check_settings

    plan = plan_of(options.pop("ci"), quick=options.pop("quick"), max_s=options.pop("max_seconds"))
    arguments = factory_arguments(options.pop("factory_args"))
    parent = ProfileSettings(model, factory_args=arguments, device="cpu", plan=plan, **options)
    settings = CompressSettings(parent, parse_variants(variants), folder, finetune)
    check_settings(settings)
    if archive is not None:
        done(archive)  # an archive that takes no row must not cost the work
    with stdout_aside(), progress_bar() as show:
        try:
            from profilers.variants.session import compress as run
        except ModuleNotFoundError as error:
            raise ProfilerError(f"{error.name} is not installed: pip install 'ecosel[torch]'") from None
        found = run(settings, show=show)
    from profilers.variants.rows import compression_text, named_rows

    rows = named_rows(found, archive)
    click.echo(json.dumps(rows, indent=1) if format_ == "json" else compression_text(found, rows), nl=format_ == "json")
    return 0 if found.variants else 1
