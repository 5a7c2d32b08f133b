"""A process that records pictures until it is killed, and says on standard output how many it has handed over."""

import itertools
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np

from stream.outputs.mp4_recorder import Mp4Recorder
from stream.values import Frame

recorder = Mp4Recorder(Path(sys.argv[1]))
for number in itertools.count():
    image = np.full((64, 64, 3), number % 256, np.uint8)
    recorder.show(Frame("lobby", number, number, Fraction(1, 25), None, image), image)
    sys.stdout.write(f"{number + 1}\n")
    sys.stdout.flush()
