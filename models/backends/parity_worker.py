"""Subprocess of the parity check: `python -m models.backends.parity_worker BACKEND FILE.onnx`.

Prints one JSON object: `agrees`, with `difference` (the largest, as a part of the outputs' range) or `error`. The
exit status is 0 if they agree.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from models.backends import parity_check
from models.backends.onnxruntime_backend import OnnxRuntime
from models.backends.selection import open_backend
from models.errors import ModelError


def main(backend: str, file: str) -> int:
    path = Path(file)
    try:
        difference = parity_check.compare(open_backend(backend, path), OnnxRuntime(path, threads=1))
        result: dict[str, object] = {"agrees": difference <= parity_check.TOLERANCE, "difference": difference}
    except ModelError as error:
        result = {"agrees": False, "error": str(error)}
    sys.stdout.write(json.dumps(result) + "\n")
    return 0 if result["agrees"] else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
