from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stream.errors import OutputError
from unblur.people.temp_crops import TempCrops


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(laid=st.lists(st.tuples(st.sampled_from("abcde"), st.binary(max_size=40))), order=st.permutations("abcde"))
def test_what_was_laid_down_is_taken_up_in_any_order(tmp_path: Path, laid: list[tuple[str, bytes]], order: str) -> None:
    pile = TempCrops(tmp_path)
    for photo, content in laid:
        pile.add(photo, content)
    last = dict(laid)
    assert dict(pile.read(photo for photo in order if photo in last)) == last
    pile.close()


def test_what_is_not_taken_is_nowhere(tmp_path: Path) -> None:
    pile = TempCrops(tmp_path)
    pile.add("photo", b"content" * 10_000)
    assert not list(tmp_path.iterdir())
    with pytest.raises(KeyError):
        next(pile.read(["another"]))
    pile.close()


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="nothing can be written to "):
        TempCrops(tmp_path / "none")
