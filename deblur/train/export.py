"""From a trained network to the ONNX file that the program runs."""

from __future__ import annotations

import warnings
from pathlib import Path

import onnx
import torch
from torch import nn

from deblur.train.faces import SIDE
from deblur.train.nets import INPUTS, Portable
from models.packing import packed

OPSET = 18
OUTPUTS = ("restored", "kernels")


def export(net: nn.Module, file: Path) -> None:
    """Write `net` as ONNX with a free batch and float16 weights: uint8 BGR crops (and hints, and motion) in, uint8 BGR
    crops (and kernels, if it tells any) out."""
    crops = torch.zeros(2, SIDE, SIDE, 3, dtype=torch.uint8)
    beside = file.with_suffix(".part")
    portable = Portable(net).cpu().eval()
    blank = (crops, crops, torch.zeros(2, 2))
    outputs = OUTPUTS[: len(portable(*blank))]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", torch.jit.TracerWarning)  # crops have one size here
        torch.onnx.export(
            portable,
            blank,
            str(beside),
            input_names=list(INPUTS),
            output_names=list(outputs),
            dynamic_axes={name: {0: "batch"} for name in (*INPUTS, *outputs)},
            opset_version=OPSET,
            dynamo=False,
        )
    onnx.save(packed(onnx.load(beside)), beside)
    beside.replace(file)
