"""Events for the tests of what writes and reads them."""

from datetime import datetime

import sqlalchemy as sql

from stream.results import Candidate, Event, EventType, Identity


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


def fill(url: str, count: int) -> None:
    """Repeat the one event of a store each second until there are so many, every other Ann's, the last in the attic."""
    engine = sql.create_engine(url)
    with engine.begin() as connection:
        columns = [row[1] for row in connection.exec_driver_sql("PRAGMA table_info(events)")]
        changed = {
            "position": "n", "id": "'event-' || n", "wall_s": "wall_s + n", "name": "iif(n % 2, 'Ann', NULL)",
            "wall_time": "strftime('%Y-%m-%dT%H:%M:%S.000Z', wall_s + n, 'unixepoch')",
            "camera": f"iif(n = {count}, 'attic', camera)",
        }  # fmt: skip
        values = ", ".join(changed.get(column, column) for column in columns)
        connection.exec_driver_sql(
            f"WITH RECURSIVE numbers(n) AS (SELECT 2 UNION ALL SELECT n + 1 FROM numbers WHERE n < {count})"
            f" INSERT INTO events ({', '.join(columns)}) SELECT {values} FROM events, numbers WHERE position = 1"
        )
    engine.dispose()
