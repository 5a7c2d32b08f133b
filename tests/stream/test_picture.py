from contextlib import suppress
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow

from stream import picture
from stream.errors import SourceError
from stream.picture import read_picture

# Orange, and a blue quarter at the left upper corner: tells channels and turns apart.
RGB = np.full((40, 60, 3), (250, 130, 10), np.uint8)
RGB[:20, :30] = (10, 20, 240)
BGR = RGB[:, :, ::-1]


def close(image: np.ndarray, wanted: np.ndarray, tolerance: int = 12) -> bool:
    return image.shape == wanted.shape and float(np.abs(image.astype(int) - wanted).mean()) <= tolerance


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "bmp", "tiff", "gif", "ppm"])
def test_the_usual_formats(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    Pillow.fromarray(RGB).save(path)
    image = read_picture(path)
    assert close(image, BGR)
    assert image.flags.c_contiguous


def test_of_an_animation_the_first_picture(tmp_path: Path) -> None:
    path = tmp_path / "a.gif"
    Pillow.fromarray(RGB).save(path, save_all=True, append_images=[Pillow.new("RGB", (60, 40), "white")])
    assert close(read_picture(path), BGR)


@pytest.mark.parametrize(("orientation", "turns"), [(3, 2), (6, 3), (8, 1)])
def test_exif_turns_the_picture_upright(tmp_path: Path, orientation: int, turns: int) -> None:
    exif = Pillow.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "a.jpg"
    Pillow.fromarray(RGB).save(path, exif=exif, quality=95)
    assert close(read_picture(path), np.rot90(BGR, turns))


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
    monkeypatch.setattr(picture, "PIXELS_MOST", 10_000)
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


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200, deadline=None)
@given(st.data(), st.sampled_from(["JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "PPM"]))
def test_damage_is_a_source_error_or_a_picture(tmp_path: Path, data: st.DataObject, form: str) -> None:
    buffer = BytesIO()
    Pillow.fromarray(RGB).save(buffer, format=form, exif=b"Exif\0\0MM\0*\0\0\0\x08\0\0")
    content = bytearray(buffer.getvalue())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / "damaged"
    path.write_bytes(content[: data.draw(st.integers(1, len(content)))])
    with suppress(SourceError):
        assert read_picture(path).ndim == 3
