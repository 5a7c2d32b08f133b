"""`unblur enroll`: adds people to a gallery from folders of photos."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from configs.loader import load
from unblur.commands.options import Command, ConfigOption, command_app, examples
from unblur.people.enrollment import enroll as enroll_folders

app = command_app()


@app.command(
    cls=Command,
    epilog=examples(
        "unblur enroll faces -g people.joblib",
        "unblur enroll faces -g people.joblib --strict",
        "unblur enroll faces -g people.joblib -c unblur.yaml",
    ),
)
def enroll(
    faces: Annotated[
        Path,
        typer.Argument(metavar="FACES", help="FACES/<Name>/*.jpg, with an about.txt if there is something to say."),
    ],
    gallery: Annotated[Path, typer.Option("--gallery", "-g", help="The gallery to make, or to add people to.")],
    strict: Annotated[bool, typer.Option("--strict", help="Leave every doubtful photo out.")] = False,
    config: ConfigOption = None,
) -> None:
    """Add people to a gallery from folders of photos.

    Each doubtful photo is named. The faces are kept in the folder GALLERY.faces.
    """
    enroll_folders(load(config, {}), faces, gallery, strict)
