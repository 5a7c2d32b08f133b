from __future__ import annotations

from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.errors import SourceError
from stream.media import jpeg_splitter
from stream.media.jpeg_splitter import START, split_jpegs
from tests.stream.support.http_cameras import jpeg

PICTURES = [jpeg(number) for number in range(4)]
BETWEEN = st.sampled_from(
    [
        b"",
        b"\r\n--frame\r\nContent-Type: image/jpeg\r\n\r\n",
        b"\xff\xff\x00garbage\xff",
        b"\xff\xd8",
        b"\r\n--x\r\n\r\n",
    ]
)


def in_parts(content: bytes, sizes: list[int]) -> list[bytes]:
    """What `split_jpegs` finds when the bytes come in parts of these sizes, again and again."""
    source, turn = BytesIO(content), iter(sizes * (len(content) // sum(sizes) + 2))
    return list(split_jpegs(lambda _size: source.read(next(turn, 1))))


@given(st.lists(BETWEEN, min_size=5, max_size=5), st.lists(st.integers(1, 999), min_size=1, max_size=5))
def test_every_picture_whole_whatever_stands_between_them_and_however_they_come(
    between: list[bytes], sizes: list[int]
) -> None:
    content = between[0] + b"".join(picture + gap for picture, gap in zip(PICTURES, between[1:], strict=True))
    assert in_parts(content, sizes) == PICTURES


def test_a_thumbnail_within_a_picture_is_no_picture() -> None:
    """EXIF holds a whole JPEG, with an end of its own."""
    thumbnail = b"\xff\xe1" + (len(PICTURES[0]) + 2).to_bytes(2, "big") + PICTURES[0]
    with_thumbnail = PICTURES[1][:2] + thumbnail + PICTURES[1][2:]
    assert in_parts(with_thumbnail + PICTURES[2], [100]) == [with_thumbnail, PICTURES[2]]


def test_a_picture_that_breaks_off_does_not_take_the_next_with_it() -> None:
    assert in_parts(PICTURES[0][:-40] + PICTURES[1], [64])[-1] == PICTURES[1]


def test_a_picture_is_given_before_anything_follows_it() -> None:
    source = iter([PICTURES[0]])

    def read(_size: int) -> bytes:
        part = next(source, None)
        assert part is not None, "it was read on before the picture was given"
        return part

    assert next(split_jpegs(read)) == PICTURES[0]


def test_what_never_ends_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jpeg_splitter, "_LARGEST", 200_000)
    begun = iter([START + b"\xda\x00\x02"])
    with pytest.raises(SourceError, match="no picture"):
        list(split_jpegs(lambda size: next(begun, bytes(size))))
