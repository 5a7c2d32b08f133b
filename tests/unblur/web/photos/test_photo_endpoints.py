"""Photos sent to a running server: what comes back, what is refused, and that nothing stays."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from aiohttp import web
from aiohttp.typedefs import Handler
from PIL import Image as Pillow
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from recognize.gallery.people_gallery import Gallery
from stream.storage.images import read_picture
from stream.values import Image
from tests.unblur.web.support.studio import API, WITHIN_S, Studio, encoded, moved, shrunk
from unblur.cli import main
from unblur.web.photos.result_cache import ResultCache
from unblur.web.transport.access import User, set_current_user

COMMANDS = {
    "auto": [],
    "cnn": ["--deblur", "cnn"],
    "richardson-lucy": ["--deblur", "richardson-lucy"],
    "seed": ["--preset", "box5"],
}


@pytest.fixture(scope="module")
def sharp(portraits: Path) -> Image:
    return shrunk(portraits / "obama2.jpg")


@pytest.fixture(scope="module")
def blurred(sharp: Image) -> Image:
    return moved(sharp)


@pytest.fixture(scope="module")
def studio(known: Gallery) -> Iterator[Studio]:
    opened = Studio(lambda: known)
    yield opened
    opened.close()


@pytest.mark.parametrize("method", COMMANDS)
def test_what_comes_back_is_what_the_command_makes(
    method: str,
    studio: Studio,
    blurred: Image,
    gallery: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(encoded(blurred, ".jpg"))
    assert main(["image", str(photo), "--out", str(tmp_path), "--gallery", str(gallery), *COMMANDS[method]]) == 0
    (said,) = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    answered = studio.developed(photo.read_bytes(), method=method)
    for name in ("restored", "sheet"):
        assert np.array_equal(studio.picture(answered["pictures"][name]), read_picture(tmp_path / f"photo.{name}.png"))
    original = studio.picture(answered["pictures"]["original"])
    assert np.array_equal(original, read_picture(photo))
    assert not np.array_equal(original, studio.picture(answered["pictures"]["restored"]))
    (face,) = answered["faces"]
    assert face["name"] == "Barack Obama"
    assert {key: face[key] for key in said if key != "photo"} == {key: said[key] for key in said if key != "photo"}


def test_each_face_has_its_crops(studio: Studio, blurred: Image, sharp: Image) -> None:
    (face,) = studio.developed(encoded(blurred))["faces"]
    raw, restored = studio.picture(face["raw"]), studio.picture(face["restored"])
    assert raw.shape == restored.shape == (128, 128, 3)
    assert not np.array_equal(raw, restored)
    (face,) = studio.developed(encoded(sharp))["faces"]
    assert (face["deblurred_by"], face["restored"]) == ("none", None)


def test_a_stranger_is_unknown_and_where_nobody_is_nobody_is_found(studio: Studio, portraits: Path) -> None:
    (face,) = studio.developed((portraits / "biden.jpg").read_bytes())["faces"]
    assert (face["name"], face["description"]) == (None, None)
    assert face["score"] < face["threshold"]
    answered = studio.developed(encoded(np.full((120, 200, 3), 90, np.uint8)))
    assert answered["faces"] == []
    assert (answered["width"], answered["height"]) == (200, 120)


def test_against_a_sharp_original_the_gain_is_told(studio: Studio, blurred: Image, sharp: Image) -> None:
    answered = studio.developed(encoded(blurred), encoded(sharp))
    for name, when in (("original", "before"), ("restored", "after")):
        picture, figures = studio.picture(answered["pictures"][name]), answered["gain"][when]
        assert figures["psnr"] == pytest.approx(peak_signal_noise_ratio(sharp, picture), abs=1e-6)
        assert figures["ssim"] == pytest.approx(structural_similarity(sharp, picture, channel_axis=-1), abs=1e-4)
    for gain in (answered["gain"], answered["faces"][0]["gain"]):
        assert gain["after"]["psnr"] > gain["before"]["psnr"]
        assert gain["after"]["ssim"] > gain["before"]["ssim"]


def test_a_photo_beside_itself_is_equal(studio: Studio, sharp: Image) -> None:
    answered = studio.developed(encoded(sharp), encoded(sharp))
    assert answered["gain"]["before"] == {"psnr": None, "ssim": pytest.approx(1)}
    assert "equal" in studio.get(answered["page"]).text


def test_a_large_photo_is_shrunk_before_any_work_and_that_is_said(
    studio: Studio, blurred: Image, sharp: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("unblur.web.photos.photo_page.LONG_SIDE", 320)
    answered = studio.developed(encoded(blurred), encoded(sharp))
    assert (answered["width"], answered["height"]) == (167, 320)
    assert answered["remark"] == "it was shrunk to 320 pixels"
    assert "it was shrunk to 320 pixels" in studio.get(answered["page"]).text
    assert studio.developed(encoded(np.full((120, 200, 3), 90, np.uint8)))["remark"] is None


def test_pictures_of_two_sizes_are_not_compared(studio: Studio, blurred: Image, sharp: Image) -> None:
    answer = studio.send(encoded(blurred), encoded(np.ascontiguousarray(sharp[:-1])))
    assert answer.status_code == 400
    assert "the photo is 334 x 640, the sharp original 334 x 639" in answer.json()["error"]


def test_a_form_without_a_sharp_original_is_as_browsers_send_it(studio: Studio, blurred: Image) -> None:
    body = b"".join([
        b'--x\r\nContent-Disposition: form-data; name="photo"; filename="a.png"\r\n\r\n' + encoded(blurred) + b"\r\n",
        b'--x\r\nContent-Disposition: form-data; name="sharp"; filename=""\r\n'
        b"Content-Type: application/octet-stream\r\n\r\n\r\n--x--\r\n",
    ])  # fmt: skip
    answer = studio.post(content=body, headers={"Content-Type": "multipart/form-data; boundary=x"})
    assert answer.status_code == 200
    assert answer.json()["gain"] is None


def test_a_photo_that_lies_on_its_side_is_put_upright(studio: Studio, sharp: Image, tmp_path: Path) -> None:
    exif = Pillow.Exif()
    exif[0x0112], exif[0x010E] = 6, "where she lives"
    lying = Pillow.fromarray(np.ascontiguousarray(np.rot90(sharp[..., ::-1])))
    lying.save(tmp_path / "lying.jpg", exif=exif)
    answered = studio.developed((tmp_path / "lying.jpg").read_bytes())
    assert (answered["width"], answered["height"]) == (334, 640)
    assert answered["faces"][0]["name"] == "Barack Obama"
    for picture in answered["pictures"].values():
        assert b"where she lives" not in studio.get(picture).content


@pytest.mark.parametrize(
    "content", [b"", b"hello", b"<svg/>", b"\x89PNG\r\n\x1a\n", encoded(np.zeros((1, 900, 3), np.uint8))]
)
def test_what_shows_nobody_is_refused(content: bytes, studio: Studio) -> None:
    answer = studio.send(content)
    assert answer.status_code == 400
    assert answer.json()["error"].startswith("photo.jpg: ")


def test_what_is_wrong_is_told(studio: Studio, blurred: Image) -> None:
    photo = {"photo": ("a.png", encoded(blurred))}
    assert studio.send(encoded(blurred), method="magic").status_code == 400
    assert studio.post(json={}).status_code == 400
    assert studio.post(files={"sharp": photo["photo"]}).json() == {"error": "no file was sent as photo"}
    assert studio.post(files=[("photo", photo["photo"])] * 2).status_code == 400
    assert studio.post(files=photo | {"sharp": ("b.png", b"no picture")}).status_code == 400


def test_pictures_are_found_by_their_names_alone(studio: Studio, blurred: Image) -> None:
    answered = studio.developed(encoded(blurred))
    assert studio.get(answered["pictures"]["restored"]).headers["Cache-Control"] == "no-store"
    assert studio.get(answered["page"]).headers["Cache-Control"] == "no-store"
    for wrong in ("face-2-raw", "..%2f..%2foriginal", "original.png", "", "%00"):
        assert studio.get(f"{API}/{answered['id']}/{wrong}.png").status_code == 404
    assert studio.get(f"{API}/guessed/restored.png").status_code == 404
    assert studio.get("/photo/guessed").status_code == 404


def test_what_somebody_else_sent_is_not_shown(known: Gallery, blurred: Image) -> None:
    @web.middleware
    async def trusting(request: web.Request, handler: Handler) -> web.StreamResponse:
        set_current_user(request, User(request.headers["X-User"], "viewer"))
        return await handler(request)

    studio = Studio(lambda: known, guarded=trusting)
    answered = studio.post(files={"photo": ("a.png", encoded(blurred))}, headers={"X-User": "ann"}).json()
    for path in (answered["page"], answered["pictures"]["restored"]):
        assert studio.get(path, headers={"X-User": "ann"}).status_code == 200
        assert studio.get(path, headers={"X-User": "ben"}).status_code == 404
    studio.close()


def test_who_asked_is_written_down_but_not_what_was_found(studio: Studio, blurred: Image) -> None:
    studio.notes.clear()
    studio.developed(encoded(blurred))
    assert studio.notes == [("local", "unblurred a photo", "faces: 1")]


def test_the_cameras_go_first(studio: Studio, blurred: Image) -> None:
    studio.developed(encoded(blurred))
    own = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    workers = [thread.native_id for thread in threading.enumerate() if thread.name.startswith("photos")]
    assert workers
    assert {os.getpriority(os.PRIO_PROCESS, worker or 0) for worker in workers} == {min(own + 10, 19)}


def test_the_people_known_are_those_of_the_moment(known: Gallery, blurred: Image) -> None:
    galleries = [known]
    studio = Studio(lambda: galleries[-1])
    assert studio.developed(encoded(blurred))["faces"][0]["name"] == "Barack Obama"
    galleries.append(known.without_people("Barack Obama"))
    assert studio.developed(encoded(blurred))["faces"][0]["name"] is None
    studio.close()


def test_where_too_many_wait_one_more_is_sent_away(known: Gallery, blurred: Image) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slowly() -> Gallery:
        begun.set()
        assert go_on.wait(WITHIN_S)
        return known

    studio = Studio(slowly, waiting=1)
    with ThreadPoolExecutor(1) as other:
        first = other.submit(studio.send, encoded(blurred))
        assert begun.wait(WITHIN_S)
        answer = studio.send(encoded(blurred))
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
        assert "try again" in answer.json()["error"]
        go_on.set()
        assert first.result(WITHIN_S).status_code == 200
    assert studio.send(encoded(blurred)).status_code == 200
    studio.close()


def test_what_was_developed_is_gone_after_a_while(known: Gallery, blurred: Image) -> None:
    studio = Studio(lambda: known, ResultCache(kept_s=0.5))
    answered = studio.developed(encoded(blurred))
    deadline = time.monotonic() + WITHIN_S
    while studio.get(answered["pictures"]["restored"]).status_code != 404:
        assert time.monotonic() < deadline
    answer = studio.get(answered["page"])
    assert answer.status_code == 404
    assert "This result has expired" in answer.text
    studio.close()


@pytest.mark.parametrize(
    ("prints", "left"), [(ResultCache(most=2), 2), (ResultCache(most_bytes=1), 1), (ResultCache(), 3)]
)
def test_there_is_room_for_so_many(prints: ResultCache, left: int, known: Gallery, blurred: Image) -> None:
    studio = Studio(lambda: known, prints)
    pages = [studio.developed(encoded(blurred))["page"] for _ in range(3)]
    assert [studio.get(page).status_code for page in pages] == [404] * (3 - left) + [200] * left
    studio.page.close()
    assert {studio.get(page).status_code for page in pages} == {404}
    studio.close()
