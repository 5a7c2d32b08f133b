"""The wheel: one name in site-packages, and a command that finds its packages."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from models.assets import manifest

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-d", str(folder)], cwd=REPOSITORY, check=True)
    return next(folder.glob("*.whl"))


@pytest.mark.slow
def test_the_wheel_takes_one_name_and_carries_its_data(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0].split("-")[0] for name in names} == {"unblur"}
    data = {
        "configs/default.yaml",
        "deblur/blur_estimator.npz",
        "models/assets/manifest.toml",
        "commands/demo_report.html.j2",
        "stream/values.py",
    }
    data |= {"configs/train/unet.yaml", "deblur/train/trainer.py"}
    data |= {f"models/weights/{network.path.name}" for network in manifest.trained()}
    assert {f"unblur/{name}" for name in data} <= set(names)


@pytest.mark.slow
def test_the_installed_command_runs_outside_the_checkout(wheel: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(site), str(wheel)]
    subprocess.run(pip, check=True)
    command = [sys.executable, "-P", "-c", "import sys, unblur.__main__ as m, stream; print(stream.__file__); m.main()"]
    # argv[0] is "-c", so that the command sees no arguments and shows its help
    done = subprocess.run(
        command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(site)}, capture_output=True, text=True, check=False
    )
    assert str(site / "unblur" / "stream") in done.stdout
    assert "Usage:" in done.stderr + done.stdout
