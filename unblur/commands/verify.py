"""`unblur events verify`: whether the evidence, and the log beside it, are as they were written."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from stream.evidence.signing import PublicKey
from stream.evidence.verify_chain import ChainVerifier, VerificationReport
from stream.evidence.verify_files import FileVerifier
from stream.evidence.verify_log import LogVerifier
from unblur.terminal import Results


def verify(folder: Path, logs: Sequence[str], keys: Sequence[Path]) -> int:
    """Print every fault and note; 1 if there is a fault, else 0.

    `logs` are files, or databases named by URL; `keys` the public keys to trust, those in the folder if none are given.
    Raises UsageError where there is no evidence, log or key.
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
    said = f"{len(findings.faults)} faults" if findings.faults else "whole"
    console.say(f"{folder}: {said}; {len(audit.standing.live)} bundles, {len(audit.links)} links, head {audit.head}")
