"""Which deblurrer a configuration gets, and what takes its place when the network cannot run."""

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
    """Where the trained networks ought to lie; empty."""
    folder = tmp_path / "weights"
    folder.mkdir()
    monkeypatch.setattr(manifest, "WEIGHTS", folder)
    return folder


@pytest.fixture
def network(weights: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A network of the contract with random weights, in the place of the trained one."""
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


def test_without_its_file_richardson_lucy_takes_the_networks_place(network: Path) -> None:
    network.unlink()
    assert type(deblurrer("auto")) is RichardsonLucyDeblurrer
    with pytest.raises(ModelError, match=r"no model at .*deblur\.onnx"):
        deblurrer("cnn")


def test_another_file_is_refused_though_it_would_run(network: Path) -> None:
    network.write_bytes(networks.deblurring(seed=1))
    assert type(deblurrer("auto")) is RichardsonLucyDeblurrer
    with pytest.raises(ModelError, match=r"deblur\.onnx is not the network that is expected \(sha256 differs\)"):
        deblurrer("cnn")


@pytest.mark.parametrize("backend", ["auto", "onnxruntime"])
def test_when_every_backend_fails_richardson_lucy_takes_the_networks_place(
    weights: Path, monkeypatch: pytest.MonkeyPatch, backend: str
) -> None:
    _pinned(weights, b"no network", monkeypatch)
    assert type(deblurrer("auto", backend=backend)) is RichardsonLucyDeblurrer
    with pytest.raises(ModelError, match="does not load"):
        deblurrer("cnn", backend=backend)


def test_a_run_says_what_took_the_networks_place_and_one_that_named_it_ends(
    network: Path, portraits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    network.unlink()
    photo, out = str(portraits / "biden.jpg"), tmp_path / "out"
    assert main(["image", photo, "--out", str(out)]) == 0
    told = capsys.readouterr().err
    assert "Richardson-Lucy takes its place" in told
    assert "deblur.onnx" in told
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
    told = (tmp_path / "one").read_text(encoding="utf-8")
    assert told == (tmp_path / "two").read_text(encoding="utf-8")
    assert '"deblurred_by":"cnn"' in told
