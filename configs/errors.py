"""The error of a configuration that cannot be used."""

from __future__ import annotations


class ConfigError(ValueError):
    """The configuration cannot be used; the message names the file and the key."""

    exit_status = 2
