"""Edits of a gallery; each returns a new one. All raise KeyError for a person or photo that is not in it, and
UsageError for an edit that is not possible."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from time import time

import numpy as np

from recognize.gallery.people_gallery import Gallery
from recognize.gallery.person import Person, photo_id
from stream.errors import UsageError
from stream.values import Array


def enroll_person(known: Gallery, name: str, description: str | None, embeddings: Array) -> Gallery:
    """Add a new person."""
    if name in known.people:
        raise UsageError(f"{name} is known already: add the photos there")
    return known.with_people({name: Person(_unique(embeddings), description or None, enrolled=time())})


def add_embeddings(known: Gallery, name: str, embeddings: Array) -> Gallery:
    """Add photos of a person."""
    person = known.people[name]
    return known.with_people({name: replace(person, embeddings=_unique(person.embeddings, embeddings))})


def set_description(known: Gallery, name: str, description: str | None) -> Gallery:
    """Replace or remove the description of a person."""
    return known.with_people({name: replace(known.people[name], description=description or None)})


def rename_person(known: Gallery, name: str, new_name: str) -> Gallery:
    """Give a person an unused name; the person keeps its place and its former names."""
    if name not in known.people:
        raise KeyError(name)
    if new_name in known.people and new_name != name:
        raise UsageError(f"{new_name} is known already: merge the two if they are one")
    person = replace(known.people[name], former=_former_names(new_name, *known.people[name].former, name))
    people = {
        new_name if each == name else each: person if each == name else entry for each, entry in known.people.items()
    }
    return Gallery(known.fingerprint, people)


def reenroll(known: Gallery, people: Mapping[str, Person]) -> Gallery:
    """Replace or add enrolled people by name; former names stay."""
    existing = known.people
    return known.with_people(
        {
            name: replace(entry, former=existing[name].former) if name in existing else entry
            for name, entry in people.items()
        }
    )


def likeness(known: Gallery, name: str, other: str) -> float:
    """Return the cosine similarity (-1..1) of the most similar photos of two people."""
    return float((known.people[name].embeddings @ known.people[other].embeddings.T).max())


def merge_people(known: Gallery, name: str, into: str) -> Gallery:
    """Move all photos of `name` to `into`, which keeps its own description, if any, and gets the earlier time of
    enrollment."""
    removed, kept = known.people[name], known.people[into]
    if name == into:
        raise UsageError(f"{name} cannot be merged into themselves")
    embeddings = _unique(kept.embeddings, removed.embeddings)
    first_enrolled = min((each.enrolled for each in (kept, removed) if each.enrolled is not None), default=None)
    former = _former_names(into, *kept.former, *removed.former, name)
    merged = Person(embeddings, kept.description or removed.description, kept.source, first_enrolled, former)
    return known.without_people(name).with_people({into: merged})


def remove_person(known: Gallery, name: str) -> Gallery:
    """Remove a person."""
    if name not in known.people:
        raise KeyError(name)
    return known.without_people(name)


def drop_former_names(known: Gallery, names: Collection[str]) -> Gallery:
    """Remove these names from the former names of all people."""
    changed = {
        name: replace(entry, former=tuple(each for each in entry.former if each not in names))
        for name, entry in known.people.items()
        if not set(names).isdisjoint(entry.former)
    }
    return known.with_people(changed) if changed else known


def remove_photo(known: Gallery, name: str, photo: str) -> Gallery:
    """Remove one photo of a person."""
    person = known.people[name]
    kept = [row for row, each in zip(person.embeddings, person.photos, strict=True) if each != photo]
    if len(kept) == len(person.embeddings):
        raise KeyError(photo)
    if not kept:
        raise UsageError(f"that is the last photo of {name}: delete the person instead")
    return known.with_people({name: replace(person, embeddings=np.stack(kept))})


def _former_names(name: str, *names: str) -> tuple[str, ...]:
    return tuple(each for each in dict.fromkeys(names) if each != name)


def _unique(*embeddings: Array) -> Array:
    return np.stack(list({photo_id(row): row for row in np.concatenate(embeddings)}.values()))
