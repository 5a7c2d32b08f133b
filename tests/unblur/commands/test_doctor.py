from __future__ import annotations

import io
import json
import os
from contextlib import redirect_stdout
from pathlib import Path

import pytest

from models.assets import cache, manifest
from models.assets.fetch import fetch
from unblur.commands.doctor import Check, cameras, doctor, library, run_checks


def _by_name(checks: list[Check]) -> dict[str, Check]:
    return {f"{check.section}/{check.name}": check for check in checks}


def _report(as_json: bool) -> tuple[int, str]:
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(io.StringIO()) as output:
        patch.setenv("COLUMNS", "100")
        return doctor(as_json), output.getvalue()


def test_a_machine_with_everything_needed_is_healthy(yunet_path: Path, portraits: Path) -> None:
    status, text = _report(as_json=False)

    assert status == 0, text
    for word in ("onnxruntime", "yunet", "Apache-2.0", "sha256 as pinned", "H.264", "GB free", "cores"):
        assert word in text


def test_the_chain_of_backends_and_its_choice_are_shown(yunet_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.backends.nvidia_driver.LIBRARY", "libcuda-that-is-not-here.so")
    checks = _by_name(run_checks())

    assert checks["backends/auto"].detail == (
        "takes onnxruntime, the first that can be used of tensorrt, tensorrt-rtx, cuda, onnxruntime, openvino"
    )
    for name in ("tensorrt", "tensorrt-rtx", "cuda"):
        check = checks[f"backends/{name}"]
        assert (check.status, check.detail) == (
            "note",
            "no CUDA driver here (libcuda-that-is-not-here.so does not load)",
        )


def test_json_holds_every_check(yunet_path: Path) -> None:
    status, text = _report(as_json=True)
    report = json.loads(text)

    assert report["ok"] is (status == 0)
    assert {check["section"] for check in report["checks"]} == {
        *("versions", "models", "backends", "cameras", "display", "video", "disk", "processor"),
    }
    assert all(check["status"] in {"ok", "note", "missing"} for check in report["checks"])


def test_missing_networks_are_reported_with_the_command_and_not_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNBLUR_CACHE", str(tmp_path / "nothing"))
    status, text = _report(as_json=False)

    assert status == 1
    assert "not fetched yet" in text
    assert "unblur demo" in text
    assert not (tmp_path / "nothing").exists()


def test_a_network_that_was_changed_is_found(tmp_path: Path, yunet_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = manifest.network("yunet")
    content = cache.path(network).read_bytes()
    monkeypatch.setenv("UNBLUR_CACHE", str(tmp_path))
    cache.write(cache.path(network), content[:-1] + b"!")

    check = _by_name(run_checks())["models/yunet"]
    assert check.status == "missing"
    assert "is not the file that was pinned" in check.detail


def test_cameras_by_their_drivers_names(tmp_path: Path) -> None:
    devices, classes = tmp_path / "dev", tmp_path / "class"
    for name, label in (("video0", "Front [HD]: camera"), ("video2", "Back")):
        (classes / name).mkdir(parents=True)
        (classes / name / "name").write_text(f"{label}\n")
        (devices / name).parent.mkdir(exist_ok=True)
        (devices / name).touch()
    (devices / "video_alias").touch()

    assert [(Path(check.name).name, check.detail, check.status) for check in cameras(devices, classes)] == [
        ("video0", "Front [HD]: camera", "ok"),
        ("video2", "Back", "ok"),
    ]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may open every device")
def test_a_camera_that_may_not_be_opened_has_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "video0").touch(mode=0)

    (check,) = cameras(tmp_path, tmp_path)
    assert (check.status, check.remedy) == ("note", "sudo usermod -aG video $USER")


def test_no_camera_is_only_a_note(tmp_path: Path) -> None:
    (check,) = cameras(tmp_path, tmp_path)
    assert check.status == "note"


@pytest.mark.parametrize(("value", "status"), [(":7", "ok"), ("", "note")])
def test_the_display(value: str, status: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("DISPLAY", value)

    assert _by_name(run_checks())["display/window"].status == status


def test_a_library_that_is_absent_or_does_not_load_is_a_finding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_module.py").write_text("raise ImportError('libGL.so.1: cannot open shared object file')")
    monkeypatch.syspath_prepend(tmp_path)

    absent = library("no-such-library", "no_such_library")
    broken = library("numpy", "broken_module")

    assert (absent.status, absent.remedy) == ("missing", "pip install no-such-library")
    assert broken.status == "missing"
    assert "libGL.so.1" in broken.detail


def test_the_report_survives_square_brackets(yunet_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISPLAY", "[/bold]:0")

    assert "[/bold]:0" in _report(as_json=False)[1]
    assert fetch("yunet") == yunet_path
