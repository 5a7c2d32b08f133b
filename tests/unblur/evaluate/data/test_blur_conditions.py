from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from deblur import kernels
from stream.errors import SourceError, UsageError
from stream.values import Image
from unblur.evaluate.data.blur_conditions import load_conditions, select_conditions
from unblur.evaluate.experiments import methods


def test_all_conditions_of_the_protocol_exist(data: Path) -> None:
    assert list(load_conditions(data)) == [
        *("none", "box5", "disk3", "line9", "line13", "line19", "line27", "line37"),
        *("traj13", "traj19", "traj27", "traj37", "levin", "h264", "low"),
    ]


def test_same_seed_gives_the_same_shots_for_each_condition(data: Path, faces: dict[str, Image]) -> None:
    pictures = list(faces.values())[:2]
    for name, condition in load_conditions(data).items():
        one, other = condition.make_shots(pictures, 3), load_conditions(data)[name].make_shots(pictures, 3)
        assert all((a.image == b.image).all() and (a.kernel == b.kernel).all() for a, b in zip(one, other, strict=True))
        assert (one[0].image != condition.make_shots(pictures, 4)[0].image).any()
        assert one[0].image.shape == pictures[0].shape


def test_each_condition_degrades_as_its_name_says(data: Path, faces: dict[str, Image]) -> None:
    picture = faces["astronaut.png"]
    for name, condition in load_conditions(data).items():
        shot = condition.make_shots([picture], 0)[0]
        assert abs(float(shot.image.mean()) - float(picture.mean())) < 1.5, f"{name} changes the brightness"
        assert condition.straight == (shot.motion is not None) == name.startswith("line")
    errors = {
        name: _error(picture, each.make_shots([picture], 0)[0].image) for name, each in load_conditions(data).items()
    }
    assert errors["none"] < 4 < errors["box5"]
    assert errors["line9"] < errors["line19"] < errors["line37"]
    assert errors["traj13"] < errors["traj37"]


def _error(one: Image, other: Image) -> float:
    return float(np.sqrt(np.square(one.astype(float) - other).mean()))


def test_known_motion_has_the_true_direction_and_a_length_off_by_a_fifth_at_most(
    data: Path, faces: dict[str, Image]
) -> None:
    shots = load_conditions(data)["line19"].make_shots([faces["biden.jpg"]] * 40, 0)
    shares = []
    for shot in shots:
        assert shot.motion is not None
        _, axes = np.linalg.eigh(kernels.covariance(shot.kernel))
        assert abs(axes[:, 1] @ shot.motion) == pytest.approx(np.hypot(*shot.motion), rel=1e-3)
        shares.append(np.hypot(*shot.motion) / 19)
    assert 0.8 <= min(shares) < 0.9
    assert 1.1 < max(shares) <= 1.2


def test_kernel_and_motion_follow_the_crop(data: Path, faces: dict[str, Image]) -> None:
    shot = load_conditions(data)["line19"].make_shots([faces["biden.jpg"]], 0)[0]
    assert shot.motion is not None
    quarter_turn = np.array([[0, -0.5, 9], [0.5, 0, 7]], np.float32)
    probe = methods.make_probe(shot.image[:128, :128], quarter_turn, shot.kernel, shot.motion)
    assert probe.crop.velocity is None, "blind rows must not get the motion"
    assert probe.motion == pytest.approx((-0.5 * shot.motion[1], 0.5 * shot.motion[0]))
    assert kernels.extent(probe.kernel) == pytest.approx(9.5, abs=0.5)


def test_conditions_are_selected_by_name_in_their_order(data: Path) -> None:
    every = load_conditions(data)
    assert [each.name for each in select_conditions(every, ["traj19", "none"])] == ["none", "traj19"]
    assert select_conditions(every, []) == list(every.values())
    with pytest.raises(UsageError, match="no condition is called 'traj20': there are none, box5"):
        select_conditions(every, ["traj20"])


def test_missing_or_broken_kernels_raise_with_their_path(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"cannot read the measured kernels .*levin09\.npz"):
        load_conditions(tmp_path)
    (tmp_path / "kernels").mkdir()
    (tmp_path / "kernels/levin09.npz").write_bytes(b"PK not a zip")
    with pytest.raises(SourceError, match="cannot read the measured kernels"):
        load_conditions(tmp_path)
