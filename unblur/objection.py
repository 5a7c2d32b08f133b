"""What speaks against adding a face to somebody."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Objection:
    """Why it was not done. "nobody": no one of this name is known, who could be enrolled as somebody new; "unfit": what
    was found on the crop."""

    why: str
    kind: Literal["nobody", "unfit"]
