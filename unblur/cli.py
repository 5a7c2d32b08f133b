"""The commands. Each one reads its arguments, hands them to the part that does the work, and says what came of it."""

from __future__ import annotations

import logging
import re
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

import structlog
import typer
from rich.console import Console
from typer.exceptions import TyperException

from configs.schema import ConfigError, load
from models.errors import ModelError
from stream.data import EventType
from stream.errors import UnblurError, UsageError

app = typer.Typer(
    name="unblur",
    help="Finds faces in live and recorded video, restores the blurred ones and says who they are, or says unknown.",
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
events_app = typer.Typer(help="Look into an event log or store.", no_args_is_help=True)
app.add_typer(events_app, name="events")
evaluate_app = typer.Typer(help="Measure restoration, identification, and a run over a clip.", no_args_is_help=True)
app.add_typer(evaluate_app, name="evaluate")
users_app = typer.Typer(help="Who may use the web application. Passwords are asked for.", no_args_is_help=True)
app.add_typer(users_app, name="users")

_INTERRUPTED = 130
"""What typer makes of Ctrl-C."""
_NAME = re.compile(r"[^/\\=:]{1,64}")


def main(arguments: list[str] | None = None) -> int:
    """Run one command; its exit status. An error is one line on standard error, never a traceback."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),  # standard output is for results
    )
    try:
        status = app(arguments, standalone_mode=False)
    except TyperException as error:
        _complain(error.format_message())
        return int(error.exit_code)
    except (UnblurError, ModelError, ConfigError) as error:
        _complain(str(error))
        return error.exit_status
    if status == _INTERRUPTED:
        _complain("interrupted")
    return status if isinstance(status, int) else 0


def _complain(message: str) -> None:
    Console(stderr=True, soft_wrap=True, highlight=False, markup=False).print(f"unblur: {message}")


Deblur = Literal["auto", "cnn", "richardson-lucy", "off"]
Preset = Literal["motion", "seed"]
Pace = Literal["realtime", "fast"]
Detector = Literal["yunet", "mtcnn"]
Redact = Literal["unknown", "all"]
Format = Literal["json", "csv"]
Judge = Literal["sface", "facenet"]
Alignment = Literal["sharp", "blurred", "both"]
Speed = Literal["slow", "mixed", "fast"]
Fitted = Literal["pca", "lda", "lpp", "fusion-cnn"]
Backend = Literal["auto", "tensorrt", "tensorrt-rtx", "cuda", "onnxruntime", "openvino", "openvino-bf16"]

GalleryOption = Annotated[Path | None, typer.Option(help="Who is known: a file made by `unblur enroll`.")]
DeblurOption = Annotated[Deblur | None, typer.Option(help="How blurred faces are restored.")]
PresetOption = Annotated[Preset | None, typer.Option(help="seed: Richardson-Lucy with the fixed 5 x 5 mean kernel.")]
ThresholdOption = Annotated[float | None, typer.Option(help="Cosine similarity from which a face gets a name.")]
FpirOption = Annotated[float | None, typer.Option(help="The share of strangers who may be given a name: 0.01.")]


FolderOption = Annotated[Path | None, typer.Option("--data", help="The folder for people, events, crops and accounts.")]
ConfigOption = Annotated[Path | None, typer.Option(help="A YAML file; what stands on the command line goes over it.")]


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

    camera = _given(shutter=shutter, start_time=start_time and _utc(start_time), begin_s=begin, end_s=end, fps=fps)
    if camera and not sources:
        raise typer.BadParameter(f"{', '.join(camera)}: in a configuration these are keys of each camera")
    overrides = {
        "detection": _given(detector=detector, size=detection_size),
        "deblur": _given(mode=deblur, preset=preset),
        "recognition": _given(gallery=gallery, threshold=threshold, fpir=fpir),
        "output": _given(picture=output, events=events, store=store, evidence=evidence, redact=redact, quiet=quiet),
        "web": _given(host=host, port=port),
        **_given(pace=pace, cameras=[_named(source) | camera for source in sources] if sources else None),
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
) -> None:
    """The web application: live pictures, events, people. Without a camera in --config it shows a simulated one."""
    from unblur.serve import serve as open_house

    open_house(config, {"web": _given(host=host, port=port), "serve": _given(data=data)})


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
    seed: Annotated[int, typer.Option(min=0, help="Of the training of fusion-cnn.")] = 0,
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

    tell(load(config, {"recognition": _given(fpir=fpir, threshold=threshold)}), gallery)


@app.command()
def image(
    photos: Annotated[list[Path], typer.Argument(help="Pictures: JPG, PNG, GIF (the first frame), WebP and more.")],
    out: Annotated[Path, typer.Option(help="The folder for the restored pictures.")],
    config: ConfigOption = None,
    gallery: GalleryOption = None,
    deblur: DeblurOption = None,
    preset: PresetOption = None,
    threshold: ThresholdOption = None,
) -> int:
    """Restore and name the faces of photos: restored picture, sheet, and one JSON line a face on standard output."""
    from unblur.photo import develop_all

    overrides = {
        "deblur": _given(mode=deblur, preset=preset),
        "recognition": _given(gallery=gallery, threshold=threshold),
    }
    faults = develop_all(load(config, overrides), photos, out)
    for fault in faults:
        _complain(str(fault))
    return faults[0].exit_status if faults else 0


PersonOption = Annotated[str | None, typer.Option(help='A name, or "unknown".')]
CameraOption = Annotated[str | None, typer.Option(help="A camera's name.")]
SinceOption = Annotated[str | None, typer.Option(help="From 2026-01-31T18:00:00Z on, or from a second of media time.")]
UntilOption = Annotated[str | None, typer.Option(help="Up to this time, likewise.")]
TypeOption = Annotated[EventType | None, typer.Option(help="Only events of this type.")]
LogArgument = Annotated[str, typer.Argument(help="An event log (a file), or a store as sqlite:///FILE.")]


@events_app.command("list")
def list_events(
    log: LogArgument,
    person: PersonOption = None,
    camera: CameraOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    type: TypeOption = None,
) -> None:
    """Show events as a table."""
    from unblur.events import show, wanted

    show(log, wanted(person, camera, since, until, type))


@events_app.command("export")
def export_events(
    log: LogArgument,
    format: Annotated[Format, typer.Option(help="JSON, one object a line, or CSV.")] = "json",
    out: Annotated[Path | None, typer.Option(help="A file; standard output if not given.")] = None,
    person: PersonOption = None,
    camera: CameraOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    type: TypeOption = None,
) -> None:
    """Write events as JSON lines or CSV."""
    from unblur.events import export, wanted

    export(log, wanted(person, camera, since, until, type), format, out)


@events_app.command("verify")
def verify_events(
    evidence: Annotated[Path, typer.Argument(help="The folder that a run kept its evidence in.")],
    log: Annotated[
        list[str] | None, typer.Option(help="An event log, or a store as sqlite:///FILE, to compare.")
    ] = None,
    key: Annotated[
        list[Path] | None, typer.Option(help="A public key to trust, kept elsewhere (signer-….pem).")
    ] = None,
) -> int:
    """Find every changed, missing or inserted event, bundle or picture; exit status 1 if there is any."""
    from unblur.verification import verify

    return verify(evidence, log or [], key or [])


@events_app.command("crops")
def decrypt_crops(
    evidence: Annotated[Path, typer.Argument(help="A folder of evidence, its pictures encrypted.")],
    out: Annotated[Path, typer.Option(help="The folder for the pictures as they are.")],
    config: ConfigOption = None,
) -> None:
    """Write the pictures of evidence decrypted, with the key that the configuration names (encryption.key)."""
    from unblur.assemble import Parts
    from unblur.crops import decrypt

    typer.echo(f"{decrypt(evidence, out, Parts(load(config, {})).cipher)} pictures written to {out}")


@app.command()
def forget(
    person: Annotated[str | None, typer.Argument(help="The name, as it stands in the gallery and the log.")] = None,
    gallery: GalleryOption = None,
    log: Annotated[list[Path] | None, typer.Option(help="An event log; those set aside beside it go with it.")] = None,
    store: Annotated[list[str] | None, typer.Option(help="An event store, as sqlite:///FILE.")] = None,
    evidence: Annotated[Path | None, typer.Option(help="A folder of evidence.")] = None,
    data: Annotated[Path | None, typer.Option(help="All that `unblur serve` keeps in this folder.")] = None,
    expired: Annotated[bool, typer.Option("--expired", help="Forget what retention no longer allows.")] = False,
    config: ConfigOption = None,
) -> None:
    """Take a person out of gallery, logs, evidence and the application's data for good, and list what may remain."""
    from unblur.forgetting import forget_in

    overrides = {
        "recognition": _given(gallery=gallery),
        "output": _given(evidence=evidence),
        "serve": _given(data=data),
    }
    forget_in(load(config, overrides), person, [str(path) for path in log or []], store or [], expired)


NameArgument = Annotated[str, typer.Argument(help="The account's name.")]
RoleOption = Annotated[
    Literal["viewer", "operator"] | None, typer.Option(help="A viewer looks, an operator also changes things.")
]


@users_app.command("add")
def add_user(name: NameArgument, role: RoleOption = None, data: FolderOption = None) -> None:
    """Add an account: the first is an operator's, others are viewers' if --role does not say more."""
    from unblur.accounts import Register

    Register(data).add(name, role)


@users_app.command("list")
def list_users(data: FolderOption = None) -> None:
    """Show who has an account."""
    from unblur.accounts import Register

    Register(data).show()


@users_app.command("remove")
def remove_user(name: NameArgument, data: FolderOption = None) -> None:
    """Remove an account; the last operator's stays."""
    from unblur.accounts import Register

    Register(data).remove(name)


@users_app.command("password")
def change_password(name: NameArgument, data: FolderOption = None) -> None:
    """Give an account another password, and end its sessions."""
    from unblur.accounts import Register

    Register(data).set_password(name)


DataOption = Annotated[Path, typer.Option(help="A folder laid out like the project's shared data.")]
OutOption = Annotated[Path, typer.Option(help="The folder for table.md, table.json and the plots.")]
SplitOption = Annotated[Literal["test", "val"], typer.Option(help="val is for choosing, test for reporting.")]
SeedOption = Annotated[int, typer.Option(min=0, help="Of the random blurs and the noise.")]
EveryOption = Annotated[int, typer.Option(min=1, help="Take every n-th face, or person, to be quick.")]
ConditionOption = Annotated[list[str] | None, typer.Option("--condition", help="A blur; all if none is given.")]
NetworkOption = Annotated[
    Path | None,
    typer.Option(
        exists=True, dir_okay=False, help="An ONNX file to judge in place of the network that comes with unblur."
    ),
]
MethodOption = Annotated[list[str] | None, typer.Option("--method", help="A method; all if none is given.")]
BackendOption = Annotated[Backend, typer.Option(help="What runs the networks.")]


@evaluate_app.command("restore")
def evaluate_restore(
    data: DataOption,
    out: OutOption,
    split: SplitOption = "test",
    seed: SeedOption = 0,
    every: EveryOption = 1,
    condition: ConditionOption = None,
    method: MethodOption = None,
    network: NetworkOption = None,
    backend: BackendOption = "auto",
) -> None:
    """How near does restoration come to the sharp face? PSNR and SSIM."""
    from unblur.evaluate import results

    results.require("matplotlib", "skimage")
    from unblur.evaluate.restore import evaluate
    from unblur.evaluate.settings import Settings

    settings = Settings(data, split, seed, every, condition or (), method or (), backend, network)
    typer.echo(evaluate(settings, out), nl=False)


@evaluate_app.command("identify")
def evaluate_identify(
    data: DataOption,
    out: OutOption,
    split: SplitOption = "test",
    judge: Annotated[Judge, typer.Option(help="The embedder; facenet took no part in any training here.")] = "sface",
    alignment: Annotated[
        Alignment, typer.Option(help="By the sharp photograph's points or the blurred one's.")
    ] = "sharp",
    seed: SeedOption = 0,
    every: EveryOption = 1,
    condition: ConditionOption = None,
    method: MethodOption = None,
    network: NetworkOption = None,
    backend: BackendOption = "auto",
) -> None:
    """Does restoration find more people, and no wrong ones? Rank-1, DIR and FPIR."""
    from unblur.evaluate import results

    results.require("matplotlib")
    from unblur.evaluate.identify import evaluate
    from unblur.evaluate.settings import Settings

    settings = Settings(data, split, seed, every, condition or (), method or (), backend, network)
    alignments: tuple[Literal["sharp", "blurred"], ...] = ("sharp", "blurred") if alignment == "both" else (alignment,)
    typer.echo(evaluate(settings, judge, alignments, out), nl=False)


@evaluate_app.command("recognition")
def evaluate_recognition(
    data: DataOption,
    out: OutOption,
    seed: Annotated[int, typer.Option(min=0, help="Of the splits and of the training.")] = 0,
    repeats: Annotated[int, typer.Option(min=2, help="How many random splits; fewer, to be quick.")] = 10,
    method: MethodOption = None,
    backend: BackendOption = "auto",
) -> None:
    """How often is the person right on ORL and Yale, by classical features and by networks?"""
    from unblur.evaluate import results

    results.require("matplotlib")
    from unblur.evaluate.recognition import evaluate

    typer.echo(evaluate(data, out, seed, repeats, method or (), backend), nl=False)


SpeedOption = Annotated[list[str] | None, typer.Option("--speed", help="slow, mixed or fast; all if none is given.")]


@evaluate_app.command("video")
def evaluate_video(
    events: Annotated[Path | None, typer.Argument(help="An event log of a run over a simulated clip.")] = None,
    truth: Annotated[Path | None, typer.Argument(help="The clip's truth, as the simulated camera wrote it.")] = None,
    data: Annotated[Path | None, typer.Option(help="A folder laid out like the project's shared data.")] = None,
    out: Annotated[Path | None, typer.Option(help="The folder for clips, event logs, tables and plots.")] = None,
    split: SplitOption = "test",
    seed: SeedOption = 0,
    every: EveryOption = 1,
    speed: SpeedOption = None,
    method: MethodOption = None,
    backend: BackendOption = "auto",
) -> None:
    """Are the right people in the log, at the right time? One log; or, with --data, simulated clips by every method."""
    if events and truth and not data and not out:
        from unblur.evaluate.appearances import evaluate as compare

        typer.echo(compare(events, truth), nl=False)
        return
    if events or truth or not (data and out):
        raise typer.BadParameter("give EVENTS and TRUTH, or --data and --out")
    from unblur.evaluate import results

    results.require("matplotlib")
    from unblur.evaluate.screening import evaluate
    from unblur.evaluate.settings import Settings

    settings = Settings(data, split, seed, every, methods=method or (), backend=backend)
    typer.echo(evaluate(settings, speed or (), out), nl=False)


@evaluate_app.command("clip")
def evaluate_clip(
    people: Annotated[
        Path, typer.Argument(help="A folder or tar: people/<Name>/gallery|probe/*.jpg, strangers/*.jpg.")
    ],
    out: Annotated[
        Path, typer.Option(help="The folder for clip.mp4, truth.json and people/, which is to be enrolled.")
    ],
    seed: SeedOption = 0,
    every: EveryOption = 1,
    speed: Annotated[Speed, typer.Option(help="4-6, 4-45 or 22-45 pixels a frame.")] = "mixed",
    at_once: Annotated[int, typer.Option(min=1, help="People before the camera at a time, at most.")] = 4,
    shutter: Annotated[float, typer.Option(min=0.01, max=1, help="Exposure as a fraction of the frame time.")] = 0.6,
    crossing: Annotated[
        bool, typer.Option("--crossing", help="They come in twos, one passes before the other.")
    ] = False,
    occlusion: Annotated[bool, typer.Option("--occlusion", help="Something passes before each face.")] = False,
    lighting: Annotated[bool, typer.Option("--lighting", help="The light goes off and on.")] = False,
    crf: Annotated[int, typer.Option(min=0, max=51, help="H.264's constant rate factor: more is worse.")] = 26,
) -> None:
    """Film people walking past a simulated camera, with the truth of who was seen when."""
    from unblur.evaluate.clips import Filming, make

    make(people, Filming(speed, at_once, shutter, crossing, occlusion, lighting, crf), seed, every, out)


@app.command()
def bench(
    data: Annotated[Path, typer.Option(help="A folder laid out like the project's shared data.")],
    minutes: Annotated[float, typer.Option(help="Also run this many minutes of footage and watch the memory.")] = 0,
) -> None:
    """Measure speed and memory beside a plain loop over the same networks. Needs a checkout."""
    try:
        from benchmarks.speed import bench as measure
    except ModuleNotFoundError as error:
        raise UsageError("the benchmarks are part of a checkout, not of the installed program") from error
    if not (data / "val").is_dir():
        raise UsageError(f"{data} is not laid out like the project's shared data: there is no folder val in it")
    typer.echo(measure(data, minutes))


@app.command()
def train(
    data: Annotated[Path, typer.Option(help="A folder laid out like the project's shared data: train/, val/.")],
    out: Annotated[Path, typer.Option(help="The folder for checkpoints, curves and the network.")],
    recipe: Annotated[Path | None, typer.Option(help="A YAML file (configs/train/); the default if not given.")] = None,
    set: Annotated[list[str] | None, typer.Option(help="KEY=VALUE over the recipe, for example crops=50000.")] = None,
) -> None:
    """Train the deblurring network; a run that was stopped goes on. Needs the extra `train`."""
    from unblur.training import train as learn

    typer.echo(learn(data, out, recipe, set or []))


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


def _given(**options: object) -> dict[str, object]:
    """The options that were given; the others keep what the configuration says."""
    return {key: value for key, value in options.items() if value is not None}
