"""What several commands may be told."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

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


def given(**options: object) -> dict[str, object]:
    """The options that were given; the others keep what the configuration says."""
    return {key: value for key, value in options.items() if value is not None}
