"""The label of restored crops: a border that says RESTORED, and PNG metadata with the method."""

from __future__ import annotations

import io

import cv2
import numpy as np
from PIL import Image as Pillow
from PIL.PngImagePlugin import PngInfo

from stream.outputs.overlay import RESTORING, WHITE
from stream.values import Image, Method

BORDER = 12
"""Width in pixels of the border around a restored crop; the label is on its lower side."""
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_LETTERS = 0.35


def encode_labeled_png(image: Image, method: Method) -> bytes:
    """Encode a restored crop (uint8 BGR) as PNG, within a labeled border, with the method in the metadata."""
    notes = PngInfo()  # the PNG specification, 11.3.3
    notes.add_text("Software", "unblur")
    notes.add_text("Description", f"Restored by software ({method}): an estimate, and no proof of who this is.")
    content = io.BytesIO()
    bordered = _add_border(image, "RESTORED")
    Pillow.fromarray(cv2.cvtColor(bordered, cv2.COLOR_BGR2RGB)).save(content, "PNG", pnginfo=notes)
    return content.getvalue()


def _add_border(image: Image, text: str) -> Image:
    framed = cv2.copyMakeBorder(image, BORDER, BORDER, BORDER, BORDER, cv2.BORDER_CONSTANT, value=RESTORING)
    (width, _), _ = cv2.getTextSize(text, _FONT, _LETTERS, 1)
    start = max((framed.shape[1] - width) // 2, 0), framed.shape[0] - 3
    cv2.putText(framed, text, start, _FONT, _LETTERS, WHITE, 1, cv2.LINE_AA)
    return np.asarray(framed, np.uint8)
