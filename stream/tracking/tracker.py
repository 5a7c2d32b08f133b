"""Multi-object tracker: assigns the detections of one camera to tracks, and estimates their motion.

Detections are assigned by the Hungarian method (Kuhn 1955) on the likelihood of their position, size and appearance
under each track: first the confident ones, then the others, as in ByteTrack (Zhang et al., ECCV 2022). A face blurred
by its motion has a low confidence, which is enough to continue a track but not to begin one.
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
"""Appearance distance of two consecutive frames from which there is a scene cut between them: all tracks end."""


@dataclass(frozen=True, slots=True)
class TrackUpdate:
    """The tracks in one frame, by id; and those that `ended` with it, each at its last detection.

    `needs_detection`: the detector should run on the next frame, too: a face is new, fast, or was just missed.
    `tentative_boxes` are possible faces that are not reported: detected once with low confidence, or not detected for
    some time. `cut`: there is a scene cut before this frame.
    """

    tracks: list[Track]
    ended: list[Track]
    needs_detection: bool
    tentative_boxes: list[Box]
    cut: bool = False


class Tracker:
    """Tracks the faces of one camera. Ids count from 1, in the order in which tracks are first reported.

    `Track.velocity` is in pixels per frame interval of the camera (the median of the latest), so that dropped frames
    do not change it.
    """

    def __init__(self) -> None:
        self._tracks: list[TrackState] = []
        self._last_id = 0
        self._clock = FrameClock()
        self._appearance: Array | None = None

    def update(self, frame: Frame, faces: Sequence[FaceDetection] | None) -> TrackUpdate:
        """Advance to the next frame; `faces` is None if the detector did not run, and tracks are predicted by motion.

        All tracks end at a scene cut, and where media time runs backwards (a camera reconnects, a file starts again).
        """
        elapsed = self._clock.tick(frame)
        cut = self._is_cut(frame)
        ended = (
            self.finish()
            if cut or elapsed < 0
            else self._drop(lambda state: frame.pts_s - state.last_seen_s > LOST_TRACK_BUFFER_S)
        )
        for state in self._tracks:
            state.advance(elapsed)
        if faces is not None:
            self._assign(faces, frame)
            ended += self._drop(lambda state: state.is_lost(frame))
        needs_detection = cut or any(state.needs_detection(frame.pts_s, self._clock.interval) for state in self._tracks)
        tracks = self._report(frame)
        reported = {track.id for track in tracks}
        tentative = [state.expected_box for state in self._tracks if state.id not in reported]
        return TrackUpdate(tracks, ended, needs_detection, tentative, cut)

    def finish(self) -> list[Track]:
        """End all tracks, because the source has ended. Returns them at their last detections."""
        return self._drop(lambda _: True)

    def _is_cut(self, frame: Frame) -> bool:
        before, self._appearance = self._appearance, appearance.of_picture(frame.image)
        return (
            before is not None
            and appearance.appearance_distance([before], [self._appearance])[0, 0] > SCENE_CUT_DISTANCE
        )

    def _drop(self, is_over: Callable[[TrackState], bool]) -> list[Track]:
        dropped = [state for state in self._tracks if is_over(state)]
        self._tracks = [state for state in self._tracks if state not in dropped]
        return [state.last for state in dropped if state.last]

    def _assign(self, faces: Sequence[FaceDetection], frame: Frame) -> None:
        observations = [Observation.of(face, frame) for face in faces]
        confident = [each for each in observations if each.face.confidence >= TRACK_ACTIVATION]
        uncertain = [each for each in observations if each.face.confidence < TRACK_ACTIVATION]
        unmatched, new = match(self._tracks, confident)
        match(unmatched, uncertain)
        detected = [state for state in self._tracks if state.detected]
        for state in self._tracks:
            state.missed = not state.detected
        self._tracks += [TrackState(each) for each in new if not any(state.covers(each) for state in detected)]

    def _report(self, frame: Frame) -> list[Track]:
        reported = [
            state for state in self._tracks if state.is_confirmed and frame.pts_s - state.last_seen_s <= MAX_COAST_S
        ]
        for state in reported:
            if not state.id:
                self._last_id += 1
                state.id = self._last_id
        return sorted((state.report(frame, self._clock.interval) for state in reported), key=lambda track: track.id)
