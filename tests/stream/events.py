"""Events for the tests of what writes and reads them."""

from datetime import datetime

from stream.data import Candidate, Event, EventType, Identity


def an_event(
    number: int,
    name: str | None = "Eileen Collins",
    camera: str = "lobby",
    type: EventType = "new",
    wall_time: datetime | None = None,
) -> Event:
    """Event `number` of a camera with 25 frames a second."""
    who = Identity(name, 0.63, 0.42, Candidate("Łukasz", 0.31), -0.4, None, "richardson-lucy", 3.21)
    box = (10, 20, 64, 64)
    return Event(f"event-{number}", type, camera, number, who, number / 25, number, wall_time, box, number / 25)
