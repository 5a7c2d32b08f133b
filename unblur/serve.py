"""`unblur serve`: the cameras and the web application, until it is told to stop."""

from __future__ import annotations

import threading
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path

import sqlalchemy as sql

from configs.schema import Config, ConfigError, Notify, load
from stream.events.pagination import Archive
from stream.events.query import Filter
from stream.storage import process_resources
from stream.storage.encryption import opened
from unblur.annex import Annex
from unblur.assemble import Run, assemble
from unblur.demo import configure_demo
from unblur.demo_records import warn_of_demo
from unblur.examination import Examiner
from unblur.folder import DEMO, alone, application_database, folder_of_data, place_of_data, placed
from unblur.housekeeping import Housekeeping
from unblur.notify.mqtt import Mqtt
from unblur.notify.notice import Notice
from unblur.notify.queue import forget_others
from unblur.notify.webhook import Webhook
from unblur.people import People
from unblur.records import Log, Records, earlier
from unblur.signals import end_in_order
from unblur.terminal import messages
from unblur.web.announcing import KEPT
from unblur.web.crops import Crops, Kind, read_crop
from unblur.web.darkroom import Darkroom
from unblur.web.feedback import Feedback
from unblur.web.health import Health
from unblur.web.metrics import Metrics, Tally
from unblur.web.page import Page
from unblur.web.people import PeoplePage
from unblur.web.photo import PhotoPage
from unblur.web.prints import Prints
from unblur.web.reception import Reception
from unblur.web.sightings import Sightings
from unblur.web.upload import Uploads


def serve(path: Path | None, overrides: dict[str, object], demo: bool = False) -> None:
    """Serve what the configuration at `path` says, with `overrides` over it; without any, or for the `demo`, a
    simulated camera, with a folder of data of its own. Recorded sources play at the pace of life, and when they have
    ended, or where there is no camera, the pages stay.

    Raises UsageError, ModelError; ConfigError where others could come in without a password or a token.
    """
    process_resources.share()
    process_resources.allow_many()
    given = load(path, overrides)
    demo = demo or path is None
    data = folder_of_data(place_of_data(given.serve.data) / DEMO if demo else given.serve.data)
    with ExitStack() as stack:
        stack.enter_context(alone(data))
        engine = application_database(data)
        stack.callback(engine.dispose)
        reception = Reception(engine)
        _require_guarded(given, reception.accounts.exist(), data)
        config = _settled(configure_demo(given, data) if demo else given, data)
        if not demo:
            warn_of_demo(config, data, path)
        end_in_order()  # a service that is stopped ends its log like any other
        notices, tally = _notices(config.notify, engine, stack), Tally()
        # Who is known is the People page's to say, from the gallery's file on.
        nobody = config.recognition.model_copy(update={"gallery": None})
        run = assemble(config.model_copy(update={"recognition": nobody}), stack, lambda _: None, tally, *notices)
        watching = run.outputs.watching
        assert watching
        for notice in notices:
            notice.open([source.camera for source in run.sources])
        pages = _pages(config, run, engine, reception, stack)
        health = Health(run, config.output, notices), Metrics(run, tally, notices)
        watching.open(reception.guard(config.web.token), [*pages, *health, *reception.pages])
        messages().say(f"unblur: {watching.address}/")
        run.start()
        threading.Event().wait()


def _require_guarded(config: Config, accounts: bool, data: Path) -> None:
    try:
        config.web.require_guarded(accounts)
    except ConfigError as error:
        raise ConfigError(f"{error}, or add an account: unblur users add NAME --data {data}") from error


def _notices(settings: Notify, engine: sql.Engine, stack: ExitStack) -> list[Notice]:
    """Who is told of events. Raises UsageError."""
    forget_others(engine, [webhook.name for webhook in settings.webhooks])
    notices: list[Notice] = [Webhook(each, engine) for each in settings.webhooks]
    if settings.mqtt:
        notices.insert(0, Mqtt(settings.mqtt))
    for notice in notices:
        stack.callback(notice.close)
    return notices


def _pages(config: Config, run: Run, engine: sql.Engine, reception: Reception, stack: ExitStack) -> list[Page]:
    """Events, people and photos, and what keeps them in order."""
    output, gallery, note = config.output, config.recognition.gallery, reception.audit.note
    assert output.store
    assert output.evidence
    assert gallery
    # What has threads or files is known to the stack as soon as it is made: an interruption may come at any moment.
    examiner, uploads = Examiner(config, run.parts), stack.enter_context(closing(Uploads()))
    people = stack.enter_context(closing(People(gallery, examiner, run.use, note)))
    archive = stack.enter_context(closing(Archive(output.store)))
    read = partial(_opened_crop, output.evidence, run)
    if watching := run.outputs.watching:
        watching.announcer.recall(reversed(archive.page(Filter(), most=KEPT).records))
    photo = PhotoPage(Darkroom(config, lambda: people.gallery), uploads, Prints(), note)
    stack.callback(photo.close)
    stack.enter_context(closing(Housekeeping(config.retention, _records(config, run, engine, stack))))
    return [
        Sightings(archive, Feedback(engine), read, people.add_crop, note),
        PeoplePage(people, examiner, uploads, Crops(archive, read).raw),
        photo,
    ]


def _opened_crop(evidence: Path, run: Run, event: str, kind: Kind) -> bytes:
    return opened(evidence / f"{event}.{kind}.png", read_crop(evidence, event, kind), run.parts.cipher)


def _records(config: Config, run: Run, engine: sql.Engine, stack: ExitStack) -> Records:
    """What is kept, through the very files that the run has open, and the logs of runs before it."""
    logs = [[*earlier(where, stack), Log(where, ledger)] for where, ledger in run.outputs.ledgers]
    gallery, parts = config.recognition.gallery, run.parts
    return Records(gallery, logs, run.outputs.evidence, Annex(engine), parts.cipher, parts.embedder.fingerprint)


def _settled(config: Config, data: Path) -> Config:
    """The configuration with everything in its place in the folder of data, and endless patience: a server stays."""
    config = placed(config, data)
    output = config.output.model_copy(update={"picture": "webrtc"})
    return config.model_copy(update={"output": output, "pace": "realtime", "patience_s": None})
