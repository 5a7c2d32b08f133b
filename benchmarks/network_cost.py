"""Cost of networks: parameters, multiplications, milliseconds per crop, and crops per second in training.

    taskset -c 0 python -m benchmarks.network_cost [RECIPE.yaml ...]       needs the extra `train`

One core, 128 x 128. Running is ONNX Runtime in float32, the least of 20 passes; training is forward, backward and
step on batches of 8, without making the crops, in float32 and in bfloat16. Without recipes: those in configs/train.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import torch
from torch import nn

from benchmarks.backends import least_ms
from deblur.train.kernel_head import kernel_softmax
from deblur.train.networks import multiplications
from deblur.train.onnx_export import export
from deblur.train.trainer import build_network
from models.backends import parity_check
from models.backends.onnxruntime_backend import OnnxRuntime
from unblur.commands.train import read_recipe

RECIPES = Path(__file__).parents[1] / "configs/train"
BATCH = 8


def running_ms(net: nn.Module) -> float:
    """Measure the milliseconds per crop in ONNX Runtime."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "network.onnx"
        export(net, file)
        session = OnnxRuntime(file, threads=1)
        return least_ms(session, parity_check.inputs(session.inputs, 1), repeats=20)


def training_rate(net: nn.Module, half: bool, steps: int = 3) -> float:
    """Measure the crops per second in training."""
    net = net.to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(net.parameters(), 1e-4, foreach=True)
    crops = torch.rand(BATCH, 3, 128, 128).contiguous(memory_format=torch.channels_last)
    times = []
    for _ in range(steps):
        started = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            restored, kernel_logits = net(crops, crops, torch.zeros(BATCH, 2))
        loss = (restored.float() - crops).abs().mean()
        optimizer.zero_grad()
        (loss if kernel_logits is None else loss + kernel_softmax(kernel_logits).square().mean()).backward()
        optimizer.step()
        times.append(time.perf_counter() - started)
    return BATCH / min(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipes", type=Path, nargs="*")
    torch.set_num_threads(1)
    print("| recipe | parameters | GMAC | ms a crop | trained a second, float32 | bfloat16 |")
    print("|---|---|---|---|---|---|")
    for file in parser.parse_args().recipes or sorted(RECIPES.glob("*.yaml")):
        net = build_network(read_recipe(file).net)
        size = sum(each.numel() for each in net.parameters()) / 1e6
        rates = " | ".join(f"{training_rate(net, half):.1f}" for half in (False, True))
        print(
            f"| {file.stem} | {size:.2f} M | {multiplications(net) / 1e9:.2f} | {running_ms(net):.1f} | {rates} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
