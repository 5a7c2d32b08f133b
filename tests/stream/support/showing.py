"""A process that shows pictures of the cameras named until the window is closed, saying how far it has come."""

import sys
from fractions import Fraction

import numpy as np

from models.assets.fetch import fetch_typefaces
from stream.errors import OutputError
from stream.outputs.window import Window
from stream.values import Frame

try:
    window = Window(fetch_typefaces())
except OutputError as error:
    sys.exit(str(error))
number = 0
while not window.closed:
    image = np.full((240, 320, 3), 200, np.uint8)
    for camera in sys.argv[1:]:
        window.show(Frame(camera, number, number, Fraction(1, 25), None, image), image)
    number += 1
    if number == 5:
        print("shown", flush=True)  # noqa: T201
window.show(Frame("late", 0, 0, Fraction(1, 25), None, image), image)
window.close()
print("closed", flush=True)  # noqa: T201
