"""Writes a trained network as ONNX, and reads its weights back."""

from __future__ import annotations

import warnings
from pathlib import Path

import onnx
import torch
from google.protobuf.message import DecodeError
from onnx import numpy_helper
from torch import Tensor, nn

from deblur.train.augmentation import SIDE
from deblur.train.networks import INPUTS, OnnxWrapper, neighbor_count
from models.weight_compression import compress_weights, decompress_weights
from stream.storage.atomic_files import part_file

OPSET = 18
OUTPUTS = ("restored", "kernels")
_PREFIX = "net."
"""Prefix of weight names in `OnnxWrapper`."""


def export(net: nn.Module, file: Path) -> None:
    """Write `net` as ONNX with a free batch and float16 weights: uint8 BGR crops (and hints, and motion) in, uint8 BGR
    crops (and kernels, if the network estimates any) out."""
    crops = torch.zeros(2, SIDE, SIDE, 3, dtype=torch.uint8)
    portable = OnnxWrapper(net).cpu().eval()
    blank = (
        crops,
        crops,
        torch.zeros(2, 2),
        *(crops.repeat(1, 1, 1, others) for others in [neighbor_count(net)] if others),
    )
    inputs = INPUTS[: len(blank)]
    outputs = OUTPUTS[: len(portable(*blank))]
    with part_file(file) as part, warnings.catch_warnings():
        warnings.simplefilter("ignore", torch.jit.TracerWarning)  # crops have one size here
        torch.onnx.export(
            portable,
            blank,
            str(part),
            input_names=list(inputs),
            output_names=list(outputs),
            dynamic_axes={name: {0: "batch"} for name in (*inputs, *outputs)},
            opset_version=OPSET,
            dynamo=False,
        )
        onnx.save(compress_weights(onnx.load(part)), part)


def weights(file: Path) -> dict[str, Tensor]:
    """Read the weights from a file that `export` wrote, by their names in the network. Raises ValueError if it cannot
    be read."""
    try:
        graph = decompress_weights(onnx.load(file)).graph
    except (OSError, DecodeError) as error:
        raise ValueError(f"{file} is no ONNX file that can be read: {error}") from error
    named = {each.name: torch.from_numpy(numpy_helper.to_array(each).copy()) for each in graph.initializer}
    return {name.removeprefix(_PREFIX): weight for name, weight in named.items() if name.startswith(_PREFIX)}
