"""`unblur run`: names the faces of cameras or recordings, and logs events."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from configs.loader import load
from configs.schema import Config
from stream.interfaces import Source
from stream.metrics import StageMetrics
from unblur.assembly.outputs import LiveOutput
from unblur.assembly.pipeline_run import Run
from unblur.assembly.run_summary import run_to_end
from unblur.commands.options import (
    Command,
    ConfigOption,
    DeblurOption,
    DetectorChoice,
    FpirOption,
    GalleryOption,
    Pace,
    PresetOption,
    Redact,
    ThresholdOption,
    command_app,
    drop_unset,
    examples,
)
from unblur.terminal import messages

_NAME = re.compile(r"[^/\\=:]{1,64}")

app = command_app()


@app.command(
    cls=Command,
    epilog=examples(
        "unblur run 0 --output window",
        "unblur run lobby=rtsp://user:password@10.0.0.7/1 -g people.joblib --events events.jsonl",
        "unblur run film.mp4 -g people.joblib -o annotated.mp4",
    ),
)
def run(
    sources: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="SOURCE",
            help="0, /dev/video0, rtsp://, http(s)://, a file, a folder of pictures; or NAME=SOURCE.",
        ),
    ] = None,
    config: ConfigOption = None,
    gallery: GalleryOption = None,
    deblur: DeblurOption = None,
    preset: PresetOption = None,
    threshold: ThresholdOption = None,
    fpir: FpirOption = None,
    detector: Annotated[DetectorChoice | None, typer.Option(help="mtcnn needs the extra `facenet`.")] = None,
    detection_size: Annotated[int | None, typer.Option(help="Long side of the picture that the detector sees.")] = None,
    output: Annotated[
        str | None, typer.Option("--output", "-o", help="window, webrtc, none, or a file ending in .mp4.")
    ] = None,
    host: Annotated[str | None, typer.Option(help="webrtc: the address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="webrtc: the port to listen on; 0 picks a free port.")] = None,
    events: Annotated[Path | None, typer.Option(help="Write the events here, one JSON object a line.")] = None,
    store: Annotated[str | None, typer.Option(help="Write the events to a database, as sqlite:///FILE.")] = None,
    evidence: Annotated[Path | None, typer.Option(help="Keep the evidence of each event in this folder.")] = None,
    redact: Annotated[Redact | None, typer.Option(help="Hide faces in every output picture.")] = None,
    pace: Annotated[Pace | None, typer.Option(help="Recordings: real time, or as fast as possible.")] = None,
    start_time: Annotated[datetime | None, typer.Option(help="Recordings: when they began (UTC).")] = None,
    begin: Annotated[float | None, typer.Option("--from", help="Recordings: begin at this second.")] = None,
    end: Annotated[float | None, typer.Option("--to", help="Recordings: stop at this second.")] = None,
    fps: Annotated[float | None, typer.Option(help="Frame rate for picture folders.")] = None,
    shutter: Annotated[float | None, typer.Option(help="Exposure as a fraction of the frame time.")] = None,
    quiet: Annotated[bool | None, typer.Option("--quiet", help="No progress, no summary.")] = None,
) -> None:
    """Name the faces of cameras or footage, and log who was seen.

    Shows or records the annotated picture, too, and keeps evidence, where that is asked for.
    """
    camera = drop_unset(shutter=shutter, start_time=start_time and _utc(start_time), begin_s=begin, end_s=end, fps=fps)
    if camera and not sources:
        raise typer.BadParameter(f"{', '.join(camera)}: in a configuration these are keys of each camera")
    overrides = {
        "detection": drop_unset(detector=detector, size=detection_size),
        "deblur": drop_unset(mode=deblur, preset=preset),
        "recognition": drop_unset(gallery=gallery, threshold=threshold, fpir=fpir),
        "output": drop_unset(picture=output, events=events, store=store, evidence=evidence, redact=redact, quiet=quiet),
        "web": drop_unset(host=host, port=port),
        **drop_unset(pace=pace, cameras=[_parse_source(source) | camera for source in sources] if sources else None),
    }
    settings = load(config, overrides)
    if not settings.cameras:
        raise typer.BadParameter("no source: give one, or cameras in --config")
    _run(settings)


def _run(config: Config) -> None:
    """Run the cameras to their end, or until interrupted; with the output `webrtc`, open the live page. The web server
    is imported only if needed: that takes half a second."""

    def make_live_view(sources: Sequence[Source], meter: StageMetrics) -> LiveOutput:
        from unblur.web.pages.live import LiveView

        return LiveView(config.web, sources, meter)

    def open_live_view(run: Run) -> None:
        if run.outputs.live_view:
            from unblur.web.auth.middleware import auth_middleware
            from unblur.web.pages.live import LiveView

            assert isinstance(run.outputs.live_view, LiveView)
            run.outputs.live_view.open(auth_middleware(config.web.token))
            messages().say(f"Open {run.outputs.live_view.address}/ · Ctrl-C stops")

    run_to_end(config, make_live_view, open_live_view)


def _parse_source(source: str) -> dict[str, object]:
    """Parse NAME=SOURCE, or a source alone; an existing file with that whole name takes precedence."""
    name, equals, rest = source.partition("=")
    if equals and _NAME.fullmatch(name) and not Path(source).exists():
        return {"name": name, "source": rest}
    return {"source": source}


def _utc(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
