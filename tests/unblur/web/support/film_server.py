"""A server with two cameras whose pictures keep coming, in a process that may be killed: film_server PORT."""

from __future__ import annotations

import sys
import threading

from configs.schema import Web
from tests.unblur.web.support.serving import opened
from tests.unblur.web.test_browser import CAMERAS, Film

watching = opened(Web(port=int(sys.argv[1])), CAMERAS)
with Film(watching):
    sys.stdout.write(f"{watching.address}\n")
    sys.stdout.flush()
    threading.Event().wait()
