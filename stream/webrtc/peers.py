"""Peer connections of viewers and senders, from the offer to the end."""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

import structlog
from aiortc import RTCConfiguration, RTCPeerConnection

from stream.storage import process_resources
from stream.webrtc.client_limiter import ClientLimiter, Limits
from stream.webrtc.sdp import MOST_CANDIDATES, OfferError, answer_offer, count_candidates, read_candidates

PeerKind = Literal["viewer", "guest"]
_CONNECTED_WITHIN_S = 20.0
_PICTURE_WITHIN_S = 10.0
"""Time from the connection to the first frame."""
_KEPT_FAILURES = 10

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class PeerFailure:
    """A peer that signaled, but whose connection carried no frame. `problem` says at which step it failed: ICE, DTLS,
    or later."""

    kind: PeerKind
    camera: str
    at: datetime
    problem: str


Examine = Callable[[RTCPeerConnection], Awaitable[str | None]]
"""Returns why a connection carries no frames; None if it does."""


@dataclass(slots=True, eq=False)
class _Peer:
    camera: str
    client: str
    connection: RTCPeerConnection
    candidates: int
    connected: bool = False
    waiting: asyncio.TimerHandle | None = field(default=None, repr=False)


class PeerManager:
    """Connections, each by an id that cannot be guessed, so that it serves as a secret. All methods run on one event
    loop. `kind` names the peers in the log; `examine` returns what is wrong with a connected one."""

    def __init__(
        self, kind: PeerKind, limits: Limits, examine: Examine, tell: Callable[[PeerFailure], None] = lambda _: None
    ) -> None:
        """`tell` is called with each failure."""
        self._kind, self._examine, self._tell = kind, examine, tell
        self.limiter = ClientLimiter(kind, limits)
        self._sessions: dict[str, _Peer] = {}
        self._tasks: set[asyncio.Task[object]] = set()
        self.failures: deque[PeerFailure] = deque(maxlen=_KEPT_FAILURES)
        """The latest, the newest last."""

    def __len__(self) -> int:
        return len(self._sessions)

    def __contains__(self, session: str) -> bool:
        return session in self._sessions

    def of(self, camera: str) -> list[str]:
        """The sessions of this camera."""
        return [session for session, each in self._sessions.items() if each.camera == camera]

    async def answer(
        self, camera: str, offer: str, prepare: Callable[[RTCPeerConnection], None], client: str | None = None
    ) -> tuple[str, str]:
        """Answer an offer (SDP): the session's id, and the answer with all of our candidates.

        `prepare` is given the connection before it sees the offer; without a `client`, the session is one of its own.
        Raises OfferError, TooManyPeersError.
        """
        session = secrets.token_urlsafe(24)
        self.limiter.enter(client or session)
        connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        each = _Peer(camera, client or session, connection, count_candidates(offer))
        self._sessions[session] = each
        async with AsyncExitStack() as rollback:
            rollback.push_async_callback(self.leave, session)
            prepare(connection)
            answer = await answer_offer(connection, offer)
            rollback.pop_all()
        self._supervise(session, each)
        log.info(f"a {self._kind} came", camera=camera, connected=len(self))
        return session, answer

    async def add_candidates(self, session: str, fragment: str) -> None:
        """Add candidates that the peer found later (RFC 8840). Raises KeyError; OfferError if they are invalid or too
        many."""
        each = self._sessions[session]
        each.candidates += count_candidates(fragment)
        if each.candidates > MOST_CANDIDATES:
            raise OfferError(f"{each.candidates} candidates, more than the {MOST_CANDIDATES} that are tried")
        for candidate in read_candidates(fragment):
            await each.connection.addIceCandidate(candidate)

    async def leave(self, session: str) -> bool:
        """End a session; returns whether it existed."""
        each = self._sessions.pop(session, None)
        if each is None:
            return False
        self.limiter.leave(each.client)
        if each.waiting:
            each.waiting.cancel()
            log.info(f"a {self._kind} went", camera=each.camera, connected=len(self))
        await each.connection.close()
        process_resources.trim()  # encoders are large and leave holes (benchmarks/soak.py)
        return True

    async def close(self) -> None:
        """End all sessions."""
        await asyncio.gather(*(self.leave(session) for session in list(self._sessions)))
        await asyncio.gather(*self._tasks)

    def _supervise(self, session: str, each: _Peer) -> None:
        """End a session that loses its connection, or never connects; record the reason."""

        @each.connection.on("connectionstatechange")
        def changed() -> None:
            if each.connection.connectionState == "connected" and each.waiting and not each.connected:
                each.connected = True
                each.waiting.cancel()
                each.waiting = asyncio.get_running_loop().call_later(_PICTURE_WITHIN_S, self._inspect, session, each)
            elif each.connection.connectionState in {"failed", "closed"}:
                self._give_up(session, each)

        each.waiting = asyncio.get_running_loop().call_later(_CONNECTED_WITHIN_S, self._give_up, session, each)
        changed()

    def _give_up(self, session: str, each: _Peer) -> None:
        if session in self._sessions and not each.connected:
            self._record_failure(each.camera, _describe_failure(each.connection))
        self._start(self.leave(session))

    def _inspect(self, session: str, each: _Peer) -> None:
        self._start(self._record_problem(session, each))

    async def _record_problem(self, session: str, each: _Peer) -> None:
        problem = await self._examine(each.connection)
        if problem and session in self._sessions:
            self._record_failure(each.camera, problem)

    def _record_failure(self, camera: str, problem: str) -> None:
        failure = PeerFailure(self._kind, camera, datetime.now(UTC), problem)
        self.failures.append(failure)
        self._tell(failure)
        log.warning(f"a {self._kind}'s connection carries no picture", camera=camera, problem=problem)

    def _start(self, work: Awaitable[object]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _describe_failure(connection: RTCPeerConnection) -> str:
    """Describe at which step a connection failed."""
    transports = [each.receiver.transport for each in connection.getTransceivers()]
    if any(each.state == "failed" for each in transports):
        return "DTLS: the handshake failed; the peer has no cipher suite in common, or another certificate than it said"
    if any(each.state == "connecting" for each in transports):
        return "DTLS: the peer reaches this machine, and does not finish the handshake"
    return "ICE: no way for UDP between the peer's addresses and this machine's; a firewall, or a network between"
