"""Networks: where they come from, whether they are trusted, and what runs them."""

import os

# ONNX Runtime sends what it calls telemetry to its maker, and keeps a database of it in the user's cache; it asks this
# variable when it is first loaded.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
