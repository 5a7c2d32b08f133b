from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.credentials import redact_credentials, redact_malformed_url

PRINTABLE = st.text(st.characters(codec="utf-8", exclude_categories=("Z", "C")), min_size=1)
SCHEMES = st.sampled_from(["rtsp", "rtsps", "http", "https", "RTSP"])


@given(SCHEMES, PRINTABLE, PRINTABLE, PRINTABLE)
def test_what_is_shown_does_not_depend_on_the_login(scheme: str, user: str, password: str, other: str) -> None:
    """Passwords as people write them: unescaped, with @, /, ?, # and : in them."""
    shown = redact_credentials(f"cannot open {scheme}://{user}:{password}@camera.lan:554/stream1: refused")
    assert shown == redact_credentials(f"cannot open {scheme}://{other}@camera.lan:554/stream1: refused")
    assert shown == f"cannot open {scheme}://***@camera.lan:554/stream1: refused"


@given(SCHEMES, PRINTABLE, PRINTABLE)
def test_what_is_shown_does_not_depend_on_the_query(scheme: str, secret: str, other: str) -> None:
    address = f"{scheme}://camera.lan/live?token="
    assert (
        redact_credentials(address + quote(secret))
        == redact_credentials(address + quote(other))
        == f"{scheme}://camera.lan/live?***"
    )


@given(st.lists(PRINTABLE, max_size=5).map(" ".join))
def test_redacting_again_changes_nothing(text: str) -> None:
    assert redact_credentials(redact_credentials(text)) == redact_credentials(text)


@pytest.mark.parametrize(
    "text",
    ["rtsp://camera.lan:554/stream1", "http://[fe80::1]:8080/video.mjpg", "/data/a@b.mp4", "write to me@home.lan"],
)
def test_a_text_without_secrets_stays_as_it_is(text: str) -> None:
    assert redact_credentials(text) == text


@pytest.mark.parametrize("start", ["rtsp//", "rtsp:/", "rtsp:", "//", "http;//"])
@given(PRINTABLE)
def test_a_mistyped_address_shows_no_login(start: str, password: str) -> None:
    assert redact_malformed_url(f"{start}ann:{password}@camera.lan/1") == redact_malformed_url(
        f"{start}bob:secret@camera.lan/1"
    )


def test_a_file_is_no_mistyped_address() -> None:
    assert redact_malformed_url("/data/a@b.mp4") == "/data/a@b.mp4"


def test_every_address_of_a_text_is_redacted() -> None:
    shown = redact_credentials("rtsp://u:first@a/1 and http://u:second@b/2?key=third")
    assert shown == "rtsp://***@a/1 and http://***@b/2?***"


def test_a_password_in_the_path_is_redacted() -> None:
    shown = redact_credentials("rtsp://camera.lan/user=admin_password=secret_channel=1_stream=0.sdp")
    assert "secret" not in shown
    assert "admin" not in shown
