"""Faces -> tracks: which detections of one camera are the same face, and how it moves.

Detections are given to tracks by the Hungarian method (Kuhn 1955) on the likelihood of their position, size and look
under each track: first the confident ones, then the doubtful, as in ByteTrack (Zhang et al., ECCV 2022). A face blurred
by its motion is seen with little confidence, which is enough to go on with a track but not to begin one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from stream.tracking import appearance
from stream.tracking.association import LOST_TRACK_BUFFER_S, MAX_COAST_S, FrameClock, Observation, TrackState, match
from stream.values import Array, Box, FaceDetection, Frame, Track

TRACK_ACTIVATION = 0.65
"""Confidence from which a detection may begin a track."""
SCENE_CUT_DISTANCE = 0.5
"""Unlikeness of two pictures in succession from which the film was cut between them: nobody is followed across."""


@dataclass(frozen=True, slots=True)
class TrackUpdate:
    """The tracks that stand in one frame, by id; and those that ended with it, each as it was last seen.

    `restless` says that the detector should look at the next frame too: a face is new, fast, or was just missed.
    `rumours` are where faces may be that are not reported: seen once and in doubt, or not seen for some time. `cut`:
    the film was cut before this frame.
    """

    tracks: list[Track]
    ended: list[Track]
    needs_detection: bool
    rumours: list[Box]
    cut: bool = False


class Tracker:
    """Follows the faces of one camera. Ids count from 1, in the order in which tracks are first reported.

    `Track.velocity` is in pixels per frame, a frame being the camera's usual interval (the median of late): where
    frames were dropped, it is still the motion from one picture to the next that the camera took.
    """

    def __init__(self) -> None:
        self._tracks: list[TrackState] = []
        self._named = 0
        self._clock = FrameClock()
        self._picture: Array | None = None

    def update(self, frame: Frame, faces: Sequence[FaceDetection] | None) -> TrackUpdate:
        """Go on to the next frame; `faces` is None where no detector looked and tracks are carried by their motion.

        Media time that runs backwards (a camera that came back, a file that starts again) and a cut end all tracks.
        """
        elapsed = self._clock.tick(frame)
        cut = self._is_cut(frame)
        ended = (
            self.finish() if cut or elapsed < 0 else self._drop(lambda p: frame.pts_s - p.seen_s > LOST_TRACK_BUFFER_S)
        )
        for path in self._tracks:
            path.advance(elapsed)
        if faces is not None:
            self._assign(faces, frame)
            ended += self._drop(lambda path: path.is_lost(frame))
        restless = cut or any(path.is_restless(frame.pts_s, self._clock.interval) for path in self._tracks)
        tracks = self._report(frame)
        shown = {track.id for track in tracks}
        rumours = [path.place for path in self._tracks if path.id not in shown]
        return TrackUpdate(tracks, ended, restless, rumours, cut)

    def finish(self) -> list[Track]:
        """End all tracks, because the source has ended. Returns them as they were last seen."""
        return self._drop(lambda _: True)

    def _is_cut(self, frame: Frame) -> bool:
        before, self._picture = self._picture, appearance.of_picture(frame.image)
        return (
            before is not None and appearance.appearance_distance([before], [self._picture])[0, 0] > SCENE_CUT_DISTANCE
        )

    def _drop(self, over: Callable[[TrackState], bool]) -> list[Track]:
        gone = [path for path in self._tracks if over(path)]
        self._tracks = [path for path in self._tracks if path not in gone]
        return [path.last for path in gone if path.last]

    def _assign(self, faces: Sequence[FaceDetection], frame: Frame) -> None:
        sightings = [Observation.of(face, frame) for face in faces]
        confident = [each for each in sightings if each.face.confidence >= TRACK_ACTIVATION]
        doubtful = [each for each in sightings if each.face.confidence < TRACK_ACTIVATION]
        unseen, strangers = match(self._tracks, confident)
        match(unseen, doubtful)
        seen = [path for path in self._tracks if path.detected]
        for path in self._tracks:
            path.missed = not path.detected
        self._tracks += [TrackState(each) for each in strangers if not any(path.covers(each) for path in seen)]

    def _report(self, frame: Frame) -> list[Track]:
        shown = [path for path in self._tracks if path.is_real and frame.pts_s - path.seen_s <= MAX_COAST_S]
        for path in shown:
            if not path.id:
                self._named += 1
                path.id = self._named
        return sorted((path.report(frame, self._clock.interval) for path in shown), key=lambda track: track.id)
