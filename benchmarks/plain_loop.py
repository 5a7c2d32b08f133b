"""The loop that most would write: YuNet at full size, SFace on every face of every frame. Ours is measured by it.

python -m benchmarks.plain_loop CLIP GALLERY
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import av
import cv2
import numpy as np

from detectors.align import align
from models import cache
from models.fetch import fetch, fingerprint
from models.manifest import network
from models.runtime import load
from recognize import gallery as galleries
from recognize.embed import SFace

_CONFIDENCE = 0.6
_THRESHOLD = 0.363  # OpenCV's own for SFace
_BOTH_CORES = 2


def plain_loop(clip: Path, gallery: Path) -> dict[str, object]:
    """Frames, seconds and the names given to any face of any frame."""
    fetch("yunet")
    detector = cv2.FaceDetectorYN.create(str(cache.path(network("yunet"))), "", (320, 320), _CONFIDENCE, 0.3, 5000)
    embedder = SFace(load(fetch("sface"), "onnxruntime", threads=_BOTH_CORES), fingerprint("sface"))
    people = galleries.load(gallery, embedder.fingerprint)
    names: set[str] = set()
    frames = 0
    start = time.perf_counter()
    with av.open(str(clip)) as container:
        for frame in container.decode(video=0):
            image = np.asarray(frame.to_ndarray(format="bgr24"), np.uint8)
            detector.setInputSize((image.shape[1], image.shape[0]))
            for face in _rows(detector.detect(image)[1]):
                crop, _ = align(image, np.asarray(face[4:14].reshape(5, 2), np.float32))
                best = people.match(embedder.embed([crop]))[0][0]
                if best.score >= _THRESHOLD:
                    names.add(best.name)
            frames += 1
    return {"frames": frames, "seconds": time.perf_counter() - start, "names": sorted(names)}


def _rows(found: np.ndarray | None) -> np.ndarray:
    return np.empty((0, 15), np.float32) if found is None else found


if __name__ == "__main__":
    clip, gallery, out = map(Path, sys.argv[1:])
    out.write_text(json.dumps(plain_loop(clip, gallery)), encoding="utf-8")
