import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.assets.fetch import fetch_typefaces
from stream.outputs.text import TextRenderer, line_height
from stream.values import Image

WHITE, BLACK = (255, 255, 255), (0, 0, 0)
set_line = TextRenderer(fetch_typefaces()).line


def ink(text: str, size: int = 48) -> Image:
    """The line without its empty columns, 0-255."""
    grey: Image = set_line(text, size, WHITE, BLACK).max(axis=2)
    columns = np.flatnonzero(grey.max(axis=0))
    return grey[:, columns[0] : columns[-1] + 1]


def beginning(text: str, of: str) -> bool:
    """Whether the picture of `of` begins, at its left, with that of `text`."""
    part, whole = ink(text), ink(of)
    width = min(part.shape[1], whole.shape[1]) - 2
    return float(np.abs(part[:, :width].astype(int) - whole[:, :width]).mean()) < 8


def test_hebrew_runs_from_right_to_left() -> None:
    assert beginning("ם", "שלום")
    assert not beginning("ש", "שלום")


def test_a_number_within_hebrew_still_runs_from_left_to_right() -> None:
    assert beginning("12", "שלום 12")


def test_brackets_open_towards_what_they_hold() -> None:
    assert beginning("(", "שלום (12)")


def test_arabic_letters_join() -> None:
    joined, apart = ink("محمد"), ink("م ح م د")
    assert joined.shape[1] < 0.75 * apart.shape[1]
    assert joined.max(axis=0).min() > 0, "one stroke from end to end"


def test_a_letter_and_its_accent_are_one() -> None:
    assert np.array_equal(ink("e\u0301"), ink("é"))


def test_every_letter_has_its_own_shape_with_no_system_fonts(tmp_path: Path) -> None:
    """Run where fontconfig cannot be found; Thai, which then has no font, gives the shape of what is missing."""
    program = (
        "import sys; from tests.stream.outputs.test_text import ink\n"
        "shapes = {letter: ink(letter).tobytes() for letter in sys.argv[1]}\n"
        "assert len(set(shapes.values())) == len(shapes) > 40\n"
        "assert ink('ส').tobytes() == ink('ม').tobytes() not in shapes.values()"
    )
    letters = "".join(sorted({*"ZoëŁukaszИванΩμέγαשלוםمحمد山田太郎王小明김철수Հայկგიორგი"} - {"о", "а"}))
    command = [sys.executable, "-c", program, letters]
    subprocess.run(command, cwd=Path(__file__).parents[3], env=os.environ | {"PATH": str(tmp_path)}, check=True)


def test_a_script_without_a_font_is_said_once(tmp_path: Path) -> None:
    program = (
        "from tests.stream.outputs.test_text import set_line, WHITE, BLACK\n"
        "for _ in range(3): assert set_line('สมชาย', 20, WHITE, BLACK).any()"
    )
    result = subprocess.run(
        [sys.executable, "-c", program],
        cwd=Path(__file__).parents[3],
        env=os.environ | {"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    said = result.stdout + result.stderr
    assert said.count("no font for a name's script") == 1
    assert "THAI" in said


def test_system_fonts_give_what_we_have_not() -> None:
    if shutil.which("fc-match") is None:
        pytest.skip("fontconfig is not installed")
    found = subprocess.run(["fc-list", ":charset=1f600", "family"], capture_output=True, text=True, check=True).stdout
    if "Emoji" not in found:
        pytest.skip("no emoji font is installed")
    plate = set_line("😀", 32, WHITE, BLACK).astype(int)
    assert (plate.max(axis=2) - plate.min(axis=2)).max() > 100, "in colour"


@settings(max_examples=150, deadline=None)
@given(text=st.text(st.characters(), max_size=30), size=st.integers(8, 60))
def test_any_text_makes_a_plate_of_one_line(text: str, size: int) -> None:
    plate = set_line(text, size, WHITE, (61, 128, 21))
    assert plate.dtype == np.uint8
    assert plate.shape[0] == line_height(size)
    assert plate.shape[2] == 3
    assert (plate[:, 0] == (61, 128, 21)).all()
