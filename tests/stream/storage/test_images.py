import struct
from contextlib import suppress
from functools import cache
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow

from stream.errors import SourceError
from stream.storage import images
from stream.storage.images import is_picture, read_picture, read_still

# Orange, and a blue quarter at the left upper corner: tells channels and turns apart.
RGB = np.full((40, 60, 3), (250, 130, 10), np.uint8)
RGB[:20, :30] = (10, 20, 240)
BGR = RGB[:, :, ::-1]
TWO_COLORS = Path(__file__).with_name("two_colors.heic")
"""The same as HEIC, which nothing here writes (made with pillow-heif)."""


def close(image: np.ndarray, wanted: np.ndarray, tolerance: int = 12) -> bool:
    return image.shape == wanted.shape and float(np.abs(image.astype(int) - wanted).mean()) <= tolerance


@pytest.mark.parametrize(
    "suffix", ["jpg", "jfif", "jpe", "JPEG", "mpo", "png", "apng", "webp", "avif", "bmp", "tiff", "gif", "ppm"]
)
def test_the_usual_formats(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    Pillow.fromarray(RGB).save(path)
    assert is_picture(path)
    image = read_picture(path)
    assert close(image, BGR)
    assert image.flags.c_contiguous


@pytest.mark.skipif(not images.HEIC, reason="needs the extra heic")
@pytest.mark.parametrize("suffix", ["heic", "HEIC", "heif", "hif"])
def test_heic_with_the_extra(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(TWO_COLORS.read_bytes())
    assert is_picture(path)
    assert close(read_picture(path), BGR)


def test_heic_without_the_extra_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "HEIC", False)
    monkeypatch.setattr(images, "FORMATS", tuple(name for name in images.FORMATS if name != "HEIF"))
    with pytest.raises(SourceError, match=r"two_colors\.heic: HEIC needs the extra heic: pip install 'unblur\[heic\]'"):
        read_picture(TWO_COLORS)


@pytest.mark.parametrize(
    ("suffix", "pictures"), [("gif", 3), ("png", 3), ("webp", 3), ("tiff", 3), ("avif", 3), ("mpo", 1)]
)
def test_of_several_pictures_the_first_is_taken_and_that_is_said(tmp_path: Path, suffix: str, pictures: int) -> None:
    path = tmp_path / f"a.{suffix}"
    others = [Pillow.new("RGB", (60, 40), color) for color in ("white", "red")]
    Pillow.fromarray(RGB).save(path, save_all=True, append_images=others)
    still = read_still(path)
    assert close(still.image, BGR)
    assert still.pictures == pictures
    assert (still.remark is None) == (pictures == 1), "the second view of an MPO shows the same"


TURNS = {
    1: BGR,
    2: BGR[:, ::-1],
    3: BGR[::-1, ::-1],
    4: BGR[::-1],
    5: BGR.transpose(1, 0, 2),
    6: np.rot90(BGR, 3),
    7: BGR[::-1, ::-1].transpose(1, 0, 2),
    8: np.rot90(BGR),
}


@pytest.mark.parametrize("orientation", TURNS)
@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "avif"])
def test_exif_turns_the_picture_upright(tmp_path: Path, orientation: int, suffix: str) -> None:
    exif = Pillow.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"a.{suffix}"
    Pillow.fromarray(RGB).save(path, exif=exif, quality=95)
    assert close(read_picture(path), TURNS[orientation])


def exif_jpeg(tags: list[tuple[int, int, int, bytes]]) -> bytes:
    """A JPEG with these EXIF tags: number, type, count, and the four bytes of the value or of its place."""
    buffer = BytesIO()
    Pillow.fromarray(RGB).save(buffer, "JPEG", quality=95)
    entries = b"".join(struct.pack("<HHI4s", *tag) for tag in tags)
    exif = b"Exif\0\0II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4) + struct.pack("<d", 1.0)
    plain = buffer.getvalue()
    return plain[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + plain[2:]


def test_an_odd_exif_tag_is_passed_over_and_the_picture_upright(tmp_path: Path) -> None:
    """Software as a DOUBLE: viewers show the picture, and Pillow's `exif_transpose` fails over it."""
    path = tmp_path / "a.jpg"
    path.write_bytes(exif_jpeg([(0x0112, 3, 1, b"\6\0\0\0"), (0x0131, 12, 1, struct.pack("<I", 38))]))
    assert close(read_picture(path), TURNS[6])


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([0x0112, 0x0131, 0x8769, 0x8825, 0x927C, 0x02BC, 0x501B]) | st.integers(0, 0xFFFF),
            st.integers(0, 20),
            st.sampled_from([0, 1, 2, 3, 1000, 0xFFFFFFFF]),
            st.binary(min_size=4, max_size=4),
        ),
        max_size=6,
    )
)
def test_no_exif_keeps_a_picture_from_being_read(tmp_path: Path, tags: list[tuple[int, int, int, bytes]]) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(exif_jpeg(tags))
    assert read_picture(path).ndim == 3


def test_cmyk(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    Pillow.fromarray(RGB).convert("CMYK").save(path, quality=95)
    assert close(read_picture(path), BGR)


@pytest.mark.parametrize("suffix", ["png", "tiff"])
def test_16_bit_grey_keeps_its_brightness(tmp_path: Path, suffix: str) -> None:
    grey = np.linspace(0, 65535, 256, dtype=np.uint16).reshape(16, 16)
    path = tmp_path / f"a.{suffix}"
    Pillow.fromarray(grey).save(path)
    assert np.array_equal(read_picture(path)[:, :, 1].reshape(-1), np.arange(256))


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA"])
def test_transparency_lies_over_white(tmp_path: Path, mode: str) -> None:
    clear = Pillow.new("RGBA", (8, 8), (0, 0, 0, 0))
    path = tmp_path / ("a.png" if mode != "PA" else "a.tiff")
    clear.convert(mode).save(path)
    assert (read_picture(path) == 255).all()


def test_a_transparent_colour_of_a_palette_lies_over_white(tmp_path: Path) -> None:
    palette = Pillow.new("P", (8, 8), 0)
    palette.putpalette([0, 0, 0, 255, 0, 0])
    palette.save(tmp_path / "a.png", transparency=0)
    assert (read_picture(tmp_path / "a.png") == 255).all()


@pytest.mark.parametrize("mode", ["L", "1"])
def test_grey_and_black_and_white(tmp_path: Path, mode: str) -> None:
    Pillow.new(mode, (5, 7), 255 if mode == "L" else 1).save(tmp_path / "a.png")
    assert (read_picture(tmp_path / "a.png") == 255).all()


@pytest.mark.parametrize("size", [(1, 1), (7680, 4320)])
def test_the_smallest_and_8k(tmp_path: Path, size: tuple[int, int]) -> None:
    Pillow.new("RGB", size, "red").save(tmp_path / "a.jpg")
    image = read_picture(tmp_path / "a.jpg")
    assert image.shape == (size[1], size[0], 3)
    assert close(image[:1, :1], np.array([[[0, 0, 255]]]))


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "PIXELS_MOST", 10_000)
    Pillow.new("1", (101, 100)).save(tmp_path / "a.png")
    with pytest.raises(SourceError, match=r"a\.png.*101 x 100"):
        read_picture(tmp_path / "a.png")


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"", "empty"), (b"hello", "not a picture"), (b"\xff\xd8\xff\xe0 no more of it", "cannot be read")],
)
def test_what_is_no_picture_is_refused_in_one_line(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    with pytest.raises(SourceError, match=words) as refusal:
        read_picture(path)
    assert str(path) in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="No such file"):
        read_picture(tmp_path / "a.jpg")


def test_floating_point_pixels_are_refused(tmp_path: Path) -> None:
    Pillow.new("F", (4, 4), 0.5).save(tmp_path / "a.tiff")
    with pytest.raises(SourceError, match="floating-point"):
        read_picture(tmp_path / "a.tiff")


@cache
def whole(form: str) -> bytes:
    """Two pictures where the format takes several, with EXIF."""
    if form == "HEIF":
        return TWO_COLORS.read_bytes()
    exif = Pillow.Exif()
    exif[0x0112], exif[0x0131] = 6, "tests"
    buffer, several = BytesIO(), form not in {"JPEG", "AVIF", "BMP", "PPM"}
    more = {"save_all": True, "append_images": [Pillow.new("RGB", (60, 40), "white")]} if several else {}
    Pillow.fromarray(RGB).save(buffer, format=form, exif=exif, **more)
    return buffer.getvalue()


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300, deadline=None)
@given(st.data(), st.sampled_from(["JPEG", "MPO", "PNG", "WEBP", "AVIF", "HEIF", "BMP", "TIFF", "GIF", "PPM"]))
def test_damage_is_a_source_error_or_a_picture(tmp_path: Path, data: st.DataObject, form: str) -> None:
    content = bytearray(whole(form))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / "damaged"
    path.write_bytes(content[: data.draw(st.integers(1, len(content)))])
    with suppress(SourceError):
        assert read_picture(path).ndim == 3
