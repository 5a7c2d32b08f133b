"""`unblur calibrate`: what a gallery says of itself, and what to expect of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from configs.loader import load
from configs.schema import Config
from recognize.gallery import people_gallery as galleries
from recognize.gallery.calibration import SMALLEST_GALLERY, Calibration
from unblur.assembly.components import Components
from unblur.commands.options import Command, ConfigOption, FpirOption, ThresholdOption, command_app, examples, given
from unblur.terminal import Results, table

app = command_app()


@app.command(
    cls=Command,
    epilog=examples(
        "unblur calibrate people.joblib",
        "unblur calibrate people.joblib --fpir 0.001",
        "unblur calibrate people.joblib --threshold 0.4",
    ),
)
def calibrate(
    gallery: Annotated[Path, typer.Argument(metavar="GALLERY", help="A gallery made by `unblur enroll`.")],
    fpir: FpirOption = None,
    threshold: ThresholdOption = None,
    config: ConfigOption = None,
) -> None:
    """Choose the threshold of a gallery.

    Shows how alike its people are, and how many unknown people each threshold lets through.
    """
    print_calibration(load(config, {"recognition": given(fpir=fpir, threshold=threshold)}), gallery)


RATES = (0.1, 0.03, 0.01, 0.003, 0.001)


def print_calibration(config: Config, path: Path) -> None:
    """Print how alike the people of the gallery at `path` are, and which threshold lets how many strangers through.

    Raises UsageError if the gallery cannot be read.
    """
    settings = config.recognition
    parts = Components(config)
    told = galleries.load_gallery(path, parts.embedder.fingerprint, cipher=parts.cipher).calibration
    console = Results()
    console.say(f"{told.people} people in {path}")
    for line in _seen(told):
        console.say(line)
    if settings.embedder != "sface":
        console.say(
            f"no rule was measured for {settings.embedder}: set a threshold above the score of the closest two people"
        )
        return
    rates = table("unknown people named, at most", "threshold")
    for rate in sorted({*RATES, settings.fpir}, reverse=True):
        rates.add_row(f"{100 * rate:g} %", f"{told.threshold(rate):.3f}{' <' if rate == settings.fpir else ''}")
    console.print(rates)
    if settings.threshold is not None:
        console.say(
            f"your threshold {settings.threshold:.3f} lets about {100 * told.fpir(settings.threshold):.2g} % through"
        )


def _seen(told: Calibration) -> list[str]:
    lines = []
    if told.pair:
        one, other = told.pair
        lines.append(
            f"closest two people {told.max_impostor_score:.3f}: {one} and {other}; mean {told.mean_impostor_score:.3f}"
        )
    if told.min_genuine_score is not None:
        lines.append(f"least similar photos of one person {told.min_genuine_score:.3f}")
    if told.people < SMALLEST_GALLERY:
        lines.append(f"Fewer than {SMALLEST_GALLERY} people: using the rule for {SMALLEST_GALLERY}.")
    elif told.threshold_offset:
        lines.append(
            f"they are more alike than people are by chance: the threshold is raised by {told.threshold_offset:.3f}"
        )
    return lines
