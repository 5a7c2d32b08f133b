from __future__ import annotations

import os
import ssl
from pathlib import Path

import pytest

from models.assets.package_index import PYPI, Index, redacted_location
from models.errors import ModelError


@pytest.fixture(autouse=True)
def no_pip_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("PIP_") or name in {"REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"}:
            monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)


def test_without_settings_it_is_pypi() -> None:
    assert Index.configured() == Index(index_urls=(PYPI,))


def test_pip_conf_and_variables_in_pips_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = tmp_path / "pip.conf"
    settings.write_text(
        "[global]\nindex-url = https://one.example/simple\nproxy = proxy.example:3128\ntimeout = 4\n"
        "extra-index-url =\n  https://two.example/simple\n  https://three.example/simple\n"
        "[install]\nindex-url = https://four.example/simple\n[list]\nindex-url = https://five.example/simple\n"
    )
    monkeypatch.setenv("PIP_CONFIG_FILE", str(settings))
    monkeypatch.setenv("PIP_TIMEOUT", "7")
    monkeypatch.setenv("PIP_TRUSTED_HOST", "two.example three.example:8080")

    index = Index.configured()

    assert index.index_urls == (
        "https://four.example/simple",
        "https://two.example/simple",
        "https://three.example/simple",
    )
    assert index.proxy == "http://proxy.example:3128"
    assert index.timeout == 7
    assert index.trusted_hosts == ("two.example", "three.example:8080")


def test_without_pip_the_variables_still_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "https://one.example/simple")
    monkeypatch.setattr("sys.executable", "false")  # it fails, as `python -m pip` does where there is no pip

    assert Index.configured() == Index(index_urls=("https://one.example/simple",))


def test_no_index_leaves_the_links() -> None:
    index = Index.of({"no-index": "true", "find-links": "/wheels /more"})

    assert (index.index_urls, index.find_links) == ((), ("/wheels", "/more"))


def test_pips_certificate_is_used() -> None:
    bundle = ssl.get_default_verify_paths().cafile
    if bundle is None:
        pytest.skip("this Python has no certificate bundle of its own")
    with Index.of({"cert": bundle}).client() as client:
        assert not client.is_closed


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"timeout": "soon"}, "pip's timeout is not a number"),
        ({"cert": "/no/such/bundle.pem"}, "pip's certificates cannot be read"),
        ({"client-cert": "/no/such/key.pem"}, "pip's certificates cannot be read"),
    ],
)
def test_nonsense_is_refused(options: dict[str, str], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        Index.of(options).client()


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://user:secret@index.example:8443/simple", "index.example"),
        ("file:///srv/simple", "/srv/simple"),
        ("/srv/wheels", "/srv/wheels"),
    ],
)
def test_a_place_is_shown_without_credentials(url: str, shown: str) -> None:
    assert redacted_location(url) == shown
