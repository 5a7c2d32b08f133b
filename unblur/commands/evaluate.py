"""`unblur evaluate`: measurements of restoration, identification, recognition and video runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from unblur.commands.options import (
    AlignmentChoice,
    BackendChoice,
    Command,
    JudgeChoice,
    SpeedChoice,
    command_app,
    examples,
)
from unblur.terminal import Results

app = command_app("Measure restoration, identification and video runs.")

DataOption = Annotated[Path, typer.Option(help="A folder laid out like the project's shared data.")]
OutOption = Annotated[Path, typer.Option("--out", "-o", help="The folder for table.md, table.json and the plots.")]
SplitOption = Annotated[Literal["test", "val"], typer.Option(help="val is for choosing, test for reporting.")]
SeedOption = Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Of the random blurs and the noise.")]
EveryOption = Annotated[int, typer.Option(min=1, max=1_000_000, help="Take every n-th face, or person, to be quick.")]
ConditionOption = Annotated[list[str] | None, typer.Option("--condition", help="A blur; all if none is given.")]
NetworkOption = Annotated[
    Path | None,
    typer.Option(
        exists=True, dir_okay=False, help="An ONNX file to judge in place of the network that comes with unblur."
    ),
]
MethodOption = Annotated[list[str] | None, typer.Option("--method", help="A method; all if none is given.")]
BackendOption = Annotated[BackendChoice, typer.Option(help="What runs the networks.")]


@app.command("restore", cls=Command, epilog=examples("unblur evaluate restore --data ../shared/data -o out/restore"))
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
    """Measure restoration: PSNR and SSIM."""
    from unblur.evaluate.reporting import output_folder

    output_folder.require("matplotlib", "skimage")
    from unblur.evaluate.experiments.restoration import evaluate
    from unblur.evaluate.experiments.settings import Settings

    settings = Settings(data, split, seed, every, condition or (), method or (), backend, network)
    Results().show(evaluate(settings, out))


@app.command("identify", cls=Command, epilog=examples("unblur evaluate identify --data ../shared/data -o out/identify"))
def evaluate_identify(
    data: DataOption,
    out: OutOption,
    split: SplitOption = "test",
    judge: Annotated[
        JudgeChoice, typer.Option(help="The embedder; facenet took no part in any training here.")
    ] = "sface",
    alignment: Annotated[
        AlignmentChoice, typer.Option(help="By the sharp photograph's points or the blurred one's.")
    ] = "sharp",
    seed: SeedOption = 0,
    every: EveryOption = 1,
    condition: ConditionOption = None,
    method: MethodOption = None,
    network: NetworkOption = None,
    backend: BackendOption = "auto",
) -> None:
    """Measure identification after restoration: Rank-1, DIR, FPIR."""
    from unblur.evaluate.reporting import output_folder

    output_folder.require("matplotlib")
    from unblur.evaluate.experiments.identification_report import evaluate
    from unblur.evaluate.experiments.settings import Settings

    settings = Settings(data, split, seed, every, condition or (), method or (), backend, network)
    alignments: tuple[Literal["sharp", "blurred"], ...] = ("sharp", "blurred") if alignment == "both" else (alignment,)
    Results().show(evaluate(settings, judge, alignments, out))


@app.command(
    "recognition", cls=Command, epilog=examples("unblur evaluate recognition --data ../shared/data -o out/recognition")
)
def evaluate_recognition(
    data: DataOption,
    out: OutOption,
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Of the splits and of the training.")] = 0,
    repeats: Annotated[int, typer.Option(min=2, max=1000, help="How many random splits; fewer, to be quick.")] = 10,
    method: MethodOption = None,
    backend: BackendOption = "auto",
) -> None:
    """Measure closed-set recognition on ORL and Yale."""
    from unblur.evaluate.reporting import output_folder

    output_folder.require("matplotlib")
    from unblur.evaluate.experiments.closed_set_report import evaluate

    Results().show(evaluate(data, out, seed, repeats, method or (), backend))


SpeedOption = Annotated[list[str] | None, typer.Option("--speed", help="slow, mixed or fast; all if none is given.")]


@app.command("video", cls=Command, epilog=examples("unblur evaluate video --data ../shared/data -o out/video"))
def evaluate_video(
    events: Annotated[
        Path | None, typer.Argument(metavar="EVENTS", help="An event log of a run over a simulated clip.")
    ] = None,
    truth: Annotated[
        Path | None, typer.Argument(metavar="TRUTH", help="The clip's truth, as the simulated camera wrote it.")
    ] = None,
    data: Annotated[Path | None, typer.Option(help="A folder laid out like the project's shared data.")] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The folder for clips, event logs, tables and plots.")
    ] = None,
    split: SplitOption = "test",
    seed: SeedOption = 0,
    every: EveryOption = 1,
    speed: SpeedOption = None,
    method: MethodOption = None,
    backend: BackendOption = "auto",
) -> None:
    """Measure an event log, or whole runs over simulated clips.

    With EVENTS and TRUTH one log is compared with its clip; with --data clips are simulated and run by every method.
    """
    if events and truth and not data and not out:
        from unblur.evaluate.reporting.event_log_report import evaluate as compare

        Results().show(compare(events, truth))
        return
    if events or truth or not (data and out):
        raise typer.BadParameter("give EVENTS and TRUTH, or --data and --out")
    from unblur.evaluate.reporting import output_folder

    output_folder.require("matplotlib")
    from unblur.evaluate.experiments.settings import Settings
    from unblur.evaluate.experiments.video import evaluate

    settings = Settings(data, split, seed, every, methods=method or (), backend=backend)
    Results().show(evaluate(settings, speed or (), out))


@app.command("clip", cls=Command, epilog=examples("unblur evaluate clip people.tar -o out/clip"))
def evaluate_clip(
    people: Annotated[
        Path,
        typer.Argument(metavar="PEOPLE", help="A folder or tar: people/<Name>/gallery|probe/*.jpg, strangers/*.jpg."),
    ],
    out: Annotated[
        Path,
        typer.Option("--out", "-o", help="The folder for clip.mp4, truth.json and people/, which is to be enrolled."),
    ],
    seed: SeedOption = 0,
    every: EveryOption = 1,
    speed: Annotated[SpeedChoice, typer.Option(help="4-6, 4-45 or 22-45 pixels a frame.")] = "mixed",
    at_once: Annotated[int, typer.Option(min=1, max=100, help="People before the camera at a time, at most.")] = 4,
    shutter: Annotated[float, typer.Option(min=0.01, max=1, help="Exposure as a fraction of the frame time.")] = 0.6,
    crossing: Annotated[
        bool, typer.Option("--crossing", help="They come in twos, one passes before the other.")
    ] = False,
    occlusion: Annotated[bool, typer.Option("--occlusion", help="Something passes before each face.")] = False,
    lighting: Annotated[bool, typer.Option("--lighting", help="The light goes off and on.")] = False,
    crf: Annotated[int, typer.Option(min=0, max=51, help="H.264's constant rate factor: more is worse.")] = 26,
) -> None:
    """Simulate a clip of people, with its ground truth."""
    from unblur.evaluate.data.clips import ClipSettings, make_clip_folder

    make_clip_folder(
        people, ClipSettings(speed, at_once, shutter, crossing, occlusion, lighting, crf), seed, every, out
    )
