"""From a trained network to the ONNX file that the program runs."""

from __future__ import annotations

from pathlib import Path

import onnx
import torch
from torch import nn

from deblur.train.faces import SIDE
from deblur.train.nets import INPUTS, Portable
from models.packing import packed

OPSET = 18
OUTPUT = "restored"


def export(net: nn.Module, file: Path) -> None:
    """Write `net` as ONNX with a free batch and float16 weights: uint8 BGR crops (and hints, and motion) in, uint8 BGR
    crops out."""
    crops = torch.zeros(2, SIDE, SIDE, 3, dtype=torch.uint8)
    beside = file.with_suffix(".part")
    torch.onnx.export(
        Portable(net).cpu().eval(),
        (crops, crops, torch.zeros(2, 2)),
        str(beside),
        input_names=list(INPUTS),
        output_names=[OUTPUT],
        dynamic_axes={name: {0: "batch"} for name in (*INPUTS, OUTPUT)},
        opset_version=OPSET,
        dynamo=False,
    )
    onnx.save(packed(onnx.load(beside)), beside)
    beside.replace(file)
