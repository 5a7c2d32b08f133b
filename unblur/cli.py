"""The commands. Each one reads its arguments, hands them to the part that does the work, and says what came of it."""

from __future__ import annotations

import re
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from typer.exceptions import TyperException

from configs.schema import ConfigError, load
from models.errors import ModelError
from stream.errors import UnblurError, UsageError
from unblur.commands import evaluate, events, users
from unblur.commands.options import (
    ConfigOption,
    DeblurOption,
    Detector,
    Fitted,
    FolderOption,
    FpirOption,
    GalleryOption,
    Pace,
    PresetOption,
    Redact,
    ThresholdOption,
    given,
)
from unblur.signals import ignore_hangup_of_services, status_of_interruption
from unblur.terminal import Results, messages, open_log, prepare_streams

app = typer.Typer(
    name="unblur",
    help="Finds faces in live and recorded video, restores the blurred ones and says who they are, or says unknown.",
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.add_typer(events.app, name="events")
app.add_typer(evaluate.app, name="evaluate")
app.add_typer(users.app, name="users")

_INTERRUPTED = 130
"""What typer makes of Ctrl-C."""
_NAME = re.compile(r"[^/\\=:]{1,64}")


def main(arguments: list[str] | None = None) -> int:
    """Run one command; its exit status. An error is one line on standard error, never a traceback."""
    ignore_hangup_of_services()
    prepare_streams()
    open_log()
    try:
        typed = [_at_home(each) for each in (sys.argv[1:] if arguments is None else arguments)]
        # Called itself, the application would put an excepthook of its own in place of `unblur.crash`'s.
        status = typer.main.get_command(app)(typed, standalone_mode=False)
    except TyperException as error:
        _complain(" ".join(error.format_message().split()))
        return int(error.exit_code)
    except (UnblurError, ModelError, ConfigError) as error:
        _complain(str(error))
        return error.exit_status
    if status == _INTERRUPTED:
        _complain("interrupted")
        return status_of_interruption()
    return status if isinstance(status, int) else 0


def _at_home(argument: str) -> str:
    """With the home folder for the ~ that shells leave alone, as in --store=~/events: no argument else begins so."""
    option, equals, value = argument.partition("=") if argument.startswith("--") else ("", "", argument)
    return f"{option}{equals}{Path(value).expanduser()}" if value.startswith("~/") else argument


def _complain(message: str) -> None:
    messages().say(f"unblur: {message}")


@app.command()
def run(
    sources: Annotated[
        list[str] | None,
        typer.Argument(help="0, /dev/video0, rtsp://, http(s)://, a file, a folder of pictures; or NAME=SOURCE."),
    ] = None,
    config: ConfigOption = None,
    gallery: GalleryOption = None,
    deblur: DeblurOption = None,
    preset: PresetOption = None,
    threshold: ThresholdOption = None,
    fpir: FpirOption = None,
    detector: Annotated[Detector | None, typer.Option(help="mtcnn needs the extra `facenet`.")] = None,
    detection_size: Annotated[int | None, typer.Option(help="Long side of the picture that the detector sees.")] = None,
    output: Annotated[str | None, typer.Option(help="window, webrtc, none, or a file ending in .mp4.")] = None,
    host: Annotated[str | None, typer.Option(help="webrtc: the address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="webrtc: the port to listen on; 0: any that is free.")] = None,
    events: Annotated[Path | None, typer.Option(help="Write the events here, one JSON object a line.")] = None,
    store: Annotated[str | None, typer.Option(help="Write the events to a database, as sqlite:///FILE.")] = None,
    evidence: Annotated[Path | None, typer.Option(help="Keep what each event rests on in this folder.")] = None,
    redact: Annotated[
        Redact | None, typer.Option(help="Make faces unrecognisable in every picture that leaves.")
    ] = None,
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

    camera = given(shutter=shutter, start_time=start_time and _utc(start_time), begin_s=begin, end_s=end, fps=fps)
    if camera and not sources:
        raise typer.BadParameter(f"{', '.join(camera)}: in a configuration these are keys of each camera")
    overrides = {
        "detection": given(detector=detector, size=detection_size),
        "deblur": given(mode=deblur, preset=preset),
        "recognition": given(gallery=gallery, threshold=threshold, fpir=fpir),
        "output": given(picture=output, events=events, store=store, evidence=evidence, redact=redact, quiet=quiet),
        "web": given(host=host, port=port),
        **given(pace=pace, cameras=[_named(source) | camera for source in sources] if sources else None),
    }
    settings = load(config, overrides)
    if not settings.cameras:
        raise typer.BadParameter("no source: give one, or cameras in --config")
    watch(settings)


@app.command()
def serve(
    config: ConfigOption = None,
    host: Annotated[str | None, typer.Option(help="The address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="The port to listen on; 0: any that is free.")] = None,
    data: FolderOption = None,
    demo: Annotated[
        bool, typer.Option("--demo", help="Show a simulated camera, with a folder of its own within that of --data.")
    ] = False,
) -> None:
    """The web application: live pictures, events, people. Without --config it is that of --demo."""
    from unblur.serve import serve as open_house

    try:
        open_house(config, {"web": given(host=host, port=port), "serve": given(data=data)}, demo)
    except KeyboardInterrupt:  # a signal is how a server ends
        _complain("stopped")


@app.command()
def demo(out: Annotated[Path, typer.Option(help="The folder for everything it makes.")] = Path("out/demo")) -> None:
    """A simulated camera with known people and strangers: the video, the events, and a report on what was right."""
    from unblur.demo import demo as show

    show(out)


@app.command()
def enroll(
    faces: Annotated[Path, typer.Argument(help="FACES/<Name>/*.jpg, with an about.txt if there is something to say.")],
    gallery: Annotated[Path, typer.Option(help="The gallery to make, or to add people to.")],
    strict: Annotated[bool, typer.Option("--strict", help="Leave every doubtful photo out.")] = False,
    config: ConfigOption = None,
) -> None:
    """Enrol people from folders of photos; every doubtful photo is named. The faces lie in GALLERY.faces beside it."""
    from unblur.enrolment import enroll as enrol

    enrol(load(config, {}), faces, gallery, strict)


@app.command()
def fit(
    faces: Annotated[Path, typer.Argument(help="FACES/<Name>/*.jpg: people whose photos it is fitted to.")],
    embedder: Annotated[Fitted, typer.Option(help="fusion-cnn needs the extra `train`.")],
    out: Annotated[Path, typer.Option(help="The file to make; recognition.fitted takes it.")],
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Of the training of fusion-cnn.")] = 0,
    config: ConfigOption = None,
) -> None:
    """Fit an embedder to people's photos, to enroll and recognise by it (docs/recognition-baselines.md)."""
    from unblur.fitting import fit_embedder

    fit_embedder(load(config, {}), faces, embedder, out, seed)


@app.command()
def calibrate(
    gallery: Annotated[Path, typer.Argument(help="A gallery made by `unblur enroll`.")],
    fpir: FpirOption = None,
    threshold: ThresholdOption = None,
    config: ConfigOption = None,
) -> None:
    """How alike are the people of a gallery, and how many strangers will be given a name?"""
    from unblur.calibration import calibrate as tell

    tell(load(config, {"recognition": given(fpir=fpir, threshold=threshold)}), gallery)


@app.command()
def image(
    photos: Annotated[list[Path], typer.Argument(help="Pictures: JPG, PNG, WebP, AVIF, HEIC, GIF and more.")],
    out: Annotated[Path, typer.Option(help="The folder for the restored pictures.")],
    config: ConfigOption = None,
    gallery: GalleryOption = None,
    deblur: DeblurOption = None,
    preset: PresetOption = None,
    threshold: ThresholdOption = None,
) -> int:
    """Restore and name the faces of photos: restored picture, sheet, and a table (in a pipe, JSON lines)."""
    from unblur.photo import develop_all

    overrides = {
        "deblur": given(mode=deblur, preset=preset),
        "recognition": given(gallery=gallery, threshold=threshold),
    }
    faults = develop_all(load(config, overrides), photos, out)
    for fault in faults:
        _complain(str(fault))
    return faults[0].exit_status if faults else 0


@app.command()
def forget(
    person: Annotated[str | None, typer.Argument(help="The name, as it stands in the gallery and the log.")] = None,
    gallery: GalleryOption = None,
    log: Annotated[list[Path] | None, typer.Option(help="An event log; those set aside beside it go with it.")] = None,
    store: Annotated[list[str] | None, typer.Option(help="An event store, as sqlite:///FILE.")] = None,
    evidence: Annotated[Path | None, typer.Option(help="A folder of evidence.")] = None,
    data: Annotated[Path | None, typer.Option(help="All that `unblur serve` keeps in this folder.")] = None,
    expired: Annotated[bool, typer.Option("--expired", help="Forget what retention no longer allows.")] = False,
    demo: Annotated[
        bool, typer.Option("--demo", help="Forget what an earlier version kept of its demo among your own records.")
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Take a person out of gallery, logs, evidence and the application's data for good, and list what may remain."""
    from unblur.forgetting import forget_in

    overrides = {
        "recognition": given(gallery=gallery),
        "output": given(evidence=evidence),
        "serve": given(data=data),
    }
    settings, logs, stores = load(config, overrides), [str(path) for path in log or []], store or []
    if [person is not None, expired, demo].count(True) != 1:
        raise UsageError("name a person, or give --expired, or --demo, and only one of them")
    if demo:
        from unblur.demo_records import forget_demo

        forget_demo(settings, logs, stores)
    else:
        forget_in(settings, person, logs, stores)


@app.command()
def bench(
    data: Annotated[Path, typer.Option(help="A folder laid out like the project's shared data.")],
    minutes: Annotated[
        float, typer.Option(min=0, max=100_000, help="Also run this many minutes of footage and watch the memory.")
    ] = 0,
) -> None:
    """Measure speed and memory beside a plain loop over the same networks. Needs a checkout."""
    try:
        from benchmarks.speed import bench as measure
    except ModuleNotFoundError as error:
        raise UsageError("the benchmarks are part of a checkout, not of the installed program") from error
    if not (data / "val").is_dir():
        raise UsageError(f"{data} is not laid out like the project's shared data: there is no folder val in it")
    Results().show(measure(data, minutes))


@app.command()
def train(
    data: Annotated[Path, typer.Option(help="A folder laid out like the project's shared data: train/, val/.")],
    out: Annotated[Path, typer.Option(help="The folder for checkpoints, curves and the network.")],
    recipe: Annotated[Path | None, typer.Option(help="A YAML file (configs/train/); the default if not given.")] = None,
    set: Annotated[list[str] | None, typer.Option(help="KEY=VALUE over the recipe, for example crops=50000.")] = None,
) -> None:
    """Train the deblurring network; a run that was stopped goes on. Needs the extra `train`."""
    from unblur.training import train as learn

    Results().say(str(learn(data, out, recipe, set or [])))


@app.command()
def export(
    out: Annotated[Path, typer.Option(help="The folder for the files.")],
    network: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="An ONNX file; without it all that this project trained."),
    ] = None,
) -> None:
    """Write a network as ONNX in float32 and float16, and build TensorRT's plans where TensorRT is installed."""
    from unblur.export import export as write

    write(network, out)


@app.command()
def doctor(json: Annotated[bool, typer.Option("--json", help="For programs.")] = False) -> int:
    """Say what is here, what is missing, and what to do about it."""
    from unblur.doctor import doctor as examine

    return examine(json)


def _named(source: str) -> dict[str, object]:
    """NAME=SOURCE, or a source alone; a file that is really called so goes before a name."""
    name, equals, rest = source.partition("=")
    if equals and _NAME.fullmatch(name) and not Path(source).exists():
        return {"name": name, "source": rest}
    return {"source": source}


def _utc(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
