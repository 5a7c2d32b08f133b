"""Changes of a gallery, each giving a new one. All raise KeyError for somebody, or a photo, that is not in it, and
UsageError for what cannot be."""

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
    """With somebody new."""
    if name in known.people:
        raise UsageError(f"{name} is known already: add the photos there")
    return known.with_people({name: Person(_distinct(embeddings), description or None, enrolled=time())})


def add_embeddings(known: Gallery, name: str, embeddings: Array) -> Gallery:
    """With more photos of somebody."""
    person = known.people[name]
    return known.with_people({name: replace(person, embeddings=_distinct(person.embeddings, embeddings))})


def set_description(known: Gallery, name: str, description: str | None) -> Gallery:
    """With something else to be said of somebody, or nothing."""
    return known.with_people({name: replace(known.people[name], description=description or None)})


def rename_person(known: Gallery, name: str, new: str) -> Gallery:
    """With a name for somebody that nobody else has; they keep their place, and their former names."""
    if name not in known.people:
        raise KeyError(name)
    if new in known.people and new != name:
        raise UsageError(f"{new} is known already: merge the two if they are one")
    person = replace(known.people[name], former=_former(new, *known.people[name].former, name))
    people = {new if each == name else each: person if each == name else who for each, who in known.people.items()}
    return Gallery(known.fingerprint, people)


def reenroll(known: Gallery, people: Mapping[str, Person]) -> Gallery:
    """With people enrolled anew, in place of whoever had their names, and had other names before."""
    there = known.people
    return known.with_people(
        {name: replace(who, former=there[name].former) if name in there else who for name, who in people.items()}
    )


def likeness(known: Gallery, name: str, other: str) -> float:
    """Cosine similarity (-1..1) of the two photos of them that are most alike."""
    return float((known.people[name].embeddings @ known.people[other].embeddings.T).max())


def merge_people(known: Gallery, name: str, into: str) -> Gallery:
    """With all photos of `name` as those of `into`, who keeps their own description if they have one, and counts
    from when the first of the two was enrolled."""
    gone, kept = known.people[name], known.people[into]
    if name == into:
        raise UsageError(f"{name} cannot be merged into themselves")
    embeddings = _distinct(kept.embeddings, gone.embeddings)
    since = min((each.enrolled for each in (kept, gone) if each.enrolled is not None), default=None)
    former = _former(into, *kept.former, *gone.former, name)
    one = Person(embeddings, kept.description or gone.description, kept.source, since, former)
    return known.without_people(name).with_people({into: one})


def remove_person(known: Gallery, name: str) -> Gallery:
    """Without somebody."""
    if name not in known.people:
        raise KeyError(name)
    return known.without_people(name)


def drop_former_names(known: Gallery, names: Collection[str]) -> Gallery:
    """Without these names among those that people had before."""
    fewer = {
        name: replace(who, former=tuple(each for each in who.former if each not in names))
        for name, who in known.people.items()
        if not set(names).isdisjoint(who.former)
    }
    return known.with_people(fewer) if fewer else known


def remove_photo(known: Gallery, name: str, photo: str) -> Gallery:
    """Without one photo of somebody."""
    person = known.people[name]
    kept = [row for row, each in zip(person.embeddings, person.photos, strict=True) if each != photo]
    if len(kept) == len(person.embeddings):
        raise KeyError(photo)
    if not kept:
        raise UsageError(f"that is the last photo of {name}: delete the person instead")
    return known.with_people({name: replace(person, embeddings=np.stack(kept))})


def _former(name: str, *before: str) -> tuple[str, ...]:
    return tuple(each for each in dict.fromkeys(before) if each != name)


def _distinct(*embeddings: Array) -> Array:
    return np.stack(list({photo_id(row): row for row in np.concatenate(embeddings)}.values()))
