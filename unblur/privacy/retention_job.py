"""Background job that applies the retention limits while the application runs: at its start, and every hour."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

import structlog

from configs.schema import Retention
from stream.errors import UnblurError
from stream.threads import SupervisedThread
from unblur.privacy.personal_data import PersonalData
from unblur.privacy.retention import RetentionReport, apply_retention

_EVERY_S = 3600.0

_log = structlog.get_logger(__name__)


class RetentionJob:
    """Applies `limits` to `records` on its own thread, from construction until `close`."""

    def __init__(self, limits: Retention, records: PersonalData) -> None:
        self._limits, self._records = limits, records
        self._closing = threading.Event()
        self._thread = SupervisedThread("housekeeping", self._run)
        self._thread.start()

    def close(self) -> None:
        """Finish the current pass and end the thread."""
        self._closing.set()
        self._thread.close()

    def _run(self) -> None:
        while True:
            try:
                self._log_report(apply_retention(self._limits, self._records, datetime.now(UTC), serving=True))
            except (UnblurError, OSError) as error:  # try again in the next pass
                self._log_failure(str(error))
            if self._closing.wait(_EVERY_S):
                return

    def _log_report(self, expired: RetentionReport) -> None:
        counts = {"events": expired.entries, "bundles": expired.bundles, "annexed": expired.app_rows}
        counts["people"] = len(expired.people)
        if any(counts.values()):
            _log.info("expired", **counts)
        for why in expired.failed:
            self._log_failure(why)

    def _log_failure(self, why: str) -> None:
        _log.warning("what is kept too long could not be deleted", reason=why)
