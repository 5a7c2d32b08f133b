"""Draws plots as PNG files. matplotlib needs no display here and is imported with the first plot."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from stream.values import Image
from unblur.evaluate.scoring.open_set_metrics import Estimate, Numbers

Series = Mapping[str, Estimate]
"""An estimate for each condition, by name."""
Curves = Mapping[str, tuple[Numbers, Numbers]]
"""x and y values of each row's curve."""
_TILE = 1.1
"""Width and height of a face on a contact sheet, in inches."""


def draw_gains(series: Mapping[str, Series], label: str, lowest: float, path: Path) -> None:
    """Draw groups of bars: for every condition one bar per row, with its interval. Bars are cut off at `lowest`."""
    figure, (axes,) = _figure(1, 1, (11, 4.5))
    names = list(dict.fromkeys(name for row in series.values() for name in row))
    width = 0.8 / max(1, len(series))
    for index, (row, estimates) in enumerate(series.items()):
        left = (index - (len(series) - 1) / 2) * width
        error_bars = [
            [one.value - one.low for one in estimates.values()],
            [one.high - one.value for one in estimates.values()],
        ]
        axes.bar(
            [names.index(name) + left for name in estimates],
            [one.value for one in estimates.values()],
            width,
            label=row,
            yerr=error_bars,
            error_kw={"lw": 0.8},
        )
    axes.axhline(0, color="black", lw=0.8)
    axes.set_xticks(range(len(names)), names, rotation=30)
    axes.set(ylabel=label, ylim=(max(axes.get_ylim()[0], lowest), None))
    figure.legend(loc="outside lower center", ncols=4, fontsize=8)
    _save(figure, path)


def draw_spread(panels: Mapping[str, Mapping[str, Numbers]], label: str, path: Path) -> None:
    """Draw one panel per dataset: a column per row, a dot for each repeat and a line at their mean."""
    figure, axes = _figure(1, len(panels), (4.5 * len(panels), 3.6))
    for axis, (title, rows) in zip(axes, panels.items(), strict=True):
        for index, values in enumerate(rows.values()):
            offsets = np.linspace(-0.2, 0.2, len(values))  # equal repeats do not hide each other
            axis.plot(index + offsets, values, "o", ms=4, alpha=0.7)
            axis.hlines(values.mean(), index - 0.3, index + 0.3, color="black", lw=1.2)
        axis.set_xticks(range(len(rows)), rows, rotation=30)
        axis.set(title=title, ylabel=label)
        axis.grid(axis="y", alpha=0.3)
    _save(figure, path)


def draw_curves(panels: Mapping[str, Curves], path: Path) -> None:
    """Draw one panel per condition: DIR against FPIR, a line per row."""
    columns = min(4, len(panels))
    lines = math.ceil(len(panels) / columns)
    figure, axes = _figure(lines, columns, (3.4 * columns, 3 * lines + 0.6))
    names = list(dict.fromkeys(name for rows in panels.values() for name in rows))
    drawn = {}
    for axis, (title, rows) in zip(axes, panels.items(), strict=False):
        for name, (fpir, dir_) in rows.items():
            color = f"C{names.index(name)}"
            (drawn[name],) = axis.step(fpir, dir_, color, where="post", lw=1.2)
        axis.set_xscale("symlog", linthresh=0.01)
        axis.set(title=title, xlim=(0, 1), ylim=(0, 1.02), xlabel="FPIR", ylabel="DIR")
    for axis in axes[len(panels) :]:
        axis.set_visible(False)
    figure.legend(drawn.values(), drawn.keys(), loc="outside lower center", ncols=3, fontsize=8)
    _save(figure, path)


def draw_contact_sheet(rows: Mapping[str, Sequence[Image]], path: Path) -> None:
    """Draw a contact sheet: a line of faces for each row, with the same people in each column."""
    across = max(1, *map(len, rows.values()))  # no face may have been detected
    figure, axes = _figure(len(rows), across, (_TILE * across + 1.6, _TILE * len(rows)))
    for line, (name, images) in enumerate(rows.items()):
        for index, image in enumerate(images):
            axes[line * across + index].imshow(cv2.cvtColor(image, cv2.COLOR_BGR2RGB))
        label = {"rotation": 0, "ha": "right", "va": "center", "fontsize": 8}
        axes[line * across].set_ylabel(name, **label)
    for axis in axes:
        axis.set(xticks=[], yticks=[])
    _save(figure, path)


def _figure(rows: int, columns: int, size: tuple[float, float]) -> tuple[Any, list[Any]]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(size, layout="constrained")
    FigureCanvasAgg(figure)
    return figure, list(figure.subplots(rows, columns, squeeze=False).flat)


def _save(figure: Any, path: Path) -> None:
    figure.savefig(path, dpi=130)
