"""A small folder laid out like the project's shared data, made of the public-domain portraits."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping
from pathlib import Path, PurePath

import cv2
import numpy as np
import pytest

from deblur import kernels
from detectors.yunet import YuNet
from models.backends import selection
from stream.values import Image
from unblur.evaluate.data.archives import crop_center

FACE = 100
"""Width of the face in pixels."""
QUALITY = [cv2.IMWRITE_JPEG_QUALITY, 95]
ROLES = {
    "people/Barack_Obama/gallery/Barack_Obama_0001.jpg": "obama.jpg",
    "people/Barack_Obama/gallery/Barack_Obama_0002.jpg": "obama2.jpg",
    "people/Barack_Obama/probe/Barack_Obama_0003.jpg": "obama3.jpg",
    "people/Joe_Biden/gallery/Joe_Biden_0001.jpg": "biden.jpg",
    "people/Joe_Biden/probe/Joe_Biden_0002.jpg": "biden.jpg",
    "strangers/Eileen_Collins_0001.jpg": "astronaut.png",
}


def pack(archive: Path, images: Mapping[str, Image]) -> None:
    archive.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(archive, "w") as tar:
        for name, image in images.items():
            encoded = cv2.imencode(PurePath(name).suffix, image, QUALITY)[1].tobytes()
            entry = tarfile.TarInfo(name)
            entry.size = len(encoded)
            tar.addfile(entry, io.BytesIO(encoded))


@pytest.fixture(scope="session")
def detector(yunet_path: Path) -> YuNet:
    return YuNet(selection.load(yunet_path))


@pytest.fixture(scope="session")
def faces(portraits: Path, detector: YuNet) -> dict[str, Image]:
    """The portraits by file, 240 x 240, the face in the middle."""
    return {path.name: _face(path, detector) for path in sorted(portraits.iterdir()) if path.suffix in {".jpg", ".png"}}


def _face(path: Path, detector: YuNet) -> Image:
    image = np.asarray(cv2.imread(str(path)), np.uint8)
    box = detector.detect(image)[0].box
    scale = FACE / box.width
    matrix = np.array([[scale, 0, 120 - scale * box.center[0]], [0, scale, 120 - scale * box.center[1]]])
    warped = cv2.warpAffine(image, matrix, (240, 240), flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REFLECT_101)
    return np.asarray(warped, np.uint8)


@pytest.fixture(scope="session")
def data(faces: dict[str, Image], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    pack(folder / "test/lfw160.tar", {name: crop_center(faces[file], 160) for name, file in ROLES.items()})
    pack(folder / "test/ffhq192.tar", {f"{name}.jpg": crop_center(face, 192) for name, face in faces.items()})
    pack(
        folder / "val/lfw160.tar",
        {
            **{
                f"Barack_Obama/{file}": crop_center(faces[file], 160)
                for file in ("obama.jpg", "obama2.jpg", "obama3.jpg")
            },
            "Joe_Biden/biden.jpg": crop_center(faces["biden.jpg"], 160),
        },
    )
    (folder / "kernels").mkdir()
    shakes = {f"levin{number}": kernels.trajectory(15, np.random.default_rng(number)) for number in range(2)}
    np.savez(folder / "kernels/levin09.npz", **shakes, other=np.ones((3, 3)))  # type: ignore[arg-type]
    return folder
