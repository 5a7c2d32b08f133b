"""Where the time of a run over a recording goes: milliseconds a frame, and the share of each stage.

    python -m unblur.evaluate.experiments.stage_times CLIP GALLERY OUT.json

The whole of unblur as `unblur run` assembles it, with nothing shown; stages run beside each other on several threads,
so that their shares add up to the work and not to the time on the clock.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from configs.loader import load
from stream.metrics import MetricsSnapshot
from unblur.assembly.pipeline_run import assemble


@dataclass(frozen=True, slots=True)
class Stages:
    """Frames, crops and restored crops of a run, and seconds by stage."""

    counts: Mapping[str, int]
    seconds: Mapping[str, float]

    @classmethod
    def load(cls, path: Path) -> Self:
        return cls(**json.loads(path.read_text(encoding="utf-8")))

    @classmethod
    def of(cls, reading: MetricsSnapshot) -> Self:
        counts = {what: reading.counts.get(what, 0) for what in ("frames", "detections", "crops", "restored")}
        return cls(counts, reading.seconds)

    def save(self, path: Path) -> None:
        path.write_text(json.dumps({"counts": dict(self.counts), "seconds": dict(self.seconds)}), encoding="utf-8")

    def table(self) -> str:
        """As Markdown, the costliest stage first."""
        total, frames = sum(self.seconds.values()) or 1.0, self.counts["frames"] or 1
        lines = [
            "{frames} frames, {detections} searched; {crops} crops, {restored} of them restored.".format(**self.counts),
            "",
            "| stage | seconds | ms a frame | share |\n|---|---|---|---|",
        ]
        for name, seconds in sorted(self.seconds.items(), key=lambda item: -item[1]):
            lines.append(f"| {name} | {seconds:.2f} | {1000 * seconds / frames:.2f} | {100 * seconds / total:.0f} % |")
        return "\n".join(lines)


def measure(clip: Path, gallery: Path) -> Stages:
    """Run over the whole clip."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        config = load(None, {
            "cameras": [{"name": "clip", "source": str(clip)}],
            "recognition": {"gallery": gallery},
            "output": {"events": Path(folder) / "events.jsonl", "quiet": True},
        })  # fmt: skip
        run = assemble(config, stack, lambda _: None)
        run.start()
    return Stages.of(run.meter.read())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        prog="python -m unblur.evaluate.experiments.stage_times", description=__doc__.splitlines()[0]
    )
    for name in ("clip", "gallery", "out"):
        parser.add_argument(name, type=Path)
    chosen = parser.parse_args()
    measure(chosen.clip, chosen.gallery).save(chosen.out)
