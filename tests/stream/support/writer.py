"""A process that logs events until it is killed, and says on standard output which ones it may announce."""

import itertools
import sys
from pathlib import Path

import structlog

from stream.events.event_store import SqlEventStore
from stream.events.jsonl_log import JsonlEventLog
from tests.stream.support.events import an_event

structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
where = sys.argv[1]
log = SqlEventStore(where) if "://" in where else JsonlEventLog(Path(where))
for number in itertools.count():
    event = an_event(number, name="名前 " * 200)
    log.write(event)
    sys.stdout.write(f"{event.id}\n")
    sys.stdout.flush()
