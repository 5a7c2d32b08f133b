"""What speaks against adding a face to somebody."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Objection:
    """Why it was not done. "nobody": no one of this name is known, who could be enrolled as somebody new. "doubtful":
    what was found on the crop, which somebody who is sure may add all the same. "unfit": what nobody may add."""

    why: str
    kind: Literal["nobody", "doubtful", "unfit"]
