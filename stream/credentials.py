"""Addresses without their secrets, fit for messages, logs and status pages."""

from __future__ import annotations

import re

_ADDRESS = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]*://)(\S+)")
_MISTYPED = re.compile(r"(//|:).*@", re.DOTALL)
# Some recorders take the password inside the path: rtsp://host/user=admin&password=secret&channel=1
_ASSIGNED = re.compile(r"(?i)\b(user(?:name)?|pass(?:word|wd)?|pwd|token|secret|key)=[^/\s]*")


def redact_credentials(text: str) -> str:
    """`text` with user, password and query of every address in it replaced by ***.

    An address reaches to the next white space. Its user and password are all that stands before its last "@": people
    write passwords with unescaped "@", "/" and "?" in them, and losing a host is better than showing half a password.
    """
    return _ADDRESS.sub(lambda found: found[1] + _without_secrets(found[2]), text)


def redact_malformed_url(spec: str) -> str:
    """The same of what should have been an address and is none (`rtsp//user:password@host`): whatever stands between
    the first "//" or ":" and the last "@" may be a login."""
    return _MISTYPED.sub(r"\1***@", redact_credentials(spec))


def _without_secrets(rest: str) -> str:
    login, _, place = rest.rpartition("@")
    path, query, _ = place.partition("?")
    return ("***@" if login else "") + _ASSIGNED.sub(r"\1=***", path) + ("?***" if query else "")
