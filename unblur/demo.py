"""`unblur demo`: a simulated camera, the whole pipeline, and a page that says what was right and what was wrong."""

from __future__ import annotations

import shutil
from pathlib import Path

from rich.console import Console

from configs.schema import Config, load
from detectors.yunet import IN_STILLS
from models.fetch import bar, fetch_portraits
from stream.errors import OutputError
from stream.simulate import record
from stream.truth import Truth
from unblur.assemble import Parts
from unblur.cast import CREDIT, demo_scene, enrol_folder
from unblur.enrolment import enroll
from unblur.evaluate.video import read_events, score
from unblur.report import Run, tally, write_report
from unblur.watch import watch

OUT = Path("out/demo")
START = "2026-01-01T12:00:00Z"
TRUTH = "truth.json"


def demo(out: Path = OUT) -> None:
    """Make the clip, enrol, run, and write the report; everything lies in `out`, made anew."""
    console = Console(stderr=True, highlight=False)
    _clear(out)
    clip, gallery = stage(out, console)
    config = load(None, {
        "cameras": [{"name": "demo", "source": str(clip), "start_time": START}],
        "recognition": {"gallery": gallery},
        "output": {"picture": str(out / "annotated.mp4"), "events": out / "events.jsonl", "evidence": out / "crops"},
    })  # fmt: skip
    watch(config)
    answers = Truth.load(out / TRUTH)
    run = Run(out / "annotated.mp4", read_events(out / "events.jsonl"), answers, out / "crops")
    report = write_report(out / "report.html", run, credit=CREDIT)
    console.print(tally(score(run.events, answers)), soft_wrap=True)
    said = f"The annotated video, the events and a report with pictures lie in {out}: open {report}"
    console.print(said, soft_wrap=True, markup=False)


def stage(out: Path, console: Console) -> tuple[Path, Path]:
    """The simulated camera's clip, and the gallery of the known people, made in the folder `out`; the clip's truth lies
    beside it."""
    with bar() as progress:
        portraits = fetch_portraits(progress=progress)
    clip, gallery = out / "camera.mp4", out / "people.joblib"
    _film(portraits, clip, out / TRUTH, console)
    enroll(Config(), enrol_folder(portraits, out / "people"), gallery, strict=False)
    return clip, gallery


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


def _film(portraits: Path, clip: Path, truth: Path, console: Console) -> None:
    with console.status("filming the simulated camera"):
        scene = demo_scene(portraits, Parts(Config()).detector(IN_STILLS))
        record(scene, clip)
        Truth.of(scene).save(truth)
