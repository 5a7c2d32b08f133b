"""From a configuration to a running pipeline: the one place where parts are chosen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import cv2
import structlog

from configs.schema import Config, Deblurring
from deblur.cnn import CNN, REACH
from deblur.deblurrers import BoxKernelDeblurrer, FallbackDeblurrer, PassThrough, RichardsonLucyDeblurrer
from detectors.mtcnn import MTCNN
from detectors.yunet import IN_STILLS, YuNet
from models.assets import manifest
from models.assets.fetch import fetch, fetch_judge, fingerprint, prepared_sha256
from models.backends.selection import Backend, Session, load, select_backend
from models.backends.tensorrt_backend import TensorRtSession
from models.errors import ModelError
from recognize.embedders.embedder import Embedder
from recognize.embedders.facenet import FaceNet
from recognize.embedders.fitted_embedder import FittedEmbedder, Method, TrainFusion, read_description
from recognize.embedders.sface import SFace
from recognize.gallery import people_gallery as galleries
from recognize.gallery.people_gallery import Gallery
from recognize.track_recognizer import TrackRecognizer
from stream.errors import UsageError
from stream.interfaces import Deblurrer, Detector
from stream.storage.encryption import Cipher
from stream.tracking.tiled_detection import TiledDetector
from unblur.terminal import download_bar

MTCNN_CONFIDENCE = 0.9

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class LoadedNetwork:
    """A network in use: what runs it, why what would have been better does not, and the sha256 of the files that were
    loaded, by kind: `onnx`, and `plan` where TensorRT built one of it."""

    name: str
    backend: str
    passed_over: Mapping[str, str]
    files: Mapping[str, str] = field(default_factory=dict)


def fusion_trainer() -> TrainFusion:
    """The training of the fusion CNN. Raises UsageError without torch."""
    try:
        from recognize.train.feature_fusion import learn  # noqa: PLC0415  torch is an extra
    except ImportError as error:
        raise UsageError(f"fusion-cnn needs the extra `train` ({error}): pip install 'unblur[train]'") from error
    return learn


class Components:
    """The parts that need a network, each loaded when it is first asked for; `networks` are those that were."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self.networks: list[LoadedNetwork] = []
        cv2.setNumThreads(1)  # the stages run beside each other; threads within them would only get in the way

    def detector(self, confidence: float) -> Detector:
        """A detector for one camera; those of one kind share their network.

        `confidence` is what YuNet is to ask for where the configuration does not say.
        """
        settings = self._config.detection
        match settings.detector:
            case "yunet":
                least = settings.min_confidence or confidence
                return YuNet(self._yunet, long_side=settings.size, min_confidence=least)
            case "mtcnn":
                least = settings.min_confidence or MTCNN_CONFIDENCE
                return MTCNN(long_side=settings.size, min_confidence=least)

    def still_detector(self) -> Detector:
        """A detector for single pictures, in which small faces and large ones are looked for with patience."""
        return TiledDetector(self.detector(IN_STILLS))

    @cached_property
    def embedder(self) -> Embedder:
        """Raises UsageError if the file of a fitted one cannot be used."""
        settings = self._config.recognition
        match settings.embedder:
            case "sface":
                return SFace(self._load("sface"), fingerprint("sface"))
            case "facenet":
                return facenet()
            case method:
                assert settings.fitted  # the configuration has seen to it
                return fitted(settings.fitted, method, self._config.backend)

    def recognizer(self) -> TrackRecognizer:
        """Raises GalleryError if the gallery cannot be used."""
        settings = self._config.recognition
        return TrackRecognizer(self.embedder, self._gallery(settings.gallery), settings.threshold, settings.fpir)

    def _gallery(self, path: Path | None) -> Gallery:
        if path is None:
            return Gallery(self.embedder.fingerprint)
        return galleries.load_gallery(path, self.embedder.fingerprint, cipher=self.cipher)

    @cached_property
    def cipher(self) -> Cipher | None:
        """Raises UsageError for a key that is none."""
        key = self._config.encryption.key
        return Cipher(key) if key else None

    def deblurrer(self, shutters: Mapping[str, float] | None = None, settings: Deblurring | None = None) -> Deblurrer:
        """What restores crops; `shutters` are the cameras', where they are given, and `settings` stand in for the
        configuration's.

        Raises ModelError if the network that is asked for is not the pinned one, or nothing runs it.
        """
        settings = settings or self._config.deblur
        match settings.mode, settings.preset:
            case "off", _:
                return PassThrough()
            case "cnn", _:
                return CNN(self._network, shutters, passes=settings.passes)
            case _, "box5":
                return BoxKernelDeblurrer()
            case "auto", _:
                return self._best(shutters, settings.passes)
            case _:
                return RichardsonLucyDeblurrer(shutters)

    def _best(self, shutters: Mapping[str, float] | None, looks: int) -> Deblurrer:
        """The network, helped by Richardson-Lucy; Richardson-Lucy alone where the network cannot run."""
        try:
            return FallbackDeblurrer(CNN(self._network, shutters, REACH, looks), RichardsonLucyDeblurrer(shutters))
        except ModelError as error:
            _log.warning("the deblurring network cannot run: Richardson-Lucy takes its place", reason=str(error))
            self.networks.append(LoadedNetwork("deblur", "richardson-lucy", {self._config.backend: str(error)}))
            return RichardsonLucyDeblurrer(shutters)

    @cached_property
    def _network(self) -> Session:
        pinned = manifest.trained_network("deblur")
        return self._chosen("deblur", pinned.path, pinned.sha256)

    @cached_property
    def _yunet(self) -> Session:
        return self._load("yunet")

    def _load(self, name: str) -> Session:
        with download_bar() as progress:
            path = fetch(name, progress=progress)
        return self._chosen(name, path, prepared_sha256(name))

    def _chosen(self, name: str, path: Path, sha256: str) -> Session:
        session, passed_over = select_backend(path, self._config.backend, sha256=sha256)
        plan = {"plan": session.plan_sha256} if isinstance(session, TensorRtSession) else {}
        self.networks.append(LoadedNetwork(name, session.backend, passed_over, {"onnx": sha256, **plan}))
        return session


def facenet() -> FaceNet:
    """Downloaded if need be. Raises ModelError if it cannot be had."""
    with download_bar() as progress:
        return FaceNet(fetch_judge("facenet", progress=progress), manifest.judge("facenet").sha256)


def fitted(path: Path, method: Method, backend: Backend) -> FittedEmbedder:
    """The embedder in a file. Raises UsageError if it was not made by `unblur fit` or by another method, ModelError."""
    description = read_description(path, method)
    return FittedEmbedder(load(path, backend), description)
