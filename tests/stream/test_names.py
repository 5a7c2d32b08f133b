"""One rule for names, wherever they come from."""

import unicodedata
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.errors import UsageError
from stream.names import normalize_name, normalize_text


@pytest.mark.parametrize(
    "name",
    ["Ann", "Łukasz", "山田 太郎", "O'Brien-Smith, Jr.", "Ann (2)", "نسرين", "می\u200cنا", "👩\u200d🚀", "unknown man"],
)
def test_people_are_called_so(name: str) -> None:
    assert normalize_name(name) == name


def test_a_name_is_kept_composed_and_without_white_space_around_it() -> None:
    assert normalize_name(f" {unicodedata.normalize('NFD', 'Zoë')}\u3000") == "Zoë"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("", "at least one letter"),
        (" \t\u2003", "at least one letter"),
        ("Ann\nLee", r"holds U\+000A"),
        ("Ann\x1b[31m", r"holds U\+001B"),
        ("Ann\u200b", r"holds U\+200B"),
        ("An\u200dn", r"holds U\+200D"),
        ("می\u200c", r"holds U\+200C"),
        ("\u200b", r"holds U\+200B"),
        ("\u202eeilrahC", r"holds U\+202E"),
        ("Ann\u2066", r"holds U\+2066"),
        ("Ann\u2028Lee", r"holds U\+2028"),
        ("Ann\ud800", r"holds U\+D800"),
        ("Ann\ue000", r"holds U\+E000"),
        ("Ann\uffff", r"holds U\+FFFF"),
        ("\u3164", r"holds U\+3164"),
        ("a" * 81, "at most 80 letters"),
        ("\U0001d160" * 80, "at most 80 letters"),  # of which each becomes three
        ("unknown", "nobody can be called unknown"),
        ("UnKnown", "nobody can be called UnKnown"),
        (" any ", "nobody can be called any"),
        ("ｋｎｏｗｎ", "the search uses this word itself"),
    ],
)
def test_nobody_is_called_so(name: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        normalize_name(name)


@given(st.text())
def test_a_name_is_kept_as_it_will_be_kept(name: str) -> None:
    try:
        kept = normalize_name(name)
    except UsageError:
        return
    assert normalize_name(kept) == kept
    assert kept.encode().decode() == kept
    assert kept.splitlines() == [kept]


def test_descriptions_are_lines_of_text() -> None:
    assert normalize_text(" born 1961,\r\n\tastronaut \n", 100) == "born 1961,\r\n\tastronaut"


@pytest.mark.parametrize(
    "said",
    [lambda: normalize_text("a\x00", 9), lambda: normalize_text("\x1b[2J", 9), lambda: normalize_text("a" * 10, 9)],
)
def test_nothing_else_is_said_of_anybody(said: Callable[[], str]) -> None:
    with pytest.raises(UsageError, match="a description"):
        said()
