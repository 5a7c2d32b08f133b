"""MTCNN face detector of facenet-pytorch, for use with FaceNet.

"Joint Face Detection and Alignment using Multi-task Cascaded Convolutional Networks" (Zhang et al., IEEE Signal
Processing Letters 2016). An order of magnitude slower than YuNet on a CPU; needs the extra `facenet`, which brings
torch.
"""

from __future__ import annotations

import cv2
import numpy as np

from detectors.resize import shrink_to
from models.backends.selection import ModelError
from stream.values import Array, Box, FaceDetection, Image


class MTCNN:
    """Detects faces with MTCNN; satisfies `stream.interfaces.Detector`.

    Images are shrunk to `long_side` pixels first; faces smaller than `min_face` pixels after that, or below
    `min_confidence` (0..1), are not reported. Raises ModelError if facenet-pytorch is not installed.
    """

    def __init__(self, *, long_side: int = 640, min_face: int = 20, min_confidence: float = 0.9) -> None:
        try:
            import facenet_pytorch  # optional, and seconds to import
        except ImportError as error:
            raise ModelError("facenet-pytorch is not installed: pip install 'unblur[facenet]'") from error
        self.long_side = long_side
        self._min_face = min_face
        self._min_confidence = min_confidence
        self._cascade = facenet_pytorch.MTCNN(keep_all=True, select_largest=False, min_face_size=min_face, device="cpu")

    def detect(self, image: Image) -> list[FaceDetection]:
        """Return the faces of an H x W x 3 BGR uint8 image in its pixels, best first; a box may extend over the
        edge."""
        small, scale = shrink_to(image, self.long_side)
        if min(small.shape[:2]) < self._min_face:
            return []
        corners, confidences, points = self._cascade.detect(cv2.cvtColor(small, cv2.COLOR_BGR2RGB), landmarks=True)
        if corners is None:
            return []
        detections = zip(np.asarray(corners, np.float32), np.asarray(points, np.float32), confidences, strict=True)
        faces = [_to_face(*each, scale) for each in detections if each[2] >= self._min_confidence]
        return sorted(faces, key=lambda face: -face.confidence)


def _to_face(corners: Array, points: Array, confidence: float, scale: Array) -> FaceDetection:
    """Convert a detection in the shrunk image to a face of the whole one."""
    left, top, right, bottom = (corners / np.concatenate([scale, scale])).tolist()
    return FaceDetection(Box(left, top, right - left, bottom - top), points / scale, float(confidence))
