"""Finds a pinned artefact with pip's configuration.

pip itself cannot hand out an sdist without running its build, so the links are read by `unearth`, PDM's stable form of
pip's finder (PEP 503 and 691 pages, find-links, file: addresses, netrc and keyring), set up with what
`pip config list` reports: the configuration files and the PIP_* variables, in pip's order of precedence.
"""

from __future__ import annotations

import ast
import logging
import os
import ssl
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import cast
from urllib.parse import urlsplit

import httpx2
from unearth import PackageFinder
from unearth.auth import MultiDomainBasicAuth
from unearth.fetchers import Fetcher, PyPIClient

from models.assets.manifest import Artefact
from models.errors import ModelError

PYPI = "https://pypi.org/simple"
TIMEOUT_SECONDS = 15.0
"""pip's own default for one read."""
CONNECT_SECONDS = 5.0

# Without a handler unearth's warnings would reach the terminal; the error has the same facts.
logging.getLogger("unearth").addHandler(logging.NullHandler())


@dataclass(frozen=True, slots=True)
class Index:
    """Package locations and connection settings of pip."""

    index_urls: tuple[str, ...]
    find_links: tuple[str, ...] = ()
    trusted_hosts: tuple[str, ...] = ()
    proxy: str | None = None
    cert: str | None = None
    client_cert: str | None = None
    timeout: float = TIMEOUT_SECONDS

    @classmethod
    def configured(cls) -> Index:
        """Return the index of pip's configuration. Raises ModelError if pip's settings are invalid."""
        return cls.of(_pip_options())

    @classmethod
    def of(cls, options: Mapping[str, str]) -> Index:
        """Create from pip's options by their long names, as strings."""
        try:
            timeout = float(options.get("timeout", options.get("default-timeout", TIMEOUT_SECONDS)))
        except ValueError as error:
            raise ModelError(f"pip's timeout is not a number of seconds: {error}") from error
        indexes = (options.get("index-url", PYPI), *options.get("extra-index-url", "").split())
        return cls(
            index_urls=() if _true(options.get("no-index", "")) else indexes,
            find_links=tuple(options.get("find-links", "").split()),
            trusted_hosts=tuple(options.get("trusted-host", "").split()),
            proxy=_with_scheme(options.get("proxy")),
            cert=options.get("cert", os.environ.get("REQUESTS_CA_BUNDLE", os.environ.get("CURL_CA_BUNDLE"))),
            client_cert=options.get("client-cert"),
            timeout=timeout,
        )

    def client(self) -> PyPIClient:
        """Create an HTTP client with pip's proxy, certificates, time limits and credentials. It never asks for a
        password."""
        return PyPIClient(
            trusted_hosts=self.trusted_hosts,
            verify=self._tls(),
            proxy=self.proxy,
            timeout=httpx2.Timeout(self.timeout, connect=min(self.timeout, CONNECT_SECONDS)),
            follow_redirects=True,
            auth=MultiDomainBasicAuth(prompting=False, index_urls=self.index_urls),
        )

    def _tls(self) -> ssl.SSLContext | bool:
        if self.cert is None and self.client_cert is None:
            return True
        try:
            context = ssl.create_default_context(cafile=self.cert)
            if self.client_cert:
                context.load_cert_chain(self.client_cert)
        except OSError as error:
            raise ModelError(f"pip's certificates cannot be read: {error}") from error
        return context

    def finders(self, client: PyPIClient) -> Iterator[tuple[str, PackageFinder]]:
        """Yield one finder for each location, by its host or path: a location that is down must not hide the next
        one."""
        session = cast(Fetcher, client)  # it is one; only its optional arguments are typed otherwise
        for url in self.find_links:
            yield redacted_location(url), PackageFinder(session, find_links=[url], ignore_compatibility=True)
        for url in self.index_urls:
            yield redacted_location(url), PackageFinder(session, index_urls=[url], ignore_compatibility=True)


def find_link(finder: PackageFinder, artefact: Artefact) -> str | None:
    """Return the artefact's address, if this finder's index lists it.

    Raises httpx2.HTTPError, OSError or ValueError if the index cannot be read.
    """
    packages = finder.find_matches(f"{artefact.project}=={artefact.version}")
    return next((p.link.normalized for p in packages if p.link.filename == artefact.file), None)


def redacted_location(url: str) -> str:
    """Return the part of an address that may be shown: host or path, never credentials."""
    parts = urlsplit(url)
    return parts.hostname or parts.path


def _true(value: str) -> bool:
    return value.lower() in {"1", "true", "yes", "on", "y", "t"}


def _with_scheme(proxy: str | None) -> str | None:
    return f"http://{proxy}" if proxy and "://" not in proxy else proxy


def _pip_options() -> dict[str, str]:
    # -P: a pip.py in the working directory must not run.
    command = [sys.executable, "-P", "-m", "pip", "config", "list"]
    listing = subprocess.run(command, capture_output=True, text=True, check=False)
    if listing.returncode:  # without pip there are still its environment variables
        return {_option(key): value for key, value in os.environ.items() if key.startswith("PIP_")}
    return _effective(listing.stdout)


def _option(variable: str) -> str:
    return variable.removeprefix("PIP_").lower().replace("_", "-")


def _effective(listing: str) -> dict[str, str]:
    """`pip config list` prints section.option='value'; variables outrank [install], which outranks [global]."""
    sections: dict[str, dict[str, str]] = {"global": {}, "install": {}, ":env:": {}}
    for line in listing.splitlines():
        key, _, value = line.partition("=")
        section, _, option = key.rpartition(".")
        if section in sections:
            sections[section][option] = ast.literal_eval(value)
    return {**sections["global"], **sections["install"], **sections[":env:"]}
