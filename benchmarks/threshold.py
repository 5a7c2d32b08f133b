"""Measures the thresholds and rules of recognition on `val` (never on `test` or the clips).

    python -m benchmarks.threshold --data ../shared/data
    python -m benchmarks.threshold --data ../shared/data --rule ENOUGH=1    another value for a constant of the rules

Stills: the last photo of each of the 200 people of val/lfw160, sharp, against galleries of the
remaining photos. Tracks: three views of it, misaligned, blurred by a line or a camera shake of the given length (pixels
of the aligned crop) or shrunk, noisy (sigma 0.01) and compressed, recognized view by view by `TrackRecognizer`, without
restoration, with Richardson-Lucy and with the network. Deblurrers get a line's velocity with an error of 10 % and 5
degrees, and nothing about a shake. A non-mated track counts as named if it had any name at any time; a mated one by its
last name.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from deblur import kernels
from deblur.cnn import CNN
from deblur.deblurrers import PassThrough, RichardsonLucyDeblurrer
from detectors.alignment import SIDE, align, quality, similarity
from detectors.yunet import YuNet
from models.assets import manifest
from models.assets.fetch import fetch, fingerprint
from models.backends.selection import NetworkSession, load
from recognize import decision, restoration_fusion, track_recognizer
from recognize.embedders.sface import SFace
from recognize.gallery.calibration import threshold_for
from recognize.gallery.people_gallery import Gallery
from recognize.gallery.person import Person
from recognize.track_recognizer import TrackRecognizer
from stream.interfaces import Deblurrer
from stream.results import Identity
from stream.values import Array, FaceCrop, Image, Restoration
from unblur.evaluate.data import archives as photographs

SIZES = (10, 20, 40, 80, 100, 150)
RATES = (0.003, 0.01, 0.05, 0.1)
"""Allowed shares of non-mated probes with a name (FPIR)."""
LENGTHS = (0, 9, 15, 21, 27)
SHAKES = (14, 20, 28)
SHRUNK = (4, 6)
VIEWS = 3
TRACK_GALLERY = 40
SHUTTER = 0.5
JPEG_QUALITY = 75


@dataclass(frozen=True)
class SharpPhoto:
    person: str
    image: Image
    landmarks: Array


class IdentificationShares(NamedTuple):
    """Shares of mated probes named rightly and wrongly, and of non-mated probes given a name; and the similarity that
    1 % of the non-mated probes reach."""

    right: float
    wrong: float
    non_mated: float
    reached: float

    @classmethod
    def of(
        cls, ends: Sequence[tuple[str, str | None]], non_mated: Sequence[bool], scores: Sequence[float]
    ) -> IdentificationShares:
        """Count. `ends`: true and last name of each mated probe; `non_mated`, `scores`: was it named, and its score."""
        return cls(
            float(np.mean([given == name for name, given in ends])),
            float(np.mean([given not in (name, None) for name, given in ends])),
            float(np.mean(non_mated)),
            float(np.quantile(scores, 0.99)),
        )


class CachedSFace(SFace):
    """SFace with a cache: embeds each image once."""

    def __init__(self, embedder: SFace) -> None:
        super().__init__(embedder._session, embedder.fingerprint)
        self._cache: dict[int, tuple[Image, Array]] = {}

    def embed(self, images: Sequence[Image]) -> Array:
        for image in images:
            if id(image) not in self._cache:
                self._cache[id(image)] = image, super().embed([image])[0]
        return np.stack([self._cache[id(image)][1] for image in images])


def read_photos(archive: Path, detector: YuNet) -> list[SharpPhoto]:
    """Read the archive's photos, sorted by name, with the points of the largest face; skip photos without a face."""
    photos = []
    for name, image in photographs.read(archive).items():
        margin = image.shape[0] // 2
        framed = np.pad(image, ((margin, margin), (margin, margin), (0, 0)))
        if faces := detector.detect(framed):
            face = max(faces, key=lambda face: face.box.area)
            photos.append(SharpPhoto(Path(name).parent.name, image, face.landmarks - np.float32(margin)))
    return photos


class BlurSetting(NamedTuple):
    """A line or a camera shake of a length in crop pixels; or a photo shrunk by `shrunk` on each axis."""

    length: float
    shaken: bool
    shrunk: int = 1

    @property
    def name(self) -> str:
        return (
            f"every {self.shrunk}th pixel"
            if self.shrunk > 1
            else f"{'shake of ' if self.shaken else ''}{self.length} px"
        )

    def draw(self, matrix: Array, rng: np.random.Generator) -> tuple[Array, tuple[float, float] | None]:
        """Draw the kernel in photo pixels (`matrix` maps photo to crop), and the velocity that a tracker measures."""
        if self.shaken:
            return kernels.trajectory(self.length / np.hypot(*matrix[:, 0]), rng), None
        angle = rng.uniform(0, 2 * np.pi)
        motion = np.array([np.cos(angle), np.sin(angle)], np.float32) * self.length
        kernel = kernels.line(*np.linalg.inv(matrix[:, :2]) @ motion)
        return kernel, _measured_velocity(motion, rng) if self.length else None


BLURS = (
    *(BlurSetting(length, False) for length in LENGTHS),
    *(BlurSetting(length, True) for length in SHAKES),
    *(BlurSetting(0, False, shrunk) for shrunk in SHRUNK),
)


def make_view(photo: SharpPhoto, blur: BlurSetting, track: int, rng: np.random.Generator) -> FaceCrop:
    """Simulate a camera's view of the face."""
    points = photo.landmarks + rng.normal(0, 1, photo.landmarks.shape).astype(np.float32)
    kernel, motion = blur.draw(similarity(points), rng)
    light = _shrink(kernels.blur(photo.image, kernel), blur.shrunk)
    image = _compress(kernels.add_sensor_noise(light, 0.01, rng))
    crop, matrix = align(image, points)
    return FaceCrop(
        camera=blur.name,
        track=track,
        frame=0,
        pts_s=0.0,
        image=crop,
        matrix=matrix,
        velocity=motion,
        quality=quality(crop, points, matrix),
    )


def _shrink(light: Array, by: int) -> Array:
    """Shrink an image and enlarge it again."""
    height, width = light.shape[:2]
    small = cv2.resize(light, (max(1, width // by), max(1, height // by)), interpolation=cv2.INTER_AREA)
    return light if by == 1 else np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC))


def _compress(image: Image) -> Image:
    _, encoded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR), np.uint8)


def _measured_velocity(motion: Array, rng: np.random.Generator) -> tuple[float, float]:
    """Add a tracker's error to a motion: crop pixels per frame."""
    turn, stretch = rng.normal(0, np.radians(5)), np.exp(rng.normal(0, 0.1)) / SHUTTER
    x, y = stretch * motion
    return float(np.cos(turn) * x - np.sin(turn) * y), float(np.sin(turn) * x + np.cos(turn) * y)


@dataclass(frozen=True)
class PhotoSplit:
    """The people's gallery photos (`enrolled`) and one probe photo each (`probes`)."""

    enrolled: dict[str, Person]
    probes: dict[str, SharpPhoto]

    def draw_galleries(self, size: int, repeats: int, fingerprint: str) -> Iterator[tuple[Gallery, list[str]]]:
        """Yield galleries of random people, each with the names of the people outside it."""
        rng, names = np.random.default_rng(0), sorted(self.enrolled)
        for _ in range(repeats):
            order = [names[index] for index in rng.permutation(len(names))]
            yield Gallery(fingerprint, {name: self.enrolled[name] for name in order[:size]}), order[size:]


def split_photos(photos: Sequence[SharpPhoto], embedder: SFace) -> PhotoSplit:
    by_person: dict[str, list[SharpPhoto]] = {}
    for photo in photos:
        by_person.setdefault(photo.person, []).append(photo)
    several = {name: photos for name, photos in by_person.items() if len(photos) > 1}
    crops = {name: [align(photo.image, photo.landmarks)[0] for photo in part[:-1]] for name, part in several.items()}
    return PhotoSplit(
        {name: Person(embedder.embed(part)) for name, part in crops.items()},
        {name: part[-1] for name, part in several.items()},
    )


def identify_stills(people: PhotoSplit, embedder: SFace, size: int, repeats: int) -> IdentificationShares:
    """Identify sharp probes in galleries of `size` people, at the threshold for that size."""
    sharp = {name: align(photo.image, photo.landmarks)[0] for name, photo in people.probes.items()}
    embeddings = dict(zip(sharp, embedder.embed(list(sharp.values())), strict=True))
    best: list[float] = []
    ends: list[tuple[str, str | None]] = []
    for gallery, non_mated in people.draw_galleries(size, repeats, embedder.fingerprint):
        best += gallery.scores(np.stack([embeddings[name] for name in non_mated])).max(1).tolist()
        rankings = gallery.match(np.stack([embeddings[name] for name in gallery.names]))
        given = [first.name if first.score >= threshold_for(size) else None for first, *_ in rankings]
        ends += zip(gallery.names, given, strict=True)
    return IdentificationShares.of(ends, [score >= threshold_for(size) for score in best], best)


def similarity_row(people: PhotoSplit, embedder: SFace, size: int, repeats: int) -> str:
    """Format means over galleries: mean and standard deviation of the sharp non-mated probes' best similarity, mean
    similarity of the enrolled to each other, and the share of non-mated probes named at the thresholds for RATES."""
    crops = {name: align(photo.image, photo.landmarks)[0] for name, photo in people.probes.items()}
    faces = dict(zip(crops, embedder.embed(list(crops.values())), strict=True))
    rows = []
    for gallery, non_mated in people.draw_galleries(size, repeats, embedder.fingerprint):
        best = gallery.scores(np.stack([faces[name] for name in non_mated])).max(1)
        named = [(best >= threshold_for(size, rate)).mean() for rate in RATES]
        rows.append([best.mean(), best.std(), gallery.calibration.mean_impostor_score, *named])
    means = np.mean(rows, 0)
    return " | ".join([f"{size}", *(f"{value:.3f}" for value in means[:3]), *(f"{value:.4f}" for value in means[3:])])


def identify_tracks(
    people: PhotoSplit, embedder: SFace, views: dict[str, list[Restoration]], repeats: int
) -> IdentificationShares:
    """Identify each person's track, view by view."""
    ends: list[tuple[str, str | None]] = []
    named: list[bool] = []
    scores: list[float] = []
    for gallery, non_mated in people.draw_galleries(TRACK_GALLERY, repeats, embedder.fingerprint):
        ends += [(name, _recognize(views[name], embedder, gallery)[-1].name) for name in gallery.names]
        recognized = [_recognize(views[name], embedder, gallery) for name in non_mated]
        named += [any(each.name for each in identities) for identities in recognized]
        scores += [identities[-1].score for identities in recognized]
    return IdentificationShares.of(ends, named, scores)


def pose_report(people: PhotoSplit, embedder: SFace, repeats: int) -> str:
    """Report the best similarity in a gallery of TRACK_GALLERY people that 1 % of sharp non-mated probes reach: of the
    third with the least frontal pose and the third with the most frontal pose."""
    crops = {name: align(photo.image, photo.landmarks) for name, photo in people.probes.items()}
    faces = dict(zip(crops, embedder.embed([image for image, _ in crops.values()]), strict=True))
    pose = {
        name: quality(crops[name][0], photo.landmarks, crops[name][1]).pose for name, photo in people.probes.items()
    }
    order = sorted(pose, key=lambda name: pose[name])
    thirds = {name: 3 * index // len(order) for index, name in enumerate(order)}
    reached: list[list[float]] = [[], [], []]
    for gallery, non_mated in people.draw_galleries(TRACK_GALLERY, repeats, embedder.fingerprint):
        for name, best in zip(
            non_mated, gallery.scores(np.stack([faces[each] for each in non_mated])).max(1), strict=True
        ):
            reached[thirds[name]].append(float(best))
    away, _, frontal = (f"{np.quantile(each, 0.99):.3f}" for each in reached)
    return f"sharp non-mated probes, least frontal third: 1 % reach {away}; most frontal third: {frontal}"


def _recognize(views: Sequence[Restoration], embedder: SFace, gallery: Gallery) -> list[Identity]:
    return TrackRecognizer(embedder, gallery).observe(views)


def restore_views(people: PhotoSplit, blur: BlurSetting, deblurrer: Deblurrer) -> dict[str, list[Restoration]]:
    rng = np.random.default_rng(round(blur.length))
    return {
        name: deblurrer.restore([make_view(photo, blur, track, rng) for _ in range(VIEWS)])
        for track, (name, photo) in enumerate(people.probes.items())
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the shared research data")
    parser.add_argument("--repeats", type=int, default=20, help="random galleries for each row")
    parser.add_argument(
        "--rule",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="of recognize.decision, restoration_fusion or track_recognizer",
    )
    parser.add_argument("--network", type=Path, help="an ONNX file; without it the one that comes with unblur")
    arguments = parser.parse_args()
    for rule in arguments.rule:
        name, value = rule.split("=")
        setattr(
            next(each for each in (decision, restoration_fusion, track_recognizer) if hasattr(each, name)),
            name,
            float(value),
        )
    detector = YuNet(load(fetch("yunet"), "onnxruntime"))
    embedder = CachedSFace(SFace(load(fetch("sface"), "onnxruntime"), fingerprint("sface")))
    network = load(arguments.network or manifest.trained_network("deblur").path)
    people = split_photos(read_photos(arguments.data / "val/lfw160.tar", detector), embedder)
    print(f"val/lfw160: {len(people.probes)} people; {arguments.repeats} random galleries a row; crops of {SIDE} px\n")
    _print_stills(people, embedder, arguments.repeats)
    _print_similarities(people, embedder, arguments.repeats)
    _print_tracks(people, embedder, network, arguments.repeats)


def _print_stills(people: PhotoSplit, embedder: SFace, repeats: int) -> None:
    print("| gallery | threshold | named rightly | named wrongly | non-mated named | 1 % of non-mated reach |")
    print("|---|---|---|---|---|---|")
    for size in SIZES:
        print(f"| {size} | {threshold_for(size):.3f} | {_row(identify_stills(people, embedder, size, repeats))} |")
    print(f"\n{pose_report(people, embedder, repeats)}")


def _print_similarities(people: PhotoSplit, embedder: SFace, repeats: int) -> None:
    print("\nNon-mated and the enrolled\n")
    rates = " | ".join(f"named, of {100 * rate:g} %" for rate in RATES)
    print(f"| gallery | non-mated similarity | standard deviation | of the enrolled to each other | {rates} |")
    print("|---" * (4 + len(RATES)) + "|")
    for size in SIZES:
        print(f"| {similarity_row(people, embedder, size, repeats)} |", flush=True)


def _print_tracks(people: PhotoSplit, embedder: SFace, network: NetworkSession, repeats: int) -> None:
    columns = "named rightly | named wrongly | non-mated named | 1 % of non-mated reach"
    print(f"\n| {VIEWS} views, {TRACK_GALLERY} people | {columns} |")
    print("|---|---|---|---|---|")
    for blur in BLURS:
        shutters = {blur.name: SHUTTER}
        deblurrers: dict[str, Deblurrer] = {
            "raw": PassThrough(),
            "with Richardson-Lucy": RichardsonLucyDeblurrer(shutters),
            "with the network": CNN(network, shutters),
        }
        for title, deblurrer in deblurrers.items():
            shares = identify_tracks(people, embedder, restore_views(people, blur, deblurrer), repeats)
            print(f"| {blur.name}, {title} | {_row(shares)} |", flush=True)


def _row(shares: IdentificationShares) -> str:
    return f"{shares.right:.3f} | {shares.wrong:.3f} | {shares.non_mated:.4f} | {shares.reached:.3f}"


if __name__ == "__main__":
    main()
