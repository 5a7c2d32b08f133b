"""Baseline of `unblur bench`: a plain loop, YuNet at full size and SFace on every face of every frame.

    python -m unblur.evaluate.experiments.plain_loop CLIP GALLERY OUT.json [--prepared]

It uses OpenCV's classes and all cores, like OpenCV's example for the two networks. With --prepared it runs SFace in
ONNX Runtime from the file that unblur prepared, which is faster.
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
_THRESHOLD = 0.363  # OpenCV's value for SFace
_CORES = 2

EmbedFace = Callable[[Image, Array], Array]
"""Embeds a face: an image and a row of YuNet's result to a 1 x 128 embedding."""


def plain_loop(clip: Path, gallery: Path, embed: EmbedFace) -> list[str]:
    """Return the names given to any face of any frame, sorted."""
    fetch("yunet")
    detector = cv2.FaceDetectorYN.create(str(cache.path(network("yunet"))), "", (320, 320), _CONFIDENCE, 0.3, 5000)
    people = galleries.load_gallery(gallery, fingerprint("sface"))
    names: set[str] = set()
    with av.open(str(clip)) as container:
        for frame in container.decode(video=0):
            image = np.asarray(frame.to_ndarray(format="bgr24"), np.uint8)
            detector.setInputSize((image.shape[1], image.shape[0]))
            detections = detector.detect(image)[1]
            for face in [] if detections is None else np.asarray(detections, np.float32):
                best = people.match(embed(image, face))[0][0]
                if best.score >= _THRESHOLD:
                    names.add(best.name)
    return sorted(names)


def opencv_embed() -> EmbedFace:
    """Make the SFace embedding function as OpenCV runs it."""
    recognizer = cv2.FaceRecognizerSF.create(str(fetch("sface")), "")
    return lambda image, face: normalize(np.asarray(recognizer.feature(recognizer.alignCrop(image, face)), np.float32))


def prepared_embed() -> EmbedFace:
    """Make the SFace embedding function as unblur runs it, on all cores."""
    sface = SFace(load(fetch("sface"), "onnxruntime", threads=_CORES), fingerprint("sface"))
    return lambda image, face: sface.embed([align(image, face[4:14].reshape(5, 2))[0]])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        prog="python -m unblur.evaluate.experiments.plain_loop", description=__doc__.splitlines()[0]
    )
    for name in ("clip", "gallery", "out"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--prepared", action="store_true")
    arguments = parser.parse_args()
    names = plain_loop(arguments.clip, arguments.gallery, prepared_embed() if arguments.prepared else opencv_embed())
    arguments.out.write_text(json.dumps(names), encoding="utf-8")
