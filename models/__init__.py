"""Networks: pinned files, their verification, and the backends that run them."""

import os

# Turns off the telemetry of ONNX Runtime, which also writes a database to the user's cache; read when it is loaded.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
