"""The loop that most would write: YuNet at full size, SFace on every face of every frame. Ours is measured by it.

    python -m unblur.evaluate.experiments.plain_loop CLIP GALLERY OUT.json [--prepared]

It uses OpenCV's own classes, with all cores, as OpenCV's example for the two networks does; with --prepared it runs
SFace in ONNX Runtime from the file that unblur prepared, which is faster.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import av
import cv2
import numpy as np

from detectors.alignment import align
from models.assets import cache
from models.assets.fetch import fetch, fingerprint
from models.assets.manifest import network
from models.backends.selection import load
from recognize.embedders.embedder import normalize
from recognize.embedders.sface import SFace
from recognize.gallery import people_gallery as galleries
from stream.values import Array, Image

_CONFIDENCE = 0.6
_THRESHOLD = 0.363  # OpenCV's own for SFace
_CORES = 2

Embed = Callable[[Image, Array], Array]
"""A picture and a row of YuNet's result to a 1 x 128 embedding."""


def plain_loop(clip: Path, gallery: Path, embed: Embed) -> list[str]:
    """The names given to any face of any frame."""
    fetch("yunet")
    detector = cv2.FaceDetectorYN.create(str(cache.path(network("yunet"))), "", (320, 320), _CONFIDENCE, 0.3, 5000)
    people = galleries.load_gallery(gallery, fingerprint("sface"))
    names: set[str] = set()
    with av.open(str(clip)) as container:
        for frame in container.decode(video=0):
            image = np.asarray(frame.to_ndarray(format="bgr24"), np.uint8)
            detector.setInputSize((image.shape[1], image.shape[0]))
            found = detector.detect(image)[1]
            for face in [] if found is None else np.asarray(found, np.float32):
                best = people.match(embed(image, face))[0][0]
                if best.score >= _THRESHOLD:
                    names.add(best.name)
    return sorted(names)


def opencv() -> Embed:
    """SFace as OpenCV runs it."""
    recogniser = cv2.FaceRecognizerSF.create(str(fetch("sface")), "")
    return lambda image, face: normalize(np.asarray(recogniser.feature(recogniser.alignCrop(image, face)), np.float32))


def prepared() -> Embed:
    """SFace as unblur runs it, on all cores."""
    sface = SFace(load(fetch("sface"), "onnxruntime", threads=_CORES), fingerprint("sface"))
    return lambda image, face: sface.embed([align(image, face[4:14].reshape(5, 2))[0]])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        prog="python -m unblur.evaluate.experiments.plain_loop", description=__doc__.splitlines()[0]
    )
    for name in ("clip", "gallery", "out"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--prepared", action="store_true")
    chosen = parser.parse_args()
    found = plain_loop(chosen.clip, chosen.gallery, prepared() if chosen.prepared else opencv())
    chosen.out.write_text(json.dumps(found), encoding="utf-8")
