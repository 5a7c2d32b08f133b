"""`unblur demo`: a simulated camera, the whole pipeline, and a page that says what was right and what was wrong."""

from __future__ import annotations

import shutil
from pathlib import Path

from configs.schema import Config, Notify, load
from detectors.yunet import IN_STILLS
from models.assets.fetch import fetch_portraits
from stream.errors import OutputError
from stream.simulation.camera import record
from stream.simulation.ground_truth import Truth
from stream.sources.factory import LOOP
from unblur.assemble import Parts
from unblur.cast import CREDIT, demo_scene, enrol_folder
from unblur.enrolment import enroll
from unblur.evaluate.scoring.event_log import read_events, score
from unblur.faces import faces_of
from unblur.folder import GALLERY
from unblur.report import Run, tally, write_report
from unblur.terminal import download_bar, messages, working
from unblur.watch import watch

OUT = Path("out/demo")
START = "2026-01-01T12:00:00Z"
TRUTH = "truth.json"
CAMERA = "demo"
"""What the simulated camera is called in the log."""


def demo(out: Path = OUT) -> None:
    """Make the clip, enrol, run, and write the report; everything lies in `out`, made anew."""
    _clear(out)
    clip, gallery = stage(out)
    config = load(None, {
        "cameras": [{"name": CAMERA, "source": str(clip), "start_time": START}],
        "recognition": {"gallery": gallery},
        "output": {"picture": str(out / "annotated.mp4"), "events": out / "events.jsonl", "evidence": out / "crops"},
    })  # fmt: skip
    watch(config)
    answers = Truth.load(out / TRUTH)
    run = Run(out / "annotated.mp4", read_events(out / "events.jsonl"), answers, out / "crops")
    report = write_report(out / "report.html", run, credit=CREDIT)
    console = messages()
    console.show(tally(score(run.events, answers)))
    console.say(f"The annotated video, the events and a report with pictures lie in {out}: open {report}")


def stage(out: Path) -> tuple[Path, Path]:
    """The simulated camera's clip, and the gallery of the known people, made in the folder `out`; the clip's truth lies
    beside it."""
    with download_bar() as progress:
        portraits = fetch_portraits(progress=progress)
    clip, gallery = out / "camera.mp4", out / "people.joblib"
    _film(portraits, clip, out / TRUTH)
    enroll(Config(), enrol_folder(portraits, out / "people"), gallery, strict=False)
    return clip, gallery


def configure_demo(config: Config, folder: Path) -> Config:
    """The configuration with the simulated camera in place of its own cameras, and nothing of the owner's: store,
    evidence and gallery are to lie in `folder`, the demo's own, and nobody is notified."""
    clip, gallery = folder / "camera.mp4", folder / GALLERY
    if not (clip.is_file() and gallery.is_file() and faces_of(gallery).is_dir()):
        stage(folder)
    return config.model_copy(update={
        "cameras": Config.model_validate({"cameras": [{"name": CAMERA, "source": f"{LOOP}{clip}"}]}).cameras,
        "recognition": config.recognition.model_copy(update={"gallery": None}),
        "output": config.output.model_copy(update={"events": None, "store": None, "evidence": None}),
        "notify": Notify(),
    })  # fmt: skip


def _clear(out: Path) -> None:
    """An earlier demo makes room. Raises OutputError for a folder that holds anything else."""
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


def _film(portraits: Path, clip: Path, truth: Path) -> None:
    detector = Parts(Config()).detector(IN_STILLS)  # before: it may draw a bar of its own
    with working("filming the simulated camera"):
        scene = demo_scene(portraits, detector)
        record(scene, clip)
        Truth.of(scene).save(truth)
