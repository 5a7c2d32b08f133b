"""`unblur calibrate`: similarity of a gallery's people, and thresholds by false positive identification rate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from configs.loader import load
from configs.schema import Config
from recognize.gallery import people_gallery as galleries
from recognize.gallery.calibration import SMALLEST_GALLERY, Calibration
from unblur.assembly.components import Components
from unblur.commands.options import (
    Command,
    ConfigOption,
    FpirOption,
    ThresholdOption,
    command_app,
    drop_unset,
    examples,
)
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
    print_calibration(load(config, {"recognition": drop_unset(fpir=fpir, threshold=threshold)}), gallery)


RATES = (0.1, 0.03, 0.01, 0.003, 0.001)


def print_calibration(config: Config, path: Path) -> None:
    """Print how similar the people of the gallery at `path` are, and the threshold for each of several FPIRs.

    Raises UsageError if the gallery cannot be read.
    """
    settings = config.recognition
    parts = Components(config)
    calibration = galleries.load_gallery(path, parts.embedder.fingerprint, cipher=parts.cipher).calibration
    console = Results()
    console.say(f"{calibration.people} people in {path}")
    for line in _describe(calibration):
        console.say(line)
    if settings.embedder != "sface":
        console.say(
            f"no rule was measured for {settings.embedder}: set a threshold above the score of the closest two people"
        )
        return
    rates = table("unknown people named, at most", "threshold")
    for rate in sorted({*RATES, settings.fpir}, reverse=True):
        rates.add_row(f"{100 * rate:g} %", f"{calibration.threshold(rate):.3f}{' <' if rate == settings.fpir else ''}")
    console.print(rates)
    if settings.threshold is not None:
        percent = 100 * calibration.fpir(settings.threshold)
        console.say(f"your threshold {settings.threshold:.3f} lets about {percent:.2g} % through")


def _describe(calibration: Calibration) -> list[str]:
    lines = []
    if calibration.pair:
        one, other = calibration.pair
        closest, mean = calibration.max_impostor_score, calibration.mean_impostor_score
        lines.append(f"closest two people {closest:.3f}: {one} and {other}; mean {mean:.3f}")
    if calibration.min_genuine_score is not None:
        lines.append(f"least similar photos of one person {calibration.min_genuine_score:.3f}")
    if calibration.people < SMALLEST_GALLERY:
        lines.append(f"Fewer than {SMALLEST_GALLERY} people: using the rule for {SMALLEST_GALLERY}.")
    elif calibration.threshold_offset:
        lines.append(
            "they are more alike than people are by chance: the threshold is raised by"
            f" {calibration.threshold_offset:.3f}"
        )
    return lines
