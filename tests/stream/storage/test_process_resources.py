"""In a process of its own, for a limit stays."""

from __future__ import annotations

import subprocess
import sys

_TRIED = """
import resource
from stream.storage.process_resources import raise_open_file_limit

most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (64, min(most, {hard})))
raise_open_file_limit()
print(*resource.getrlimit(resource.RLIMIT_NOFILE))
"""


def test_a_process_may_open_as_many_files_as_the_system_lets_it() -> None:
    tried = subprocess.run([sys.executable, "-c", _TRIED.format(hard=512)], capture_output=True, text=True, check=True)
    assert tried.stdout.split() == ["512", "512"]
