"""Whose photographs the simulated clips are made of."""

from __future__ import annotations

import shutil
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

Split = Literal["val", "test"]
GALLERY = 36
"""People enrolled from the val split; the test split brings its own gallery."""


@dataclass(frozen=True, slots=True)
class Roster:
    """People by name. Nobody is enrolled by a photograph they are shown with, and no stranger is enrolled."""

    enrolled: Mapping[str, Sequence[Path]]
    shown: Mapping[str, Path]
    strangers: Mapping[str, Path]

    def lay_out(self, folder: Path) -> Path:
        """Copy the enrolled photographs as `unblur enroll` takes them: FOLDER/<Name>/<photo>."""
        for name, photos in self.enrolled.items():
            (folder / name).mkdir(parents=True, exist_ok=True)
            for photo in photos:
                shutil.copyfile(photo, folder / name / photo.name)
        return folder


def roster(data: Path, split: Split, folder: Path, seed: int) -> Roster:
    """The people of a split, unpacked into `folder`, in an order drawn with `seed`."""
    archive = data / split / ("lfw160.tar" if split == "val" else "lfw250_people.tar")
    with tarfile.open(archive) as packed:
        packed.extractall(folder, filter="data")
    rng = np.random.default_rng(seed)
    return _val(folder, rng) if split == "val" else _test(folder, rng)


def _test(folder: Path, rng: np.random.Generator) -> Roster:
    people = _shuffled((folder / "people").iterdir(), rng)
    strangers = _shuffled((folder / "strangers").iterdir(), rng)
    return Roster(
        {person.name: sorted((person / "gallery").iterdir()) for person in people},
        {person.name: min((person / "probe").iterdir()) for person in people},
        {photo.stem.rpartition("_")[0]: photo for photo in strangers},
    )


def _val(folder: Path, rng: np.random.Generator) -> Roster:
    """Those of whom there are several photographs are enrolled by all but the last, which is shown."""
    photos = {person.name: sorted(person.iterdir()) for person in _shuffled(folder.iterdir(), rng)}
    several = [name for name, taken in photos.items() if len(taken) > 1][:GALLERY]
    return Roster(
        {name: photos[name][:-1] for name in several},
        {name: photos[name][-1] for name in several},
        {name: taken[0] for name, taken in photos.items() if name not in several},
    )


def _shuffled(paths: Iterable[Path], rng: np.random.Generator) -> list[Path]:
    ordered = sorted(paths)
    return [ordered[place] for place in rng.permutation(len(ordered))]
