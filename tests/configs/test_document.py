"""YAML within bounds: any text is read, or refused in one line, and soon."""

from contextlib import suppress
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from configs.document import LARGEST, DocumentError, parse_document, read_document

LAUGHS = "a0: &a0 [x, x]\n" + "\n".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}, *a{n - 1}]" for n in range(1, 30))


def test_what_people_write_is_read() -> None:
    text = "a: &a {b: 1, c: [x, 'y']}\nd: *a\ne: {<<: *a, b: 2}\nf: off\ng: ~\n"
    assert parse_document(text) == yaml.safe_load(text)
    assert parse_document("") is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[" * 5000, "more than 50 lists and keys within each other"),
        ("[" * 5000 + "]" * 5000, "more than 50 lists and keys within each other"),
        ("{a: " * 5000, "within each other"),
        ("a: &a [*a]", "an alias stands within what it stands for (line 1, column 8)"),
        ("&a {b: *a}", "an alias stands within what it stands for"),
        (LAUGHS, "more than 20,000 values"),
        ("a: 1\nb: 2\na: 3", "the key 'a' stands there twice (line 3, column 1)"),
        ("x:\n  - {k: 1, k: 1}", "the key 'k' stands there twice"),
        ("a: 2026-13-45", "month must be in 1..12"),
        ("a: " + "9" * 5000, "Exceeds the limit"),
        ("!!python/object/apply:os.system [ls]", "tags (!) mean nothing here"),
        ("a: !!int ''", "tags (!) mean nothing here"),
        ("a: [", "(line 1"),
        ("a: \x07", "special characters are not allowed"),
        ("? [a]\n: b", "unhashable key"),
        ("password: 'secret\n  b: c: d", "line"),
    ],
)
def test_unusable_yaml_is_refused_in_one_line(text: str, reason: str) -> None:
    with pytest.raises(DocumentError) as refused:
        parse_document(text)
    assert reason in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1
    assert "secret" not in str(refused.value)


def test_a_file_is_no_larger_than_it_may_be(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(b"#" * (LARGEST + 1))
    with pytest.raises(DocumentError, match="larger than 1 MiB"):
        read_document(tmp_path / "a.yaml")
    (tmp_path / "a.yaml").write_bytes(b"a: \xff")
    with pytest.raises(DocumentError, match="byte 3 is not UTF-8"):
        read_document(tmp_path / "a.yaml")


@settings(deadline=None)
@given(st.text(st.sampled_from("ab01:-.{}[]&*!<>?|'\"\n ,#%~")))
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(DocumentError):
        parse_document(text)
