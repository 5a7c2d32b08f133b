import socket
import traceback

import pytest

from stream.errors import SourceError
from stream.libav import open_media


def test_not_even_the_traceback_of_a_failed_opening_holds_a_secret() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(SourceError, match=r"^Connection refused$") as refusal:
        open_media("http://guard:" + "s3c" + f"r3t@127.0.0.1:{port}/x", "http")
    assert "s3cr3t" not in "".join(traceback.format_exception(refusal.value))
