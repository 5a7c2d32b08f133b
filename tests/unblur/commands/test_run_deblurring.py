"""The deblurrer of each configuration, and the fallback if the network cannot run."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from configs.loader import load
from deblur.cnn import CNN
from deblur.deblurrers import BoxKernelDeblurrer, FallbackDeblurrer, PassThrough, RichardsonLucyDeblurrer
from models.assets import manifest
from models.assets.manifest import Trained
from models.errors import ModelError
from stream.interfaces import Deblurrer
from tests.models.support import networks
from unblur.assembly.components import Components
from unblur.cli import main


def deblurrer(mode: str, preset: str = "motion", backend: str = "auto") -> Deblurrer:
    return Components(load(None, {"deblur": {"mode": mode, "preset": preset}, "backend": backend})).deblurrer()


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder in place of the trained networks'."""
    folder = tmp_path / "weights"
    folder.mkdir()
    monkeypatch.setattr(manifest, "WEIGHTS", folder)
    return folder


@pytest.fixture
def network(weights: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A network with the right inputs and outputs and random weights, in place of the trained one."""
    return _pinned(weights, networks.deblurring(), monkeypatch)


def _pinned(weights: Path, content: bytes, monkeypatch: pytest.MonkeyPatch) -> Path:
    (weights / "deblur.onnx").write_bytes(content)
    pinned = Trained("deblur", "a test", "none", hashlib.sha256(content).hexdigest(), len(content))
    monkeypatch.setattr(manifest, "trained", lambda: (pinned,))
    return pinned.path


@pytest.mark.parametrize(
    ("mode", "preset", "kind"),
    [
        ("auto", "motion", FallbackDeblurrer),
        ("cnn", "motion", CNN),
        ("richardson-lucy", "motion", RichardsonLucyDeblurrer),
        ("auto", "box5", BoxKernelDeblurrer),
        ("richardson-lucy", "box5", BoxKernelDeblurrer),
        ("off", "motion", PassThrough),
        ("off", "box5", PassThrough),
    ],
)
def test_each_mode_has_its_deblurrer(network: Path, mode: str, preset: str, kind: type) -> None:
    assert type(deblurrer(mode, preset)) is kind


def test_every_trained_network_is_the_pinned_one() -> None:
    files = {each.path: (each.size, each.sha256) for each in manifest.trained()}
    assert files.keys() == set(manifest.WEIGHTS.glob("*.onnx"))
    for path, pinned in files.items():
        content = path.read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == pinned


def test_without_the_networks_file_richardson_lucy_is_used(network: Path) -> None:
    network.unlink()
    assert type(deblurrer("auto")) is RichardsonLucyDeblurrer
    with pytest.raises(ModelError, match=r"no model at .*deblur\.onnx"):
        deblurrer("cnn")


def test_another_file_is_refused_even_if_it_would_run(network: Path) -> None:
    network.write_bytes(networks.deblurring(seed=1))
    assert type(deblurrer("auto")) is RichardsonLucyDeblurrer
    with pytest.raises(ModelError, match=r"deblur\.onnx is not the network that is expected \(sha256 differs\)"):
        deblurrer("cnn")


@pytest.mark.parametrize("backend", ["auto", "onnxruntime"])
def test_richardson_lucy_is_used_when_every_backend_fails(
    weights: Path, monkeypatch: pytest.MonkeyPatch, backend: str
) -> None:
    _pinned(weights, b"no network", monkeypatch)
    assert type(deblurrer("auto", backend=backend)) is RichardsonLucyDeblurrer
    with pytest.raises(ModelError, match="does not load"):
        deblurrer("cnn", backend=backend)


def test_a_fallback_is_logged_and_a_required_network_is_an_error(
    network: Path, portraits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    network.unlink()
    photo, out = str(portraits / "biden.jpg"), tmp_path / "out"
    assert main(["image", photo, "--out", str(out)]) == 0
    errors = capsys.readouterr().err
    assert "Richardson-Lucy takes its place" in errors
    assert "deblur.onnx" in errors
    assert main(["image", photo, "--out", str(tmp_path / "none"), "--deblur", "cnn"]) == 2
    assert "no model at" in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "none").exists()


def test_photos_are_restored_by_the_network(
    network: Path, portraits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    blurred = cv2.GaussianBlur(np.asarray(cv2.imread(str(portraits / "biden.jpg"))), (0, 0), 9)
    cv2.imwrite(str(tmp_path / "photo.png"), blurred)
    by = {}
    for mode in ("auto", "cnn", "richardson-lucy", "off"):
        assert main(["image", str(tmp_path / "photo.png"), "--out", str(tmp_path / mode), "--deblur", mode]) == 0
        (face,) = capsys.readouterr().out.splitlines()
        by[mode] = json.loads(face)["deblurred_by"]
    assert by == {"auto": "cnn", "cnn": "cnn", "richardson-lucy": "richardson-lucy", "off": "none"}


def test_replays_by_the_network_give_the_same_bytes(network: Path, demo: Path, tmp_path: Path) -> None:
    clip = ["run", "--quiet", "--to", "4", str(demo / "camera.mp4"), "--gallery", str(demo / "people.joblib")]
    for name in ("one", "two"):
        assert main([*clip, "--deblur", "cnn", "--events", str(tmp_path / name)]) == 0
    events = (tmp_path / "one").read_text(encoding="utf-8")
    assert events == (tmp_path / "two").read_text(encoding="utf-8")
    assert '"deblurred_by":"cnn"' in events
