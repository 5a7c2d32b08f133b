"""`unblur demo`: runs the whole pipeline on a simulated camera and writes a report with the ground truth."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
import typer

from configs.loader import load
from configs.schema import Config, Notify
from detectors.yunet import IN_STILLS
from models.assets.fetch import fetch_portraits
from stream.errors import OutputError, SourceError
from stream.interfaces import Detector
from stream.simulation.camera import record
from stream.simulation.cutout import cut
from stream.simulation.ground_truth import GroundTruth
from stream.simulation.scene import Scene, WalkerPath, make_background
from stream.sources.factory import LOOP
from unblur.assembly.components import Components
from unblur.assembly.run_summary import run_to_end
from unblur.commands.demo_report import DemoRun, tally, write_report
from unblur.commands.options import Command, command_app, examples
from unblur.data_dir import GALLERY
from unblur.evaluate.scoring.event_log import read_events, score
from unblur.people.enrollment import enroll
from unblur.people.face_thumbnails import thumbnails_folder
from unblur.terminal import download_bar, messages, show_activity

app = command_app()
OUT = Path("out/demo")
START = "2026-01-01T12:00:00Z"
TRUTH = "truth.json"
CAMERA = "demo"
"""The name of the simulated camera."""


@app.command(cls=Command, epilog=examples("unblur demo", "unblur demo -o /tmp/demo"))
def demo(
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder for everything it makes.")] = OUT,
) -> None:
    """Try it on a simulated camera.

    It films known people and strangers, runs over the film, and writes the video, the events and a report.
    """
    make_demo(out)


def make_demo(out: Path = OUT) -> None:
    """Record the clip, enroll, run, and write the report; the files in `out` replace those of an earlier demo."""
    _clear(out)
    clip, gallery = stage(out)
    config = load(None, {
        "cameras": [{"name": CAMERA, "source": str(clip), "start_time": START}],
        "recognition": {"gallery": gallery},
        "output": {"picture": str(out / "annotated.mp4"), "events": out / "events.jsonl", "evidence": out / "crops"},
    })  # fmt: skip
    run_to_end(config)
    answers = GroundTruth.load(out / TRUTH)
    run = DemoRun(out / "annotated.mp4", read_events(out / "events.jsonl"), answers, out / "crops")
    report = write_report(out / "report.html", run, credit=CREDIT)
    console = messages()
    console.show(tally(score(run.events, answers)))
    console.say(f"The annotated video, the events and a report with pictures lie in {out}: open {report}")


def stage(out: Path) -> tuple[Path, Path]:
    """Make the simulated camera's clip, its ground truth, and the gallery of the known people in the folder `out`;
    return the paths of clip and gallery."""
    with download_bar() as progress:
        portraits = fetch_portraits(progress=progress)
    clip, gallery = out / "camera.mp4", out / "people.joblib"
    _record_clip(portraits, clip, out / TRUTH)
    enroll(Config(), make_enrollment_folder(portraits, out / "people"), gallery, strict=False)
    return clip, gallery


def configure_demo(config: Config, folder: Path) -> Config:
    """Return the configuration with the simulated camera as its only camera and without the user's own gallery, store,
    evidence and notifications; the demo's files are in `folder`."""
    clip, gallery = folder / "camera.mp4", folder / GALLERY
    if not (clip.is_file() and gallery.is_file() and thumbnails_folder(gallery).is_dir()):
        stage(folder)
    return config.model_copy(update={
        "cameras": Config.model_validate({"cameras": [{"name": CAMERA, "source": f"{LOOP}{clip}"}]}).cameras,
        "recognition": config.recognition.model_copy(update={"gallery": None}),
        "output": config.output.model_copy(update={"events": None, "store": None, "evidence": None}),
        "notify": Notify(),
    })  # fmt: skip


def _clear(out: Path) -> None:
    """Delete an earlier demo's files. Raises OutputError if the folder contains anything else."""
    try:
        if out.exists() and any(out.iterdir()) and not (out / TRUTH).is_file():
            raise OutputError(f"{out} holds something other than a demo: name a new folder with --out")
        for name in ("people", "crops"):
            shutil.rmtree(out / name, ignore_errors=True)
        out.mkdir(parents=True, exist_ok=True)
        for name in ("people.joblib", "events.jsonl"):
            (out / name).unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"cannot write the demo to {out}: {error.strerror}; choose another --out") from error


def _record_clip(portraits: Path, clip: Path, truth: Path) -> None:
    detector = Components(Config()).detector(IN_STILLS)  # before the status line: it may draw its own bar
    with show_activity("filming the simulated camera"):
        scene = demo_scene(portraits, detector)
        record(scene, clip)
        GroundTruth.of(scene).save(truth)


WIDTH, HEIGHT, FRAMES = 1280, 720, 445

CREDIT = "The portraits are in the public domain: Barack Obama and Joe Biden, White House; Eileen Collins, NASA."


@dataclass(frozen=True, slots=True)
class DemoPerson:
    """An enrolled person of the demo: file name of the photo, and description."""

    picture: str
    about: str


@dataclass(frozen=True, slots=True)
class ScenePass:
    """One passage of a person through the scene: the face's width and vertical position in pixels, its velocity in
    pixels per frame, and the frame of its entry."""

    person: str
    picture: str
    face_width: float
    y: float
    velocity: tuple[float, float]
    enters: int


ENROLLED = {
    "Barack_Obama": DemoPerson("obama.jpg", "44th President of the United States"),
    "Joe_Biden": DemoPerson("biden.jpg", "46th President of the United States"),
}

PASSES = (
    ScenePass("Barack_Obama", "obama3.jpg", 84, 330, (6, 0), 0),
    ScenePass("Eileen_Collins", "astronaut.png", 80, 400, (-28, 2), 40),
    ScenePass("Barack_Obama", "obama3.jpg", 80, 340, (30, -2), 290),
    ScenePass("Eileen_Collins", "astronaut.png", 88, 400, (-6, 0), 150),
    ScenePass("Barack_Obama", "obama2.jpg", 86, 470, (-14, 0), 335),
)
"""The passages, the farthest person first."""


def demo_scene(portraits: Path, detector: Detector) -> Scene:
    """Make the demo's scene: 15 s of 720p30. `portraits` is the folder of the photos."""
    passages = tuple(_make_path(each, portraits, detector) for each in PASSES)
    return Scene(make_background(WIDTH, HEIGHT), passages, FRAMES)


def make_enrollment_folder(portraits: Path, folder: Path) -> Path:
    """Copy the enrolled people's files as `unblur enroll` expects them: FOLDER/<Name>/<photo> and about.txt."""
    for name, person in ENROLLED.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        shutil.copyfile(portraits / person.picture, folder / name / person.picture)
        (folder / name / "about.txt").write_text(person.about + "\n", encoding="utf-8")
    return folder


def _make_path(role: ScenePass, portraits: Path, detector: Detector) -> WalkerPath:
    path = portraits / role.picture
    photo = cv2.imread(str(path)) if path.is_file() else None
    if photo is None:
        raise SourceError(f"there is no picture {path}")
    image = np.asarray(photo, np.uint8)
    faces = detector.detect(image)
    if not faces:
        raise SourceError(f"no face is found in {path}")
    cutout = cut(image, max(faces, key=lambda face: face.box.area).box, role.face_width)
    passage = WalkerPath(role.person, role.person in ENROLLED, role.picture, cutout, (WIDTH / 2, role.y), role.velocity)
    return passage.entering(role.enters, WIDTH, HEIGHT)
