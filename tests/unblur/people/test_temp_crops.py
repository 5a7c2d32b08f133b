from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stream.errors import OutputError
from unblur.people.temp_crops import TempCrops


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(added=st.lists(st.tuples(st.sampled_from("abcde"), st.binary(max_size=40))), order=st.permutations("abcde"))
def test_added_crops_are_read_in_any_order(tmp_path: Path, added: list[tuple[str, bytes]], order: str) -> None:
    crops = TempCrops(tmp_path)
    for photo, content in added:
        crops.add(photo, content)
    last = dict(added)
    assert dict(crops.read(photo for photo in order if photo in last)) == last
    crops.close()


def test_unread_crops_leave_no_file(tmp_path: Path) -> None:
    crops = TempCrops(tmp_path)
    crops.add("photo", b"content" * 10_000)
    assert not list(tmp_path.iterdir())
    with pytest.raises(KeyError):
        next(crops.read(["another"]))
    crops.close()


def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="nothing can be written to "):
        TempCrops(tmp_path / "none")
