from __future__ import annotations

from pathlib import Path

import pytest

from deblur import kernels
from deblur.cnn import CNN
from deblur.deblurrers import FallbackDeblurrer, RichardsonLucyDeblurrer
from models.backends.selection import load
from models.backends.session import NetworkSession, Tensor
from models.errors import ModelError
from stream.values import FaceCrop
from tests.deblur.conftest import MakeCrop
from tests.models.support import networks


class Lost:
    """A real session whose device is lost after a number of passes."""

    backend = "lost"

    def __init__(self, session: NetworkSession, passes: int) -> None:
        self._session, self.passes, self.names = session, passes, session.names

    def run(self, *inputs: Tensor) -> list[Tensor]:
        self.passes -= 1
        if self.passes < 0:
            raise ModelError("the device is lost")
        return self._session.run(*inputs)


@pytest.fixture
def lost(tmp_path: Path) -> Lost:
    file = tmp_path / "random.onnx"
    file.write_bytes(networks.deblurring())
    return Lost(load(file, "onnxruntime"), 4)


@pytest.fixture
def crops(make_crop: MakeCrop) -> list[FaceCrop]:
    return [make_crop(kernels.line(12, 0), seed=seed) for seed in range(2)]


def test_after_a_failure_the_second_deblurrer_is_used_permanently(lost: Lost, crops: list[FaceCrop]) -> None:
    """Four runs of the session: one restoration of three passes, and the first pass of the next."""
    standby = FallbackDeblurrer(CNN(lost), RichardsonLucyDeblurrer())
    methods = [[each.method for each in standby.restore(crops)] for _ in range(3)]
    assert methods == [["cnn"] * 2, ["richardson-lucy"] * 2, ["richardson-lucy"] * 2]
    assert lost.passes == -1, "it is not asked again"


def test_an_error_is_raised_if_both_fail(lost: Lost, crops: list[FaceCrop]) -> None:
    lost.passes = 0
    standby = FallbackDeblurrer(CNN(lost), CNN(lost))
    for _ in range(2):
        with pytest.raises(ModelError, match="the device is lost"):
            standby.restore(crops)
