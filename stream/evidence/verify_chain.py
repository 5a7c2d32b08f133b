"""Verifies the evidence chain: each entry follows the one before it, and the signatures are valid.

Anyone who can write to the folder can forge the bundles since the last signature. Entries cut off the end together with
their signatures leave no trace in the chain: only the event log (`stream/evidence/verify_log.py`), or a `head` that was
noted elsewhere, shows that they are missing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from stream.errors import UsageError
from stream.evidence.chain_entries import (
    CHAIN,
    EVERY,
    BrokenError,
    Bundle,
    ChainEntry,
    ChainReader,
    ChainState,
    Checkpoint,
    RemovedEntry,
    Truncation,
    digest_of,
)
from stream.evidence.signing import PublicKey
from stream.storage.append_only_file import is_held


class ChainVerifier:
    """Reads and verifies a folder's chain, once. Raises UsageError if there is no evidence.

    `links` are all readable entries; `standing` is the state of the bundles by them, `head` the sha256 of the last
    line, `held` whether a run is writing there, `shortened` whether retention removed its beginning, and `unlogged` the
    events at which a run broke off: those may have been stored and never logged.
    """

    def __init__(self, folder: Path, findings: VerificationReport) -> None:
        self.links: list[ChainEntry] = []
        self.standing = ChainState()
        self.head = ""
        self.held = self.shortened = False
        self.unlogged: set[str] = set()
        self._findings = findings
        self._unsigned_run = 0
        self._late_signatures: list[tuple[int, int]] = []
        self._follow(self._read(folder))
        self._check_end()

    def check_signatures(self, keys: Mapping[str, PublicKey]) -> None:
        """Verify the signatures; `keys`, by name, are the only trusted ones."""
        for link in self.links:
            if isinstance(link, Bundle):
                continue
            name = f"{CHAIN}, link {link.number}"
            if link.key not in keys:
                self._findings.fault(name, f"is signed with the key {link.key}, which is not among those to trust")
            elif not keys[link.key].signed(link.signature, link.signed()):
                self._findings.fault(name, "bears a signature that does not hold")

    def tell(self) -> None:
        """Add notes on the events that the chain records."""
        for why, count in sorted(Counter(link.why for link in self.links if isinstance(link, RemovedEntry)).items()):
            self._findings.note(f"bundles were removed or changed {count} times: {why}")
        for number, bundles in self._late_signatures:
            self._findings.note(
                f"{CHAIN}, link {number}: a run broke off before; the {bundles} bundles between the last signature and"
                " this one were signed by the next start, as it found them"
            )
        if self.shortened:
            self._findings.note("the beginning of the chain was dropped, signed: none of its bundles is kept")
        if self.held:
            self._findings.note(f"a run is writing here: {self._unsigned()} bundles are not signed yet")

    def _read(self, folder: Path) -> Sequence[bytes]:
        path = folder / CHAIN
        try:
            if not any(folder.iterdir()):
                raise UsageError(f"{folder} is empty: there is no evidence to verify")
            if path.is_file() and not path.is_symlink():
                self.held = is_held(path)
                return path.read_bytes().splitlines(keepends=True)
        except OSError as error:
            raise UsageError(f"cannot read evidence from {folder}: {error.strerror}") from error
        self._findings.fault(CHAIN, "is missing, or no plain file: nothing says what belongs here")
        return []

    def _follow(self, lines: Sequence[bytes]) -> None:
        reader = ChainReader()
        for line in lines:
            try:
                self._take(reader.take(line).link)
            except BrokenError as error:
                self._findings.fault(f"{CHAIN}{_of(error.link)}", str(error))
                if error.link:
                    self._take(error.link)

    def _take(self, link: ChainEntry) -> None:
        last = self.links[-1] if self.links else None
        if isinstance(link, Bundle) and link.event in self.standing.live:
            self._findings.fault(link.event, f"stands in {CHAIN} a second time")
        if isinstance(link, Checkpoint) and link.why == "broken off":
            self._late_signatures.append((link.number, self._unsigned_run))
            if isinstance(last, Bundle):
                self.unlogged.add(last.event)
        self._count(link)
        self.shortened |= isinstance(link, Truncation)
        self.standing.follow(link)
        self.links.append(link)
        self.head = digest_of(link)

    def _count(self, link: ChainEntry) -> None:
        self._unsigned_run = self._unsigned_run + 1 if isinstance(link, Bundle) else 0
        if self._unsigned_run == EVERY + 1:
            name = f"{CHAIN}, link {link.number}"
            self._findings.fault(name, f"and the {EVERY} bundles before it are not signed: no run leaves so many")

    def _check_end(self) -> None:
        unsigned = self._unsigned()
        if not self.held and (unsigned or not self.links):
            self._findings.fault(
                CHAIN,
                f"ends without a signature ({unsigned} bundles are not signed): a run was killed, or the end was cut"
                " off; the next run into this folder goes on from what is there, or refuses what no run can have left",
            )

    def _unsigned(self) -> int:
        signed = (back for back, link in enumerate(reversed(self.links)) if not isinstance(link, Bundle))
        return next(signed, len(self.links))


def _of(link: ChainEntry | None) -> str:
    return f" ({link.event})" if isinstance(link, Bundle) else ""


@dataclass(frozen=True, slots=True)
class Violation:
    """A fault, and the name of the file, line or event that has it."""

    name: str
    what: str


@dataclass(slots=True)
class VerificationReport:
    """All faults, and notes on facts that are no faults."""

    faults: list[Violation] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def fault(self, name: str, what: str) -> None:
        self.faults.append(Violation(name, what))

    def note(self, what: str) -> None:
        self.notes.append(what)
