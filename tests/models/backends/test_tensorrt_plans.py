"""Plans that TensorRT for RTX parses and builds, for which it needs no GPU; and their cache."""

from __future__ import annotations

import os
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType

import pytest

from models.assets import manifest
from models.backends import tensorrt_plans
from models.backends.half_precision import to_float16
from models.backends.nvidia_driver import Gpu
from models.errors import ModelError
from tests.models.support import networks

HERE = Gpu("RTX 4090", "8.9", "13.0", "NVRM version 580.82")


def _weights(plan: bytes) -> set[tuple[str, str]]:
    """The 3x3 convolutions' weights in a plan, as its own text lists them: dimensions and type."""
    found = re.findall(rb"dims=\{ (\d+ \d+ 3 3) \} name=[^=]*const\"[^\n]*? type=(\w+) \}", plan)
    return {(dimensions.decode(), kind.decode()) for dimensions, kind in found}


def test_a_plan_from_a_half_precision_graph_holds_half_layers(rtx: ModuleType, deblurring_path: Path) -> None:
    plan = tensorrt_plans.build(rtx, to_float16(deblurring_path))

    assert _weights(plan) == {(shape, "half") for shape in ("8 50 3 3", "16 8 3 3", "32 16 3 3", "12 8 3 3")}


def test_the_trained_network_becomes_a_plan_of_half_layers(rtx: ModuleType) -> None:
    kinds = {
        kind for _, kind in _weights(tensorrt_plans.build(rtx, to_float16(manifest.trained_network("deblur").path)))
    }
    assert kinds == {"half"}


def test_the_same_check_finds_float_layers_in_a_plan_from_a_float_graph(
    rtx: ModuleType, deblurring_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tensorrt_plans, "require_half", lambda layers: None)
    plan = tensorrt_plans.build(rtx, deblurring_path.read_bytes())

    assert _weights(plan) == {(shape, "float") for shape in ("8 50 3 3", "16 8 3 3", "32 16 3 3", "12 8 3 3")}


def test_a_float_graph_is_refused(rtx: ModuleType, deblurring_path: Path) -> None:
    with pytest.raises(ModelError, match=r"^4 of 4 heavy layers are not in half precision: \['Conv"):
        tensorrt_plans.build(rtx, deblurring_path.read_bytes())


def test_a_graph_without_heavy_layers_is_refused() -> None:
    with pytest.raises(ModelError, match="0 of 0 heavy layers"):
        tensorrt_plans.require_half([])


def test_the_error_of_the_parser_is_reported_in_its_words(rtx: ModuleType) -> None:
    with pytest.raises(ModelError, match=r"^tensorrt_rtx does not take the network: .*parse"):
        tensorrt_plans.build(rtx, b"no network")


def test_a_network_with_other_free_axes_is_refused(rtx: ModuleType, yunet_path: Path) -> None:
    with pytest.raises(ModelError, match="only the batch may be free"):
        tensorrt_plans.build(rtx, to_float16(yunet_path))


def test_the_embedder_builds_too(rtx: ModuleType, sface_path: Path) -> None:
    assert tensorrt_plans.build(rtx, to_float16(sface_path))


@pytest.mark.parametrize(
    "other",
    [
        ("tensorrt_rtx", "1.7.1", b"other network", HERE),
        ("tensorrt", "1.7.1", b"network", HERE),
        ("tensorrt_rtx", "1.7.2", b"network", HERE),
        *(("tensorrt_rtx", "1.7.1", b"network", HERE._replace(**{field: "other"})) for field in HERE._fields),
    ],
    ids=["network", "library", "version", *HERE._fields],
)
def test_whatever_a_plan_depends_on_changes_its_name(other: tuple[str, str, bytes, Gpu]) -> None:
    names = set()
    for module, version, network, gpu in (("tensorrt_rtx", "1.7.1", b"network", HERE), other):
        library = ModuleType(module)
        vars(library)["__version__"] = version
        names.add(tensorrt_plans.key(library, network, gpu))
    assert len(names) == 2


class Builds:
    """Counts the plans that are built."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        self._build = tensorrt_plans.build
        monkeypatch.setattr(tensorrt_plans, "build", self)

    def __call__(self, trt: ModuleType, network: bytes) -> bytes:
        self.count += 1
        return self._build(trt, network)


@pytest.fixture
def builds(monkeypatch: pytest.MonkeyPatch, empty_cache: Path) -> Builds:
    return Builds(monkeypatch)


def _file(cache: Path) -> Path:
    (file,) = (cache / "plans").glob("*.plan")
    return file


def test_a_plan_is_built_once_however_many_ask(rtx: ModuleType, builds: Builds, deblurring_path: Path) -> None:
    network = to_float16(deblurring_path)
    with ThreadPoolExecutor(4) as pool:
        plans = set(pool.map(lambda _: tensorrt_plans.plan(rtx, network, HERE), range(8)))

    assert len(plans) == builds.count == 1


def test_nothing_but_the_plan_is_left(
    rtx: ModuleType, builds: Builds, deblurring_path: Path, empty_cache: Path
) -> None:
    tensorrt_plans.plan(rtx, to_float16(deblurring_path), HERE)
    assert {file.suffix for file in (empty_cache / "plans").iterdir()} <= {".plan", ""}


@pytest.mark.parametrize("damage", ["a bit", "the end", "everything", "the header"])
def test_a_damaged_plan_is_built_again(
    rtx: ModuleType, builds: Builds, deblurring_path: Path, empty_cache: Path, damage: str
) -> None:
    network = to_float16(deblurring_path)
    tensorrt_plans.plan(rtx, network, HERE)
    file = _file(empty_cache)
    whole = file.read_bytes()
    middle = len(whole) // 2
    file.write_bytes(
        {
            "a bit": whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :],
            "the end": whole[:-1000],
            "everything": b"",
            "the header": b"\xff" + whole[1:],
        }[damage]
    )

    tensorrt_plans.plan(rtx, network, HERE)
    assert builds.count == 2
    assert tensorrt_plans.plan(rtx, network, HERE)
    assert builds.count == 2


def test_a_plan_of_another_network_in_its_place_is_built_again(
    rtx: ModuleType, builds: Builds, deblurring_path: Path, empty_cache: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.onnx"
    other.write_bytes(networks.deblurring(seed=1))
    tensorrt_plans.plan(rtx, to_float16(other), HERE)
    foreign = _file(empty_cache).rename(tmp_path / "foreign")
    tensorrt_plans.plan(rtx, to_float16(deblurring_path), HERE)
    foreign.replace(_file(empty_cache))

    tensorrt_plans.plan(rtx, to_float16(deblurring_path), HERE)
    assert builds.count == 3


def test_the_cache_keeps_the_newest_plans(builds: Builds, empty_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library = ModuleType("tensorrt_rtx")
    vars(library)["__version__"] = "1.7.1"
    monkeypatch.setattr(tensorrt_plans, "build", lambda trt, network: network)
    for age in range(tensorrt_plans.KEPT + 3):
        network = str(age).encode()
        tensorrt_plans.plan(library, network, HERE)
        file = empty_cache / "plans" / f"{tensorrt_plans.key(library, network, HERE)}.plan"
        os.utime(file, (age, age))

    kept = {file.stat().st_mtime for file in (empty_cache / "plans").glob("*.plan")}
    assert kept == set(range(3, tensorrt_plans.KEPT + 3))


def test_a_cache_that_cannot_be_used_is_one_line(empty_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    empty_cache.write_text("in the way")
    library = ModuleType("tensorrt_rtx")
    vars(library)["__version__"] = "1.7.1"
    monkeypatch.setattr(tensorrt_plans, "build", lambda trt, network: network)
    with pytest.raises(ModelError, match=r"^plans cannot be kept in .*plans: "):
        tensorrt_plans.plan(library, b"network", HERE)
