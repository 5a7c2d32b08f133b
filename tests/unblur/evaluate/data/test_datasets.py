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


def test_the_test_split_follows_the_folders(data: Path, detector: YuNet) -> None:
    split = load_split(data, "test", detector)
    assert split.people == ["Barack_Obama", "Joe_Biden"]
    assert [each.person for each in split.gallery] == ["Barack_Obama", "Barack_Obama", "Joe_Biden"]
    assert split.labels(split.probes).tolist() == [0, 1]
    assert [each.person for each in split.non_mated] == ["Eileen_Collins"]
    assert split.faceless == 0


def test_photographs_are_extended_so_that_no_crop_has_a_black_edge(data: Path, detector: YuNet) -> None:
    split = load_split(data, "test", detector)
    photograph = split.probes[0]
    assert photograph.image.shape == (160 + 2 * MARGIN, 160 + 2 * MARGIN, 3)
    crop, matrix = align(photograph.image, photograph.landmarks)
    assert share_inside(photograph.image, matrix) == 1
    assert crop[[0, -1]].max(2).min() > 0


def test_points_are_on_the_face_of_the_extended_photograph(data: Path, detector: YuNet) -> None:
    photograph = load_split(data, "test", detector).probes[0]
    face = min(
        detector.detect(photograph.image), key=lambda face: float(np.abs(face.landmarks - photograph.landmarks).max())
    )
    assert np.abs(face.landmarks - photograph.landmarks).max() < 10, "not off by the margin"


def test_the_val_split_is_divided(data: Path, detector: YuNet) -> None:
    split = load_split(data, "val", detector)
    assert split.people == ["Barack_Obama"]
    assert (len(split.gallery), len(split.probes)) == (2, 1)
    assert [each.person for each in split.non_mated] == ["Joe_Biden"]


def test_every_takes_each_nth_person(data: Path, detector: YuNet) -> None:
    assert load_split(data, "test", detector, every=2).people == ["Barack_Obama"]


def test_photographs_without_a_face_are_skipped_and_counted(
    tmp_path: Path, faces: dict[str, Image], detector: YuNet
) -> None:
    images = {name: crop_center(faces[file], 160) for name, file in ROLES.items()}
    images["strangers/Nobody_0001.jpg"] = np.full((160, 160, 3), 90, np.uint8)
    images["people/Joe_Biden/gallery/Joe_Biden_0001.jpg"] = images["strangers/Nobody_0001.jpg"]
    pack(tmp_path / "test/lfw160.tar", images)
    split = load_split(tmp_path, "test", detector)
    assert split.people == ["Barack_Obama"]
    assert {each.person for each in split.probes} == {"Barack_Obama"}, (
        "people without a gallery photograph have no probes"
    )
    assert split.faceless == 2


@pytest.mark.parametrize("split", ["test", "val"])
def test_an_archive_of_another_layout_raises(
    tmp_path: Path, faces: dict[str, Image], detector: YuNet, split: str
) -> None:
    pack(tmp_path / split / "lfw160.tar", {"one/photo.jpg": crop_center(faces["biden.jpg"], 160)})
    with pytest.raises(SourceError, match=r"lfw160\.tar is not laid out as "):
        load_split(tmp_path, split, detector)  # type: ignore[arg-type]


def test_a_broken_archive_raises_with_its_path(tmp_path: Path) -> None:
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


def test_an_empty_photograph_raises_with_its_name(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "empty.tar", "w") as tar:
        tar.addfile(tarfile.TarInfo("nothing.jpg"))
    with pytest.raises(SourceError, match=r"holds nothing\.jpg, which is not a picture"):
        read(tmp_path / "empty.tar")


def test_a_file_that_is_no_image_raises_with_its_name(tmp_path: Path, data: Path) -> None:
    broken = bytearray((data / "test/ffhq192.tar").read_bytes())
    broken[512:640] = bytes(128)
    (tmp_path / "broken.tar").write_bytes(broken)
    with pytest.raises(SourceError, match=r"holds astronaut\.png\.jpg, which is not a picture"):
        read(tmp_path / "broken.tar")


def test_a_folder_is_read_like_an_archive(data: Path, tmp_path: Path) -> None:
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
