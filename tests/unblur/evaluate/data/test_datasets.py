from __future__ import annotations

import gzip
import tarfile
from pathlib import Path

import numpy as np
import pytest

from detectors.alignment import align, share_inside
from detectors.yunet import YuNet
from stream.errors import SourceError
from stream.values import Image
from tests.unblur.evaluate.conftest import ROLES, pack
from unblur.evaluate.data.archives import crop_center, read
from unblur.evaluate.data.datasets import MARGIN, load_split, read_roles


def test_test_split_is_taken_as_it_is_laid_out(data: Path, detector: YuNet) -> None:
    who = load_split(data, "test", detector)
    assert who.people == ["Barack_Obama", "Joe_Biden"]
    assert [each.person for each in who.gallery] == ["Barack_Obama", "Barack_Obama", "Joe_Biden"]
    assert who.labels(who.probes).tolist() == [0, 1]
    assert [each.person for each in who.non_mated] == ["Eileen_Collins"]
    assert who.faceless == 0


def test_photographs_are_continued_so_that_no_crop_has_a_black_edge(data: Path, detector: YuNet) -> None:
    who = load_split(data, "test", detector)
    photograph = who.probes[0]
    assert photograph.image.shape == (160 + 2 * MARGIN, 160 + 2 * MARGIN, 3)
    crop, matrix = align(photograph.image, photograph.landmarks)
    assert share_inside(photograph.image, matrix) == 1
    assert crop[[0, -1]].max(2).min() > 0


def test_points_lie_on_the_face_of_the_continued_photograph(data: Path, detector: YuNet) -> None:
    photograph = load_split(data, "test", detector).probes[0]
    found = min(
        detector.detect(photograph.image), key=lambda face: float(np.abs(face.landmarks - photograph.landmarks).max())
    )
    assert np.abs(found.landmarks - photograph.landmarks).max() < 10, "not off by the margin"


def test_val_split_is_divided(data: Path, detector: YuNet) -> None:
    who = load_split(data, "val", detector)
    assert who.people == ["Barack_Obama"]
    assert (len(who.gallery), len(who.probes)) == (2, 1)
    assert [each.person for each in who.non_mated] == ["Joe_Biden"]


def test_every_second_person(data: Path, detector: YuNet) -> None:
    assert load_split(data, "test", detector, every=2).people == ["Barack_Obama"]


def test_photographs_without_a_face_are_left_out_and_counted(
    tmp_path: Path, faces: dict[str, Image], detector: YuNet
) -> None:
    images = {name: crop_center(faces[file], 160) for name, file in ROLES.items()}
    images["strangers/Nobody_0001.jpg"] = np.full((160, 160, 3), 90, np.uint8)
    images["people/Joe_Biden/gallery/Joe_Biden_0001.jpg"] = images["strangers/Nobody_0001.jpg"]
    pack(tmp_path / "test/lfw160.tar", images)
    who = load_split(tmp_path, "test", detector)
    assert who.people == ["Barack_Obama"]
    assert {each.person for each in who.probes} == {"Barack_Obama"}, "who has no gallery is not probed"
    assert who.faceless == 2


@pytest.mark.parametrize("split", ["test", "val"])
def test_archive_of_another_layout_is_refused(
    tmp_path: Path, faces: dict[str, Image], detector: YuNet, split: str
) -> None:
    pack(tmp_path / split / "lfw160.tar", {"one/photo.jpg": crop_center(faces["biden.jpg"], 160)})
    with pytest.raises(SourceError, match=r"lfw160\.tar is not laid out as "):
        load_split(tmp_path, split, detector)  # type: ignore[arg-type]


def test_broken_archives_are_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"cannot read the photographs .*absent\.tar: No such file"):
        read(tmp_path / "absent.tar")
    (tmp_path / "text.tar").write_text("no archive")
    with pytest.raises(SourceError, match=r"^cannot read the photographs .*text\.tar: [^\n]+$"):
        read(tmp_path / "text.tar")
    pack(tmp_path / "whole.tar", {"noise.jpg": np.random.default_rng(0).integers(0, 256, (99, 99, 3), np.uint8)})
    (tmp_path / "cut.tar").write_bytes(gzip.compress((tmp_path / "whole.tar").read_bytes())[:-999])
    with pytest.raises(SourceError, match=r"^cannot read the photographs .*cut\.tar: [^\n]+$"):
        read(tmp_path / "cut.tar")
    pack(tmp_path / "empty.tar", {})
    with pytest.raises(SourceError, match="there are no photographs"):
        read(tmp_path / "empty.tar")


def test_an_empty_photograph_is_named(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "empty.tar", "w") as tar:
        tar.addfile(tarfile.TarInfo("nothing.jpg"))
    with pytest.raises(SourceError, match=r"holds nothing\.jpg, which is not a picture"):
        read(tmp_path / "empty.tar")


def test_what_is_not_a_picture_is_named(tmp_path: Path, data: Path) -> None:
    broken = bytearray((data / "test/ffhq192.tar").read_bytes())
    broken[512:640] = bytes(128)
    (tmp_path / "broken.tar").write_bytes(broken)
    with pytest.raises(SourceError, match=r"holds astronaut\.png\.jpg, which is not a picture"):
        read(tmp_path / "broken.tar")


def test_folder_is_read_like_an_archive(data: Path, tmp_path: Path) -> None:
    with tarfile.open(data / "test/lfw160.tar") as tar:
        for name in tar.getnames():  # `extractall` asks for a filter on some Pythons, and others know none
            content = tar.extractfile(name)
            assert content
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_bytes(content.read())
    packed, unpacked = read_roles(data / "test/lfw160.tar"), read_roles(tmp_path)
    for role, portraits in packed.items():
        assert [each[:2] for each in unpacked[role]] == [each[:2] for each in portraits]
        assert all(np.array_equal(one.image, two.image) for one, two in zip(unpacked[role], portraits, strict=True))
    assert packed["probe"][0][:2] == ("Barack_Obama", "Barack_Obama_0003.jpg")
