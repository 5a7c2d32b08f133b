"""Factory of the components that need a network: detector, embedder, recognizer, deblurrer, chosen by configuration."""

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
from models.backends.selection import Backend, NetworkSession, load, select_backend
from models.backends.tensorrt_backend import TensorRtSession
from models.errors import ModelError
from recognize.embedders.embedder import Embedder
from recognize.embedders.facenet import FaceNet
from recognize.embedders.fitted_embedder import FittedEmbedder, FittedMethod, TrainFusion, read_description
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
    """A network in use: its backend, why each preferred backend was rejected, and the sha256 of the loaded files by
    kind: `onnx`, and `plan` if TensorRT built one."""

    name: str
    backend: str
    passed_over: Mapping[str, str]
    files: Mapping[str, str] = field(default_factory=dict)


def fusion_trainer() -> TrainFusion:
    """Return the training function of the fusion CNN. Raises UsageError without torch."""
    try:
        from recognize.train.feature_fusion import learn  # noqa: PLC0415  torch is an extra
    except ImportError as error:
        raise UsageError(f"fusion-cnn needs the extra `train` ({error}): pip install 'unblur[train]'") from error
    return learn


class Components:
    """The components that need a network, each loaded on first use; `networks` lists the loaded ones."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self.networks: list[LoadedNetwork] = []
        cv2.setNumThreads(1)  # the stages run in parallel; threads within them would only compete

    def detector(self, confidence: float) -> Detector:
        """Make a detector for one camera; detectors of one kind share their network.

        `confidence` (0 to 1) is YuNet's minimum if the configuration sets none.
        """
        settings = self._config.detection
        match settings.detector:
            case "yunet":
                min_confidence = settings.min_confidence or confidence
                return YuNet(self._yunet, long_side=settings.size, min_confidence=min_confidence)
            case "mtcnn":
                min_confidence = settings.min_confidence or MTCNN_CONFIDENCE
                return MTCNN(long_side=settings.size, min_confidence=min_confidence)

    def still_detector(self) -> Detector:
        """Make a detector for photos, which searches for small and large faces at several scales."""
        return TiledDetector(self.detector(IN_STILLS))

    @cached_property
    def embedder(self) -> Embedder:
        """The configured embedder. Raises UsageError if the file of a fitted one cannot be used."""
        settings = self._config.recognition
        match settings.embedder:
            case "sface":
                return SFace(self._load("sface"), fingerprint("sface"))
            case "facenet":
                return load_facenet()
            case method:
                assert settings.fitted  # validated by the configuration
                return load_fitted(settings.fitted, method, self._config.backend)

    def recognizer(self) -> TrackRecognizer:
        """Make the recognizer with the configured gallery. Raises GalleryError if the gallery cannot be used."""
        settings = self._config.recognition
        return TrackRecognizer(self.embedder, self._gallery(settings.gallery), settings.threshold, settings.fpir)

    def _gallery(self, path: Path | None) -> Gallery:
        if path is None:
            return Gallery(self.embedder.fingerprint)
        return galleries.load_gallery(path, self.embedder.fingerprint, cipher=self.cipher)

    @cached_property
    def cipher(self) -> Cipher | None:
        """The cipher of the configured key, None without one. Raises UsageError for an invalid key."""
        key = self._config.encryption.key
        return Cipher(key) if key else None

    def deblurrer(self, shutters: Mapping[str, float] | None = None, settings: Deblurring | None = None) -> Deblurrer:
        """Make the deblurrer. `shutters` are the known exposures by camera, as fractions of the frame time; `settings`
        replace the configuration's.

        Raises ModelError if the network is required and its file is not the pinned one, or no backend runs it.
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
                return self._deblurrer_with_fallback(shutters, settings.passes)
            case _:
                return RichardsonLucyDeblurrer(shutters)

    def _deblurrer_with_fallback(self, shutters: Mapping[str, float] | None, passes: int) -> Deblurrer:
        """Make the network with Richardson-Lucy as fallback; Richardson-Lucy alone if the network cannot run."""
        try:
            return FallbackDeblurrer(CNN(self._network, shutters, REACH, passes), RichardsonLucyDeblurrer(shutters))
        except ModelError as error:
            _log.warning("the deblurring network cannot run: Richardson-Lucy takes its place", reason=str(error))
            self.networks.append(LoadedNetwork("deblur", "richardson-lucy", {self._config.backend: str(error)}))
            return RichardsonLucyDeblurrer(shutters)

    @cached_property
    def _network(self) -> NetworkSession:
        pinned = manifest.trained_network("deblur")
        return self._select_backend("deblur", pinned.path, pinned.sha256)

    @cached_property
    def _yunet(self) -> NetworkSession:
        return self._load("yunet")

    def _load(self, name: str) -> NetworkSession:
        with download_bar() as progress:
            path = fetch(name, progress=progress)
        return self._select_backend(name, path, prepared_sha256(name))

    def _select_backend(self, name: str, path: Path, sha256: str) -> NetworkSession:
        session, passed_over = select_backend(path, self._config.backend, sha256=sha256)
        plan = {"plan": session.plan_sha256} if isinstance(session, TensorRtSession) else {}
        self.networks.append(LoadedNetwork(name, session.backend, passed_over, {"onnx": sha256, **plan}))
        return session


def load_facenet() -> FaceNet:
    """Load FaceNet, downloaded if it is not cached. Raises ModelError if it cannot be downloaded."""
    with download_bar() as progress:
        return FaceNet(fetch_judge("facenet", progress=progress), manifest.judge("facenet").sha256)


def load_fitted(path: Path, method: FittedMethod, backend: Backend) -> FittedEmbedder:
    """Load a fitted embedder from a file. Raises UsageError if the file was not made by `unblur fit`, or with another
    method; ModelError."""
    description = read_description(path, method)
    return FittedEmbedder(load(path, backend), description)
