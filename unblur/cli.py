"""The commands. Each one reads its arguments, hands them to the part that does the work, and says what came of it."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from typer.exceptions import TyperException

from configs.schema import Config, ConfigError, load
from models.errors import ModelError
from stream.errors import UnblurError

app = typer.Typer(
    name="unblur",
    help="Finds faces in live and recorded video, restores the blurred ones, and says who they are or that they are unknown.",
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
events_app = typer.Typer(help="Look into an event log or store.", no_args_is_help=True)
app.add_typer(events_app, name="events")

_INTERRUPTED = 130


def run(arguments: list[str] | None = None) -> int:
    """Run one command; its exit status. An error is one line on standard error, never a traceback."""
    try:
        status = app(arguments, standalone_mode=False)
    except TyperException as error:
        _complain(error.format_message())
        return int(error.exit_code)
    except (UnblurError, ModelError, ConfigError) as error:
        _complain(str(error))
        return error.exit_status
    except KeyboardInterrupt:
        _complain("interrupted")
        return _INTERRUPTED
    return status if isinstance(status, int) else 0


def _complain(message: str) -> None:
    Console(stderr=True, soft_wrap=True, highlight=False, markup=False).print(f"unblur: {message}")


class Deblur(StrEnum):
    AUTO = "auto"
    CNN = "cnn"
    RICHARDSON_LUCY = "richardson-lucy"
    OFF = "off"


class Preset(StrEnum):
    MOTION = "motion"
    SEED = "seed"


class Pace(StrEnum):
    REALTIME = "realtime"
    FAST = "fast"


class Detector(StrEnum):
    YUNET = "yunet"
    MTCNN = "mtcnn"


GalleryOption = Annotated[Path | None, typer.Option(help="Who is known: a file made by `unblur enroll`.")]
DeblurOption = Annotated[Deblur | None, typer.Option(help="How blurred faces are restored.")]
PresetOption = Annotated[Preset | None, typer.Option(help="seed: Richardson-Lucy with the fixed 5 x 5 mean kernel.")]
ThresholdOption = Annotated[float | None, typer.Option(help="Cosine similarity from which a face gets a name.")]
ConfigOption = Annotated[Path | None, typer.Option(help="A YAML file; what stands on the command line goes over it.")]


@app.command()
def run(  # noqa: PLR0913
    sources: Annotated[
        list[str] | None,
        typer.Argument(help="0, /dev/video0, rtsp://, http(s)://, a file, a folder of pictures; or NAME=SOURCE."),
    ] = None,
    config: ConfigOption = None,
    gallery: GalleryOption = None,
    deblur: DeblurOption = None,
    preset: PresetOption = None,
    threshold: ThresholdOption = None,
    detector: Annotated[Detector | None, typer.Option(help="mtcnn needs the extra `facenet`.")] = None,
    detection_size: Annotated[int | None, typer.Option(help="Long side of the picture that the detector sees.")] = None,
    output: Annotated[str | None, typer.Option(help="window, none, or a file ending in .mp4.")] = None,
    events: Annotated[Path | None, typer.Option(help="Write the events here, one JSON object a line.")] = None,
    store: Annotated[str | None, typer.Option(help="Write the events to a database, as sqlite:///FILE.")] = None,
    evidence: Annotated[Path | None, typer.Option(help="Keep the crops behind each event in this folder.")] = None,
    pace: Annotated[Pace | None, typer.Option(help="Recorded sources: as filmed, or as fast as it goes.")] = None,
    start_time: Annotated[datetime | None, typer.Option(help="Recorded sources: when they began (UTC).")] = None,
    begin: Annotated[float | None, typer.Option("--from", help="Recorded sources: begin at this second.")] = None,
    end: Annotated[float | None, typer.Option("--to", help="Recorded sources: stop at this second.")] = None,
    fps: Annotated[float | None, typer.Option(help="Folders of pictures: how many make a second.")] = None,
    shutter: Annotated[float | None, typer.Option(help="Exposure as a fraction of the frame time.")] = None,
    quiet: Annotated[bool | None, typer.Option("--quiet", help="No progress, no summary.")] = None,
) -> None:
    """Watch cameras or footage: name the faces, log who was seen when, show or record the picture."""
    from unblur.watch import watch

    camera = _given(
        shutter=shutter, start_time=start_time and _utc(start_time), begin_s=begin, end_s=end, fps=fps
    )
    overrides = {
        "detection": _given(detector=detector, size=detection_size),
        "deblur": _given(mode=deblur, preset=preset),
        "recognition": _given(gallery=gallery, threshold=threshold),
        "output": _given(picture=output, events=events, store=store, evidence=evidence, quiet=quiet),
        **_given(pace=pace, cameras=[_named(source) | camera for source in sources] if sources else None),
    }
    settings = load(config, overrides)
    if not settings.cameras:
        raise typer.BadParameter("no source: give one, or cameras in --config")
    watch(settings)


def _given(**options: object) -> dict[str, object]:
    """The options that were given; the others keep what the configuration says."""
    return {key: value for key, value in options.items() if value is not None}
