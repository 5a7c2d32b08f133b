"""YuNet face detector: box, five landmarks and confidence of every face.

The network is "YuNet: A Tiny Millisecond-level Face Detector" (Wu, Peng and Yu, Machine Intelligence Research 2023) as
the OpenCV Zoo publishes it. Its twelve outputs are decoded here, as `cv2.FaceDetectorYN` decodes them, so that it can
run on the fastest backend.
"""

from __future__ import annotations

import cv2
import numpy as np

from detectors.resize import shrink_to
from models.backends.selection import NetworkSession
from stream.values import Array, Box, FaceDetection, Image

STRIDES = (8, 16, 32)
"""Pixels of the network's input per cell of its three grids."""
IN_STILLS = 0.7
"""Minimum confidence for single images (docs/design/tracking.md)."""
IN_VIDEO = 0.4
"""Minimum confidence for a tracker, which also uses uncertain detections: motion-blurred faces are among them."""


class YuNet:
    """Detects faces with YuNet; satisfies `stream.interfaces.Detector`.

    `long_side` is the detection size in pixels: an image with a longer side is shrunk to it. It may be set
    between calls, to trade small faces for time. Faces below `min_confidence` (0..1) are not
    reported; of two that overlap by more than `max_overlap` (intersection over union) the more confident stays.
    """

    def __init__(
        self,
        session: NetworkSession,
        *,
        long_side: int = 640,
        min_confidence: float = IN_STILLS,
        max_overlap: float = 0.3,
    ) -> None:
        self.long_side = long_side
        self._session = session
        self._min_confidence = min_confidence
        self._max_overlap = max_overlap

    def detect(self, image: Image) -> list[FaceDetection]:
        """Return the faces of an H x W x 3 BGR uint8 image in its pixels, best first; a box may extend over the
        edge."""
        small, scale = shrink_to(image, self.long_side)
        canvas = _pad(small)
        outputs = self._session.run(np.asarray(cv2.dnn.blobFromImage(canvas), np.float32))
        scores, boxes, points = _decode(outputs, canvas.shape[1], self._min_confidence)
        kept = cv2.dnn.NMSBoxes(boxes.tolist(), scores.tolist(), self._min_confidence, self._max_overlap)
        boxes, points = boxes / np.concatenate([scale, scale]), points / scale
        return [FaceDetection(Box(*boxes[i].tolist()), points[i], float(scores[i])) for i in kept]


def _pad(image: Image) -> Image:
    """Pad the image with black at the right and below, up to multiples of the coarsest stride."""
    height, width = image.shape[:2]
    bottom, right = -height % STRIDES[-1], -width % STRIDES[-1]
    return np.asarray(cv2.copyMakeBorder(image, 0, bottom, 0, right, cv2.BORDER_CONSTANT), np.uint8)


def _decode(outputs: list[Array], width: int, min_confidence: float) -> tuple[Array, Array, Array]:
    """Decode scores (N), boxes (N x 4: left, top, width, height) and points (N x 5 x 2) of the cells with a face.

    `outputs` are class scores, objectness, boxes and points, each for the three strides in turn, for an input `width`
    pixels wide. Positions count from a cell's corner in cells; sizes are logarithms.
    """
    levels = [
        _decode_stride([kind[0] for kind in outputs[level::3]], stride, width // stride, min_confidence)
        for level, stride in enumerate(STRIDES)
    ]
    scores, boxes, points = (np.concatenate(parts) for parts in zip(*levels, strict=True))
    return scores, boxes, points


def _decode_stride(
    outputs: list[Array], stride: int, columns: int, min_confidence: float
) -> tuple[Array, Array, Array]:
    classes, objects, boxes, points = outputs
    scores = np.sqrt(classes[:, 0].clip(0, 1) * objects[:, 0].clip(0, 1))
    cells = np.flatnonzero(scores >= min_confidence)
    corners = np.stack([cells % columns, cells // columns], 1).astype(np.float32)
    sizes = np.exp(boxes[cells, 2:])
    lefts_tops = corners + boxes[cells, :2] - sizes / 2
    landmarks = points[cells].reshape(-1, 5, 2) + corners[:, None]
    return scores[cells], np.hstack([lefts_tops, sizes]) * stride, landmarks * stride
