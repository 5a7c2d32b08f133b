import socket
import traceback
from pathlib import Path

import pytest

from stream.errors import SourceError
from stream.media.pyav import open_media
from stream.sources.factory import open_source
from stream.sources.stream_spec import ReconnectPolicy
from tests.stream.support.media import write_film


def test_not_even_the_traceback_of_a_failed_opening_holds_a_secret() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(SourceError, match=r"^Connection refused$") as refusal:
        open_media("http://guard:" + "s3c" + f"r3t@127.0.0.1:{port}/x", "http")
    assert "s3cr3t" not in "".join(traceback.format_exception(refusal.value))


EVIL = {
    "ffconcat": "ffconcat version 1.0\nfile film.mp4\n",
    "ffconcat of an address": "ffconcat version 1.0\nfile http://127.0.0.1:1/film.mp4\n",
    "playlist": "#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3,\nfilm.ts\n#EXT-X-ENDLIST\n",
    "session description": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n"
    "a=rtpmap:96 H264/90000\n",
    "dash": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><Period>'
    "<BaseURL>film.mp4</BaseURL></Period></MPD>",
    "image sequence": "%d.jpg",
    "text": "a text, which FFmpeg would draw as a film\n" * 50,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("evil")
    write_film(folder / "film.mp4", 10)
    write_film(folder / "film.ts", 10)
    return folder


@pytest.mark.parametrize("suffix", ["mp4", "ts", "txt", "ffconcat", "m3u8", "sdp", "avi"])
@pytest.mark.parametrize("kind", EVIL)
def test_a_text_leads_to_no_other_file(folder: Path, kind: str, suffix: str) -> None:
    path = folder / f"evil.{suffix}"
    path.write_text(EVIL[kind])
    with pytest.raises(SourceError, match="no video that can be read"):
        list(open_source(str(path)).frames())


def test_a_loop_leads_to_no_other_file(folder: Path) -> None:
    (folder / "evil.mp4").write_text(EVIL["ffconcat"])
    source = open_source(f"loop:{folder / 'evil.mp4'}", reconnect=ReconnectPolicy(endless=False))
    with pytest.raises(SourceError, match="no video that can be read"):
        next(source.frames())


@pytest.mark.parametrize(
    "address",
    [
        "concat:{}/film.ts|{}/film.ts",
        "concatf:{}/list",
        "subfile,,start,0,end,1000,,:{}/film.mp4",
        "crypto:{}/film.mp4",
        "async:{}/film.mp4",
        "cache:{}/film.mp4",
        "data:video/mp4;base64,AAAA",
        "pipe:0",
        "fd:0",
        "http://127.0.0.1:1/film.mp4",
        "udp://127.0.0.1:9",
    ],
)
def test_a_file_is_opened_by_no_other_protocol(folder: Path, address: str) -> None:
    with pytest.raises(SourceError):
        open_media(address.replace("{}", str(folder)), "file")
