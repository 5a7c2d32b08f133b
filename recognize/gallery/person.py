"""A person of a gallery: name, description, and one embedding per photo."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256

from stream.values import Array


@dataclass(frozen=True, slots=True, eq=False)
class Person:
    """An enrolled person: the embeddings of their photos (n x D of length 1, n >= 1) and a description.

    `source` is the digest of the enrolled folder, which is enrolled again only if it has changed. `enrolled` is the
    time of enrollment in seconds since 1970 UTC, or that of an older file without it. `former` are earlier names, by
    which earlier events are found.
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
        """The ids of the photos; each depends only on its embedding, and so survives every edit."""
        return tuple(photo_id(embedding) for embedding in self.embeddings)


def photo_id(embedding: Array) -> str:
    """Return the id of a photo: 32 hexadecimal digits of its embedding's hash."""
    return sha256(embedding.tobytes()).hexdigest()[:32]
