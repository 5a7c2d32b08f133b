"""What is encrypted opens with its key, and with no other."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stream.errors import UsageError
from stream.storage.encryption import Cipher, decrypt_if


def a_key(path: Path) -> Path:
    path.write_bytes(Fernet.generate_key() + b"\n")
    return path


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None)
@given(content=st.binary(max_size=4096))
def test_content_comes_back(tmp_path: Path, content: bytes) -> None:
    cipher = Cipher(a_key(tmp_path / "key"))
    sealed = cipher.encrypt(content)
    assert decrypt_if(tmp_path / "file", sealed, cipher) == content
    assert len(content) < 16 or content not in sealed


def test_what_was_never_encrypted_is_read_as_it_is(tmp_path: Path) -> None:
    for cipher in (None, Cipher(a_key(tmp_path / "key"))):
        assert decrypt_if(tmp_path / "file", b"\x89PNG", cipher) == b"\x89PNG"


def test_a_wrong_key_a_missing_key_and_damage_are_told(tmp_path: Path) -> None:
    cipher, other = Cipher(a_key(tmp_path / "key")), Cipher(a_key(tmp_path / "other"))
    sealed = cipher.encrypt(b"content")
    with pytest.raises(UsageError, match=r"file is damaged, or was encrypted with another key than .*other"):
        decrypt_if(tmp_path / "file", sealed, other)
    with pytest.raises(UsageError, match="file is encrypted: name the key's file"):
        decrypt_if(tmp_path / "file", sealed, None)
    for place in range(8, len(sealed)):
        with pytest.raises(UsageError, match="damaged"):
            decrypt_if(tmp_path / "file", sealed[:place] + bytes([sealed[place] ^ 1]) + sealed[place + 1 :], cipher)


@pytest.mark.parametrize(
    "content",
    [b"", b"too short", b"\xff" * 44, Fernet.generate_key()[:-5]],
    ids=["empty", "too short", "no text", "cut off"],
)
def test_a_file_that_holds_no_key_is_told(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(content)
    with pytest.raises(UsageError, match="holds no encryption key: that is 32 bytes"):
        Cipher(tmp_path / "key")
    with pytest.raises(UsageError, match="cannot read the encryption key"):
        Cipher(tmp_path / "none")
