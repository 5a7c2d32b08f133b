"""`unblur events verify`: checks evidence, and event logs against it, for tampering."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from stream.evidence.signing import PublicKey
from stream.evidence.verify_chain import ChainVerifier, VerificationReport
from stream.evidence.verify_files import FileVerifier
from stream.evidence.verify_log import LogVerifier
from unblur.terminal import Results


def verify(folder: Path, logs: Sequence[str], keys: Sequence[Path]) -> int:
    """Print every violation and note; return 1 if there is a violation, else 0.

    `logs` are files or database URLs; `keys` are the trusted public keys, by default those in the folder. Raises
    UsageError if there is no evidence, log or key.
    """
    findings = VerificationReport()
    trusted = {key.name: key for key in map(PublicKey.read, keys)}
    audit = ChainVerifier(folder, findings)
    inventory = FileVerifier(folder, audit, findings)
    audit.check_signatures(trusted or inventory.keys)
    if logs:
        check = LogVerifier(audit, inventory, findings)
        for log in logs:
            check.log(log)
        check.finish()
    audit.tell()
    if not trusted:
        findings.note(
            "the signatures were checked with the keys that lie in the folder; --key names one kept elsewhere"
        )
    _report(folder, audit, findings)
    return 1 if findings.faults else 0


def _report(folder: Path, audit: ChainVerifier, findings: VerificationReport) -> None:
    console = Results()
    for fault in findings.faults:
        console.say(f"{fault.name}: {fault.what}")
    for note in findings.notes:
        console.say(f"note: {note}")
    result = f"{len(findings.faults)} faults" if findings.faults else "intact"
    events, entries = len(audit.standing.live), len(audit.links)
    console.say(f"{folder}: {result}; {events} events, signed; chain of {entries} entries, head {audit.head}")
