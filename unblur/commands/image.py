"""`unblur image`: restores photos and names their faces."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from configs.loader import load
from unblur.commands.options import (
    Command,
    ConfigOption,
    DeblurOption,
    GalleryOption,
    PresetOption,
    ThresholdOption,
    command_app,
    complain,
    drop_unset,
    examples,
)
from unblur.photos.photo_restoration import restore_photos

app = command_app()


@app.command(
    cls=Command,
    epilog=examples(
        "unblur image blurred.jpg -o restored",
        "unblur image *.jpg -o restored -g people.joblib",
        "unblur image blurred.jpg -o restored --deblur richardson-lucy",
    ),
)
def image(
    photos: Annotated[
        list[Path], typer.Argument(metavar="PHOTO", help="Pictures: JPG, PNG, WebP, AVIF, HEIC, GIF and more.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder for the restored pictures.")],
    config: ConfigOption = None,
    gallery: GalleryOption = None,
    deblur: DeblurOption = None,
    preset: PresetOption = None,
    threshold: ThresholdOption = None,
) -> int:
    """Restore photos and name the faces on them.

    Writes the restored picture and a sheet of the faces, and prints a table; in a pipe, JSON lines.
    """
    overrides = {
        "deblur": drop_unset(mode=deblur, preset=preset),
        "recognition": drop_unset(gallery=gallery, threshold=threshold),
    }
    faults = restore_photos(load(config, overrides), photos, out)
    for fault in faults:
        complain(str(fault))
    return faults[0].exit_status if faults else 0
