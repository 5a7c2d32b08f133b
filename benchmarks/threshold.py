"""From which similarity on is a face somebody's? Chosen on `val`: never on `test`, never on the clips.

    python -m benchmarks.threshold --data ../shared/data
    python -m benchmarks.threshold --data ../shared/data --rule ENOUGH=1    another value for one of the rules

Stills: the last photo of each of the 200 people of val/lfw160, sharp, against galleries of others' and their own
remaining photos. Tracks: three views of it, moved, blurred by a line or a camera's shake of the given length (in pixels
of the aligned crop) or seen from so far that few pixels are left, noisy (sigma 0.01) and compressed, judged view by
view by `TrackRecognizer`, without restoration, with Richardson-Lucy and with the network: they are told a line's
velocity with an error of 10 % and 5 degrees, of a shake they are told nothing. A stranger counts as named if any name
was given at any time; a known person by the name at the end.
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
from models.backends.selection import Session, load
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
"""Shares of strangers who may be named."""
LENGTHS = (0, 9, 15, 21, 27)
SHAKES = (14, 20, 28)
SHRUNK = (4, 6)
VIEWS = 3
TRACK_GALLERY = 40
SHUTTER = 0.5
JPEG_QUALITY = 75


@dataclass(frozen=True)
class Photo:
    person: str
    image: Image
    landmarks: Array


class IdentificationShares(NamedTuple):
    """Shares of known people named rightly and wrongly, and of strangers given a name; and the similarity to somebody
    that 1 % of strangers reach."""

    right: float
    wrong: float
    strangers: float
    reached: float

    @classmethod
    def counted(
        cls, ends: Sequence[tuple[str, str | None]], strangers: Sequence[bool], scores: Sequence[float]
    ) -> IdentificationShares:
        """`ends` are who somebody known was, and who they were said to be; `scores` the strangers'."""
        return cls(
            float(np.mean([said == name for name, said in ends])),
            float(np.mean([said not in (name, None) for name, said in ends])),
            float(np.mean(strangers)),
            float(np.quantile(scores, 0.99)),
        )


class Remembering(SFace):
    """Embeds each picture once, however often it is asked for it."""

    def __init__(self, embedder: SFace) -> None:
        super().__init__(embedder._session, embedder.fingerprint)
        self._known: dict[int, tuple[Image, Array]] = {}

    def embed(self, images: Sequence[Image]) -> Array:
        for image in images:
            if id(image) not in self._known:
                self._known[id(image)] = image, super().embed([image])[0]
        return np.stack([self._known[id(image)][1] for image in images])


def photos(archive: Path, detector: YuNet) -> list[Photo]:
    """The archive's photos by name, with the largest face's points; without those where none is found."""
    found = []
    for name, image in photographs.read(archive).items():
        margin = image.shape[0] // 2
        framed = np.pad(image, ((margin, margin), (margin, margin), (0, 0)))
        if faces := detector.detect(framed):
            face = max(faces, key=lambda face: face.box.area)
            found.append(Photo(Path(name).parent.name, image, face.landmarks - np.float32(margin)))
    return found


class Blur(NamedTuple):
    """A line or a shake, in pixels of the crop; or a photo as small as one in `shrunk` pixels each way."""

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
        """The kernel in the photo, from which `matrix` leads to the crop, and the motion as a tracker tells it."""
        if self.shaken:
            return kernels.trajectory(self.length / np.hypot(*matrix[:, 0]), rng), None
        angle = rng.uniform(0, 2 * np.pi)
        motion = np.array([np.cos(angle), np.sin(angle)], np.float32) * self.length
        kernel = kernels.line(*np.linalg.inv(matrix[:, :2]) @ motion)
        return kernel, _mistaken(motion, rng) if self.length else None


BLURS = (
    *(Blur(length, False) for length in LENGTHS),
    *(Blur(length, True) for length in SHAKES),
    *(Blur(0, False, shrunk) for shrunk in SHRUNK),
)


def view(photo: Photo, blur: Blur, track: int, rng: np.random.Generator) -> FaceCrop:
    """The face as a camera might see it."""
    points = photo.landmarks + rng.normal(0, 1, photo.landmarks.shape).astype(np.float32)
    kernel, motion = blur.draw(similarity(points), rng)
    light = _shrunk(kernels.blur(photo.image, kernel), blur.shrunk)
    image = _compressed(kernels.recorded(light, 0.01, rng))
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


def _shrunk(light: Array, by: int) -> Array:
    """Seen from so far, and enlarged again."""
    height, width = light.shape[:2]
    small = cv2.resize(light, (max(1, width // by), max(1, height // by)), interpolation=cv2.INTER_AREA)
    return light if by == 1 else np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC))


def _compressed(image: Image) -> Image:
    _, encoded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR), np.uint8)


def _mistaken(motion: Array, rng: np.random.Generator) -> tuple[float, float]:
    """Crop pixels per frame, as a tracker would measure them."""
    turn, stretch = rng.normal(0, np.radians(5)), np.exp(rng.normal(0, 0.1)) / SHUTTER
    x, y = stretch * motion
    return float(np.cos(turn) * x - np.sin(turn) * y), float(np.sin(turn) * x + np.cos(turn) * y)


@dataclass(frozen=True)
class People:
    """The split: everybody's gallery photos, and the photo they are shown by."""

    enrolled: dict[str, Person]
    shown: dict[str, Photo]

    def draws(self, size: int, repeats: int, fingerprint: str) -> Iterator[tuple[Gallery, list[str]]]:
        """Galleries of random people, and those who are not in them."""
        rng, names = np.random.default_rng(0), sorted(self.enrolled)
        for _ in range(repeats):
            order = [names[place] for place in rng.permutation(len(names))]
            yield Gallery(fingerprint, {name: self.enrolled[name] for name in order[:size]}), order[size:]


def split(found: Sequence[Photo], embedder: SFace) -> People:
    taken: dict[str, list[Photo]] = {}
    for photo in found:
        taken.setdefault(photo.person, []).append(photo)
    several = {name: photos for name, photos in taken.items() if len(photos) > 1}
    crops = {name: [align(photo.image, photo.landmarks)[0] for photo in part[:-1]] for name, part in several.items()}
    return People(
        {name: Person(embedder.embed(part)) for name, part in crops.items()},
        {name: part[-1] for name, part in several.items()},
    )


def stills(people: People, embedder: SFace, size: int, repeats: int) -> IdentificationShares:
    """What comes of `threshold_for` that many people."""
    sharp = {name: align(photo.image, photo.landmarks)[0] for name, photo in people.shown.items()}
    shown = dict(zip(sharp, embedder.embed(list(sharp.values())), strict=True))
    best: list[float] = []
    ends: list[tuple[str, str | None]] = []
    for gallery, strangers in people.draws(size, repeats, embedder.fingerprint):
        best += gallery.scores(np.stack([shown[name] for name in strangers])).max(1).tolist()
        rankings = gallery.match(np.stack([shown[name] for name in gallery.names]))
        said = [who.name if who.score >= threshold_for(size) else None for who, *_ in rankings]
        ends += zip(gallery.names, said, strict=True)
    return IdentificationShares.counted(ends, [score >= threshold_for(size) for score in best], best)


def alike(people: People, embedder: SFace, size: int, repeats: int) -> str:
    """Means over galleries: how similar sharp strangers are to whoever is nearest, the spread from one to the next, how
    similar those enrolled are to each other, and the share of strangers named at the thresholds for RATES."""
    shown = {name: align(photo.image, photo.landmarks)[0] for name, photo in people.shown.items()}
    faces = dict(zip(shown, embedder.embed(list(shown.values())), strict=True))
    rows = []
    for gallery, strangers in people.draws(size, repeats, embedder.fingerprint):
        best = gallery.scores(np.stack([faces[name] for name in strangers])).max(1)
        named = [(best >= threshold_for(size, rate)).mean() for rate in RATES]
        rows.append([best.mean(), best.std(), gallery.calibration.mean_impostor_score, *named])
    means = np.mean(rows, 0)
    return " | ".join([f"{size}", *(f"{value:.3f}" for value in means[:3]), *(f"{value:.4f}" for value in means[3:])])


def tracks(people: People, embedder: SFace, views: dict[str, list[Restoration]], repeats: int) -> IdentificationShares:
    """What becomes of everybody's views when they come one after the other."""
    ends: list[tuple[str, str | None]] = []
    named: list[bool] = []
    scores: list[float] = []
    for gallery, strangers in people.draws(TRACK_GALLERY, repeats, embedder.fingerprint):
        ends += [(name, _judged(views[name], embedder, gallery)[-1].name) for name in gallery.names]
        judged = [_judged(views[name], embedder, gallery) for name in strangers]
        named += [any(who.name for who in identities) for identities in judged]
        scores += [identities[-1].score for identities in judged]
    return IdentificationShares.counted(ends, named, scores)


def posed(people: People, embedder: SFace, repeats: int) -> str:
    """The similarity to somebody of TRACK_GALLERY people that 1 % of sharp strangers reach: of the third that turn away
    most, and of the third that face the camera most."""
    crops = {name: align(photo.image, photo.landmarks) for name, photo in people.shown.items()}
    faces = dict(zip(crops, embedder.embed([image for image, _ in crops.values()]), strict=True))
    pose = {name: quality(crops[name][0], photo.landmarks, crops[name][1]).pose for name, photo in people.shown.items()}
    order = sorted(pose, key=lambda name: pose[name])
    thirds = {name: 3 * place // len(order) for place, name in enumerate(order)}
    reached: list[list[float]] = [[], [], []]
    for gallery, strangers in people.draws(TRACK_GALLERY, repeats, embedder.fingerprint):
        for name, best in zip(
            strangers, gallery.scores(np.stack([faces[each] for each in strangers])).max(1), strict=True
        ):
            reached[thirds[name]].append(float(best))
    away, _, frontal = (f"{np.quantile(each, 0.99):.3f}" for each in reached)
    return f"sharp strangers who turn away most (a third): 1 % reach {away}; who face the camera most: {frontal}"


def _judged(views: Sequence[Restoration], embedder: SFace, gallery: Gallery) -> list[Identity]:
    return TrackRecognizer(embedder, gallery).observe(views)


def restored(people: People, blur: Blur, deblurrer: Deblurrer) -> dict[str, list[Restoration]]:
    rng = np.random.default_rng(round(blur.length))
    return {
        name: deblurrer.restore([view(photo, blur, track, rng) for _ in range(VIEWS)])
        for track, (name, photo) in enumerate(people.shown.items())
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the shared research data")
    parser.add_argument("--repeats", type=int, default=20, help="random galleries for each row")
    parser.add_argument(
        "--rule", action="append", default=[], metavar="NAME=VALUE", help="of recognize.decision, dual or fuse"
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
    embedder = Remembering(SFace(load(fetch("sface"), "onnxruntime"), fingerprint("sface")))
    network = load(arguments.network or manifest.own("deblur").path)
    people = split(photos(arguments.data / "val/lfw160.tar", detector), embedder)
    print(f"val/lfw160: {len(people.shown)} people; {arguments.repeats} random galleries a row; crops of {SIDE} px\n")
    _print_stills(people, embedder, arguments.repeats)
    _print_alike(people, embedder, arguments.repeats)
    _print_tracks(people, embedder, network, arguments.repeats)


def _print_stills(people: People, embedder: SFace, repeats: int) -> None:
    print("| gallery | threshold | named rightly | named wrongly | strangers named | 1 % of strangers reach |")
    print("|---|---|---|---|---|---|")
    for size in SIZES:
        print(f"| {size} | {threshold_for(size):.3f} | {_row(stills(people, embedder, size, repeats))} |")
    print(f"\n{posed(people, embedder, repeats)}")


def _print_alike(people: People, embedder: SFace, repeats: int) -> None:
    print("\nStrangers and the enrolled\n")
    asked = " | ".join(f"named, of {100 * rate:g} %" for rate in RATES)
    print(f"| gallery | strangers' similarity | its spread | of the enrolled to each other | {asked} |")
    print("|---" * (4 + len(RATES)) + "|")
    for size in SIZES:
        print(f"| {alike(people, embedder, size, repeats)} |", flush=True)


def _print_tracks(people: People, embedder: SFace, network: Session, repeats: int) -> None:
    told = "named rightly | named wrongly | strangers named | 1 % of strangers reach"
    print(f"\n| {VIEWS} views, {TRACK_GALLERY} people | {told} |")
    print("|---|---|---|---|---|")
    for blur in BLURS:
        shutters = {blur.name: SHUTTER}
        deblurrers: dict[str, Deblurrer] = {
            "raw": PassThrough(),
            "with Richardson-Lucy": RichardsonLucyDeblurrer(shutters),
            "with the network": CNN(network, shutters),
        }
        for title, deblurrer in deblurrers.items():
            outcome = tracks(people, embedder, restored(people, blur, deblurrer), repeats)
            print(f"| {blur.name}, {title} | {_row(outcome)} |", flush=True)


def _row(outcome: IdentificationShares) -> str:
    return f"{outcome.right:.3f} | {outcome.wrong:.3f} | {outcome.strangers:.4f} | {outcome.reached:.3f}"


if __name__ == "__main__":
    main()
