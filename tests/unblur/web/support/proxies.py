"""Real reverse proxies, with the configurations of docs/guide/behind_a_proxy.md."""

from __future__ import annotations

import os
import re
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.unblur.notify.support.waiting import until

DOCUMENT = Path(__file__).parents[4] / "docs" / "guide" / "behind_a_proxy.md"
_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin"
_TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


def documented(language: str) -> str:
    """The block of the document in this language."""
    found = re.search(rf"```{language}\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    assert found
    return found[1]


def substituted(text: str, values: Mapping[str, str]) -> str:
    """With each key, of which there must be some, replaced: what a reader of the document does."""
    for what, instead in values.items():
        assert what in text, what
        text = text.replace(what, instead)
    return text


@contextmanager
def nginx(server: str, folder: Path, port: int) -> Iterator[None]:
    """nginx with this server block, which listens at `port`."""
    folder.mkdir(exist_ok=True)
    user = "user root;\n" if os.geteuid() == 0 else ""
    temporary = "".join(f"{kind}_temp_path {kind};\n" for kind in _TEMPORARY)
    http = f"events {{}}\nhttp {{\naccess_log off;\n{temporary}{server}\n}}\n"
    (folder / "nginx.conf").write_text(f"{user}daemon off;\npid nginx.pid;\n{http}", encoding="utf-8")
    with _running(["nginx", "-p", str(folder), "-c", "nginx.conf", "-e", "error.log"], port):
        yield


@contextmanager
def caddy(sites: str, folder: Path, port: int) -> Iterator[None]:
    """Caddy with these sites, certificates of its own, and nothing kept outside the folder."""
    folder.mkdir(exist_ok=True)
    options = ["admin off", "local_certs", "skip_install_trust", "auto_https disable_redirects"]
    options.append(f"storage file_system {folder}")
    (folder / "Caddyfile").write_text("{\n" + "\n".join(options) + "\n}\n" + sites, encoding="utf-8")
    with _running(["caddy", "run", "--config", str(folder / "Caddyfile"), "--adapter", "caddyfile"], port):
        yield


def certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for localhost that nobody has signed, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name, now = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")]), datetime.now(UTC)
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = made.serial_number(x509.random_serial_number()).not_valid_before(now - timedelta(days=1))
    signed = made.not_valid_after(now + timedelta(days=1)).sign(key, hashes.SHA256())
    paths = folder / "localhost.pem", folder / "localhost.key"
    paths[0].write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    paths[1].write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain))
    return paths


def free_port() -> int:
    """One that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


@contextmanager
def _running(command: Sequence[str], port: int) -> Iterator[None]:
    program = shutil.which(command[0], path=_PATH)
    if program is None:
        pytest.skip(f"there is no {command[0]} here")
    process = subprocess.Popen([program, *command[1:]], stderr=subprocess.DEVNULL)
    try:
        until(lambda: _listens(port))
        assert process.poll() is None
        yield
    finally:
        process.terminate()
        process.wait(20)


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 5).close()
    except ConnectionRefusedError:
        return False
    return True


def trusting() -> ssl.SSLContext:
    """Whatever certificate it is."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context
