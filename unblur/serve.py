"""`unblur serve`: the cameras and the web application, until it is told to stop."""

from __future__ import annotations

import signal
import threading
from contextlib import ExitStack
from pathlib import Path

from platformdirs import user_data_path
from rich.console import Console

from configs.schema import Config, load
from stream import heap
from stream.errors import OutputError
from stream.source import LOOP
from unblur.assemble import assemble
from unblur.demo import stage
from unblur.web.guard import guard

STORE, EVIDENCE, GALLERY = "events.sqlite", "evidence", "people.joblib"
"""What lies in the folder of data."""


def serve(path: Path | None, overrides: dict[str, object]) -> None:
    """Serve what the configuration at `path` says, with `overrides` over it; without a camera, the demo's. Recorded
    sources play at the pace of life, and when they have ended the pages stay.

    Raises UsageError, ModelError.
    """
    heap.share()
    console = Console(stderr=True, highlight=False)
    config = _settled(load(path, overrides), console)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a service that is stopped ends its log like any other
    with ExitStack() as stack:
        run = assemble(config, stack, lambda _: None)
        watching = run.outputs.watching
        assert watching
        watching.open(guard(config.web.token))
        console.print(f"unblur: {watching.address}/", soft_wrap=True)
        run.start()
        threading.Event().wait()


def _settled(config: Config, console: Console) -> Config:
    """The configuration with everything in its place in the folder of data."""
    data = config.serve.data or user_data_path("unblur")
    try:
        data.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise OutputError(f"cannot make the folder {data}: {error.strerror}; name another as serve.data") from error
    output = config.output.model_copy(update={
        "picture": "webrtc",
        "store": config.output.store or f"sqlite:///{data / STORE}",
        "evidence": config.output.evidence or data / EVIDENCE,
    })  # fmt: skip
    settled = config.model_copy(update={"output": output, "pace": "realtime"})
    return settled if config.cameras else _demo(settled, data / "demo", console)


def _demo(config: Config, folder: Path, console: Console) -> Config:
    """With the simulated camera, and whom it knows, so that the first thing a newcomer sees works."""
    clip, gallery = folder / "camera.mp4", folder / GALLERY
    if not (clip.is_file() and gallery.is_file()):
        folder.mkdir(exist_ok=True)
        stage(folder, console)
    camera = config.model_validate({"cameras": [{"name": "demo", "source": f"{LOOP}{clip}"}]}).cameras
    known = config.recognition.model_copy(update={"gallery": config.recognition.gallery or gallery})
    return config.model_copy(update={"cameras": camera, "recognition": known})
