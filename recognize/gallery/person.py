"""A person of a gallery: name, description, and one embedding per photo."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256

from stream.values import Array


@dataclass(frozen=True, slots=True, eq=False)
class Person:
    """Somebody known: the embeddings of their photos (n x D of length 1, n >= 1) and what is to be said of them.

    `source` is the digest of what they were enrolled from, so that it is not done again while that stays the same.
    `enrolled` is when that was, in seconds since 1970 UTC; of a file that did not note it, the file's own time.
    `former` is what they were called before, so that what was said of them by those names is found.
    """

    embeddings: Array
    description: str | None = None
    source: str | None = None
    enrolled: float | None = None
    former: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.embeddings.ndim != 2 or not self.embeddings.size:
            raise ValueError(f"a person has n x D embeddings, n >= 1, not {self.embeddings.shape}")

    @property
    def photos(self) -> tuple[str, ...]:
        """What each of their photos is called: by its embedding, so that it keeps its name wherever it goes."""
        return tuple(photo_id(embedding) for embedding in self.embeddings)


def photo_id(embedding: Array) -> str:
    """32 hexadecimal digits that are the same for the same embedding only."""
    return sha256(embedding.tobytes()).hexdigest()[:32]
