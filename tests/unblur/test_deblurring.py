"""Which deblurrer a configuration gets, and what takes its place when the network cannot run."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from configs.schema import load
from deblur.cnn import CNN
from deblur.restore import Off, RichardsonLucy, Seed
from models import manifest
from models.errors import ModelError
from models.manifest import Trained
from stream.stages import Deblurrer
from tests.models import networks
from unblur.assemble import Parts
from unblur.cli import main


def deblurrer(mode: str, preset: str = "motion", backend: str = "auto") -> Deblurrer:
    return Parts(load(None, {"deblur": {"mode": mode, "preset": preset}, "backend": backend})).deblurrer()


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the trained networks ought to lie; empty."""
    monkeypatch.setattr(manifest, "WEIGHTS", tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("mode", "preset", "kind"),
    [
        ("auto", "motion", CNN),
        ("cnn", "motion", CNN),
        ("richardson-lucy", "motion", RichardsonLucy),
        ("auto", "seed", Seed),
        ("richardson-lucy", "seed", Seed),
        ("off", "motion", Off),
        ("off", "seed", Off),
    ],
)
def test_each_mode_has_its_deblurrer(mode: str, preset: str, kind: type) -> None:
    assert type(deblurrer(mode, preset)) is kind


def test_the_network_that_comes_with_unblur_is_the_pinned_one() -> None:
    own = manifest.own("deblur")
    content = own.path.read_bytes()
    assert len(content) == own.size <= 8_000_000
    assert hashlib.sha256(content).hexdigest() == own.sha256


def test_without_its_file_richardson_lucy_takes_the_networks_place(weights: Path) -> None:
    assert type(deblurrer("auto")) is RichardsonLucy
    with pytest.raises(ModelError, match=r"no model at .*deblur\.onnx"):
        deblurrer("cnn")


def test_another_file_is_refused_though_it_would_run(weights: Path) -> None:
    (weights / "deblur.onnx").write_bytes(networks.deblurring())
    assert type(deblurrer("auto")) is RichardsonLucy
    with pytest.raises(ModelError, match=r"deblur\.onnx is not the network that is expected \(sha256 differs\)"):
        deblurrer("cnn")


@pytest.mark.parametrize("backend", ["auto", "onnxruntime"])
def test_when_every_backend_fails_richardson_lucy_takes_the_networks_place(
    weights: Path, monkeypatch: pytest.MonkeyPatch, backend: str
) -> None:
    content = b"no network"
    (weights / "deblur.onnx").write_bytes(content)
    pinned = Trained("deblur", "none", "none", hashlib.sha256(content).hexdigest(), len(content))
    monkeypatch.setattr(manifest, "trained", lambda: (pinned,))
    assert type(deblurrer("auto", backend=backend)) is RichardsonLucy
    with pytest.raises(ModelError, match="does not load"):
        deblurrer("cnn", backend=backend)


def test_a_run_says_what_took_the_networks_place_and_one_that_named_it_ends(
    weights: Path, portraits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo, out = str(portraits / "biden.jpg"), tmp_path / "out"
    assert main(["image", photo, "--out", str(out)]) == 0
    told = capsys.readouterr().err
    assert "Richardson-Lucy takes its place" in told
    assert "deblur.onnx" in told
    assert main(["image", photo, "--out", str(tmp_path / "none"), "--deblur", "cnn"]) == 2
    assert "no model at" in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "none").exists()
