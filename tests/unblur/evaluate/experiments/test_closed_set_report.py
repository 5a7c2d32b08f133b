"""Closed-set recognition, on small archives made of portraits and (slow) on ORL and Yale."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.values import Image
from tests.unblur.evaluate.conftest import pack
from unblur.cli import main
from unblur.evaluate.data.archives import crop_center
from unblur.evaluate.experiments.closed_set import draw_split

pytest.importorskip("matplotlib", reason="needs the extra `evaluate`")
PEOPLE = {"s1": "obama2.jpg", "s2": "biden.jpg", "s3": "astronaut.png"}
TORCH = find_spec("torch") is not None


def relight(face: Image, number: int) -> Image:
    """Make a gray copy of the face, a little shifted and with other light."""
    gray = cv2.cvtColor(face, cv2.COLOR_BGR2GRAY)
    moved = np.array([[1, 0, number % 3], [0, 1, number % 4]], np.float32)
    shifted = cv2.warpAffine(gray, moved, gray.shape[1::-1], borderMode=cv2.BORDER_REFLECT_101)
    return np.asarray(shifted * (1 - 0.06 * number), np.uint8)


@pytest.fixture(scope="module")
def small_data(faces: dict[str, Image], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight images of each of three people; in the Yale archive each person has one of them twice."""
    folder = tmp_path_factory.mktemp("data")
    pictures = {
        f"{person}/{number}": relight(crop_center(faces[file], 200), number)
        for person, file in PEOPLE.items()
        for number in range(8)
    }
    twins = {f"{person}/twin.png": pictures[f"{person}/0"] for person in PEOPLE}
    pack(folder / "seed/orl.tar", {f"{name}.pgm": picture for name, picture in pictures.items()})
    pack(folder / "seed/yale.tar", {f"{name}.png": picture for name, picture in pictures.items()} | twins)
    return folder


def command(data: Path, out: Path, *options: str) -> list[str]:
    return ["evaluate", "recognition", "--data", str(data), "--out", str(out), "--repeats", "2", *options]


def rows(out: Path) -> dict[tuple[str, str], dict[str, Any]]:
    (table,) = json.loads((out / "table.json").read_text(encoding="utf-8"))["tables"]
    return {(row["data"], row["method"]): row for row in table["rows"]}


def test_table_and_plot(small_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    methods = ("--method", "sface", "--method", "lda", "--method", "pca", "--method", "lpp")
    assert main(command(small_data, tmp_path / "out", *methods)) == 0
    found = rows(tmp_path / "out")
    assert [method for data, method in found if data == "ORL"] == ["pca", "lda", "lpp", "sface"]
    assert all(row["accuracy"] > 0.8 for row in found.values())
    assert found["ORL", "sface"]["accuracy"] == 1
    assert found["ORL", "lda"]["dimensions"] == 2
    assert all(row["lowest"] <= row["accuracy"] <= row["highest"] for row in found.values())
    text = (tmp_path / "out/table.md").read_text(encoding="utf-8")
    assert capsys.readouterr().out == text
    assert "Yale: 27 pictures of 3 people, 6 of each learnt from; 3 are another's twin, pixel for pixel" in text
    assert (tmp_path / "out/accuracy.png").read_bytes().startswith(b"\x89PNG")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"table.md", "table.json", "accuracy.png"}


@pytest.mark.slow
def test_same_seed_gives_the_same_table_and_another_another(small_data: Path, tmp_path: Path) -> None:
    def accuracies(name: str, *options: str) -> list[float]:
        assert main(command(small_data, tmp_path / name, "--method", "pca", *options)) == 0
        return [row[key] for row in rows(tmp_path / name).values() for key in ("dimensions", "accuracy", "untwinned")]

    assert accuracies("one") == accuracies("two") != accuracies("other", "--seed", "5")


@given(st.lists(st.integers(0, 5), min_size=1, max_size=60), st.integers(0, 99))
def test_a_split_has_the_same_count_of_each_label(drawn: list[int], seed: int) -> None:
    labels = np.sort(np.array([*range(6), *range(6), *drawn]))
    training = draw_split(labels, 2, np.random.default_rng(seed))
    assert np.bincount(labels[training]).tolist() == [2] * 6


@pytest.mark.slow
@pytest.mark.skipif(TORCH, reason="torch is installed")
def test_without_torch_the_fusion_cnn_runs_only_if_named(
    small_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command(small_data, tmp_path / "all")) == 0
    assert ("ORL", "fusion-cnn") not in rows(tmp_path / "all")
    assert "- left out: fusion-cnn needs torch: pip install 'unblur[train]'" in capsys.readouterr().out
    assert main(command(small_data, tmp_path / "named", "--method", "fusion-cnn")) == 2
    assert "fusion-cnn needs torch" in capsys.readouterr().err
    assert not (tmp_path / "named").exists()


@pytest.mark.skipif(not TORCH, reason="training needs the extra `train`")
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_fusion_cnn_is_trained_for_each_split(small_data: Path, tmp_path: Path) -> None:
    assert main(command(small_data, tmp_path, "--method", "fusion-cnn")) == 0
    assert all(row["accuracy"] > 0.9 and row["dimensions"] == 192 for row in rows(tmp_path).values())


def test_bad_input_prints_one_line_and_writes_nothing(
    small_data: Path, faces: dict[str, Image], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    faceless, few = tmp_path / "faceless", tmp_path / "few"
    pack(faceless / "seed/orl.tar", {f"s1/{number}.pgm": np.full((200, 200), 90, np.uint8) for number in range(9)})
    (few / "seed").mkdir(parents=True)
    (few / "seed/orl.tar").write_bytes((small_data / "seed/orl.tar").read_bytes())
    pack(few / "seed/yale.tar", {"s1/1.png": crop_center(faces["biden.jpg"], 200)})
    cases = [
        (command(small_data, tmp_path / "out", "--method", "magic"), "no method is called 'magic': there are pca, lda"),
        (command(tmp_path, tmp_path / "out"), "cannot read the photographs"),
        (command(faceless, tmp_path / "out"), "no face is found on s1/0.pgm"),
        (command(few, tmp_path / "out"), "more than 6 of each"),
    ]
    for arguments, complaint in cases:
        assert main(arguments) == 2
        text = capsys.readouterr().err
        assert complaint in text
        assert text.count("\n") == 1
        assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_on_orl_and_yale(shared: Path, tmp_path: Path) -> None:
    methods = ("--method", "pca", "--method", "lda", "--method", "lpp", "--method", "sface")
    assert main(command(shared, tmp_path, *methods)) == 0
    found = {key: row["accuracy"] for key, row in rows(tmp_path).items()}
    for data in ("ORL", "Yale"):
        assert found[data, "sface"] > 0.99
        assert found[data, "lda"] > 0.9
        assert found[data, "lda"] > found[data, "pca"] > 0.7
        assert found[data, "lpp"] > 0.6
