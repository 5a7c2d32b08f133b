"""Peer connections, from the offer until one side goes: what viewers and guests have in common."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import structlog
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.exceptions import InvalidStateError, OperationError
from aiortc.sdp import candidate_from_sdp

from stream import heap

_CONNECTED_WITHIN_S = 20.0
_UNUSABLE = (ValueError, LookupError, AttributeError, TypeError, AssertionError, OperationError, InvalidStateError)
"""What aiortc raises, from wherever it is, for an SDP that makes no sense."""

log = structlog.get_logger(__name__)


class OfferError(ValueError):
    """An offer that cannot be answered: no SDP, or none with the video that is wanted."""


class CrowdedError(RuntimeError):
    """There are as many connections as there may be."""


@dataclass(slots=True, eq=False)
class _Session:
    camera: str
    connection: RTCPeerConnection
    waiting: asyncio.TimerHandle | None = field(default=None, repr=False)


class Sessions:
    """Connections, each by an id that cannot be guessed, so that it serves as a secret. All methods run on one event
    loop. `who` is what the log calls them."""

    def __init__(self, who: str, most: int) -> None:
        self._who, self._most = who, most
        self._sessions: dict[str, _Session] = {}
        self._leaving: set[asyncio.Task[bool]] = set()

    def __len__(self) -> int:
        return len(self._sessions)

    def __contains__(self, session: str) -> bool:
        return session in self._sessions

    def of(self, camera: str) -> list[str]:
        """The sessions of this camera."""
        return [session for session, each in self._sessions.items() if each.camera == camera]

    async def answer(self, camera: str, offer: str, prepare: Callable[[RTCPeerConnection], None]) -> tuple[str, str]:
        """Answer an offer (SDP): the session's id, and the answer with all of our candidates.

        `prepare` is given the connection before it sees the offer. Raises OfferError, CrowdedError.
        """
        if len(self._sessions) >= self._most:
            raise CrowdedError(f"{self._most} {self._who}s are connected: no more")
        session, each = secrets.token_urlsafe(24), _Session(camera, RTCPeerConnection(RTCConfiguration(iceServers=[])))
        self._sessions[session] = each
        async with AsyncExitStack() as undoing:
            undoing.push_async_callback(self.leave, session)
            prepare(each.connection)
            answer = await _answered(each.connection, offer)
            undoing.pop_all()
        self._attend(session, each)
        log.info(f"a {self._who} came", camera=camera, connected=len(self))
        return session, answer

    async def add_candidates(self, session: str, fragment: str) -> None:
        """What the other side learnt of its own addresses later (RFC 8840). Raises KeyError; OfferError if it makes no
        sense."""
        connection = self._sessions[session].connection
        lines = [line.strip() for line in fragment.splitlines()]
        for line in (each for each in lines if each.startswith(_CANDIDATE) and ".local " not in each):
            try:
                candidate = candidate_from_sdp(line.removeprefix(_CANDIDATE))
            except (ValueError, IndexError, AssertionError) as error:
                raise OfferError(f"no candidate: {line[:80]!r}") from error
            candidate.sdpMLineIndex = 0
            await connection.addIceCandidate(candidate)

    async def leave(self, session: str) -> bool:
        """End a session; whether there was one."""
        each = self._sessions.pop(session, None)
        if each is None:
            return False
        if each.waiting:
            each.waiting.cancel()
            log.info(f"a {self._who} went", camera=each.camera, connected=len(self))
        await each.connection.close()
        heap.trim()  # encoders are large and leave holes (benchmarks/endurance.py)
        return True

    async def close(self) -> None:
        """End them all."""
        await asyncio.gather(*(self.leave(session) for session in list(self._sessions)), *self._leaving)

    def _attend(self, session: str, each: _Session) -> None:
        """End a session that lost its connection, or never makes one."""

        @each.connection.on("connectionstatechange")
        def changed() -> None:
            if each.connection.connectionState == "connected" and each.waiting:
                each.waiting.cancel()
            elif each.connection.connectionState in {"failed", "closed"}:
                self._see_off(session)

        each.waiting = asyncio.get_running_loop().call_later(_CONNECTED_WITHIN_S, self._see_off, session)
        changed()

    def _see_off(self, session: str) -> None:
        task = asyncio.get_running_loop().create_task(self.leave(session))
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)


_CANDIDATE = "a=candidate:"


async def _answered(connection: RTCPeerConnection, offer: str) -> str:
    try:
        await connection.setRemoteDescription(RTCSessionDescription(without_local_names(offer), "offer"))
        if not any(each.kind == "video" and each.mid is not None for each in connection.getTransceivers()):
            raise OfferError("there is no video in the offer")
        await connection.setLocalDescription(await connection.createAnswer())
    except OfferError:
        raise
    except _UNUSABLE as error:
        raise OfferError(f"the offer cannot be answered: {error}") from error
    return connection.localDescription.sdp


def without_local_names(offer: str) -> str:
    """The offer without candidates that only the other side's network can resolve: looking them up takes long, and
    the other side calls us anyway."""
    lines = offer.splitlines()
    return "".join(f"{line}\r\n" for line in lines if not (line.startswith(_CANDIDATE) and ".local " in line))
