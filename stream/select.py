"""interim"""

from stream.data import Track


class CropSchedule:
    def __init__(self) -> None:
        self._n: dict[int, list[float]] = {}

    def due(self, track: Track, pts_s: float) -> bool:
        ts = self._n.setdefault(track.id, [])
        if ts and pts_s - ts[-1] < (0.1 if len(ts) < 8 else 1.0):
            return False
        ts.append(pts_s)
        return True
