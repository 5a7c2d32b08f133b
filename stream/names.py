"""Validation of names: of people, accounts and cameras, and names that an operator enters for a face."""

from __future__ import annotations

import unicodedata

from stream.errors import UsageError

LONGEST = 80
"""Characters of a person's name."""
RESERVED = frozenset({"unknown", "known", "any"})
"""Words of the search and the pages, in any capitals; a person with such a name would be ambiguous."""
_REFUSED = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Control, format (zero-width, writing direction), surrogate, private, unassigned; ends of lines and paragraphs."""
_INVISIBLE = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0")
"""Letters and marks that are invisible (Unicode's Default_Ignorable_Code_Point, and the blank Braille pattern)."""
_REFUSED_IN_TEXT = frozenset({"Cc", "Cs"})
_JOINERS = frozenset("\u200c\u200d")
"""Persian, the scripts of India and emoji join letters, or keep them apart, by these (RFC 5892, appendix A, has a like
rule); between Latin letters they would only hide."""
_JOINED = frozenset({"Lo", "Mn", "Mc", "So", "Sk"})
_LINES = frozenset("\n\r\t")


def normalize_name(name: str, longest: int = LONGEST, reserved: frozenset[str] = RESERVED) -> str:
    """Normalize a name: Unicode's form NFC, without surrounding white space.

    Raises UsageError if it is empty, longer than `longest`, one of the `reserved` words, or holds invisible
    characters or those that change the writing direction. A name that is too long is not normalized, because that takes
    quadratic time.
    """
    kept = unicodedata.normalize("NFC", name).strip() if len(name) <= longest else name
    if len(kept) > longest:
        raise UsageError(f"a name has at most {longest} letters")
    if not kept:
        raise UsageError("a name has at least one letter: it is one line of letters that can be seen")
    if odd := next((letter for place, letter in enumerate(kept) if not _is_visible(letter, kept, place)), None):
        raise UsageError(f"a name is one line of letters that can be seen: this one holds U+{ord(odd):04X}")
    if unicodedata.normalize("NFKC", kept).casefold() in reserved:
        raise UsageError(f"nobody can be called {kept}: the search uses this word itself; choose another name")
    return kept


def normalize_text(text: str, longest: int) -> str:
    """Normalize the description of a person, in lines. Raises UsageError if it is too long, or holds control
    characters."""
    if len(text) > longest:
        raise UsageError(f"a description has at most {longest} letters")
    if odd := next((letter for letter in text if _is_control(letter)), None):
        raise UsageError(f"a description is text: this one holds the control character U+{ord(odd):04X}")
    return text.strip()


def _is_visible(letter: str, name: str, place: int) -> bool:
    if letter in _JOINERS:
        neighbors = name[max(place - 1, 0) : place] + name[place + 1 : place + 2]
        return len(neighbors) == 2 and all(unicodedata.category(each) in _JOINED for each in neighbors)
    return unicodedata.category(letter) not in _REFUSED and letter not in _INVISIBLE


def _is_control(letter: str) -> bool:
    return unicodedata.category(letter) in _REFUSED_IN_TEXT and letter not in _LINES
