"""`unblur serve`: the cameras and the web application, until it is told to stop."""

from __future__ import annotations

import threading
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from typing import Annotated

import sqlalchemy as sql
import typer

from configs.errors import ConfigError
from configs.loader import load
from configs.schema import Config, Notify
from stream.events.pagination import EventPager
from stream.events.query import EventFilter
from stream.storage import process_resources
from stream.storage.encryption import decrypt_if
from unblur.app_database import application_database
from unblur.assembly.pipeline_run import Run, assemble
from unblur.commands.demo import configure_demo
from unblur.commands.demo_cleanup import warn_of_demo
from unblur.commands.options import Command, ConfigOption, FolderOption, command_app, complain, examples, given
from unblur.data_dir import DEMO, alone, folder_of_data, place_of_data, placed
from unblur.feedback import Feedback
from unblur.notify.base import Notifier
from unblur.notify.mqtt import Mqtt
from unblur.notify.webhook import Webhook
from unblur.notify.webhook_queue import forget_others
from unblur.people.gallery_service import GalleryService
from unblur.people.photo_review import PhotoReviewer
from unblur.privacy.app_event_data import AppEventData
from unblur.privacy.personal_data import LogHandle, PersonalData, earlier
from unblur.privacy.retention_job import RetentionJob
from unblur.signals import end_in_order
from unblur.terminal import messages
from unblur.web.auth.service import AuthService
from unblur.web.pages.event_crops import Crops, Kind, read_crop
from unblur.web.pages.events_page import EventsPage
from unblur.web.pages.health import Health
from unblur.web.pages.live import LiveView
from unblur.web.pages.metrics import EventCounter, Metrics
from unblur.web.pages.people_page import PeoplePage
from unblur.web.photos.photo_page import PhotoPage
from unblur.web.photos.photo_worker import PhotoWorker
from unblur.web.photos.result_cache import ResultCache
from unblur.web.photos.uploads import Uploads
from unblur.web.streaming.sse import KEPT
from unblur.web.transport.app import Page

app = command_app()


@app.command(
    cls=Command,
    epilog=examples(
        "unblur serve --demo", "unblur serve -c unblur.yaml", "unblur serve -c unblur.yaml --host 0.0.0.0 --port 8443"
    ),
)
def serve(
    config: ConfigOption = None,
    host: Annotated[str | None, typer.Option(help="The address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="The port to listen on; 0 picks a free port.")] = None,
    data: FolderOption = None,
    demo: Annotated[
        bool, typer.Option("--demo", help="Show a simulated camera, with a folder of its own within that of --data.")
    ] = False,
) -> None:
    """Serve the web application: live view, events, people.

    Without --config it serves the simulated camera of --demo.
    """
    try:
        _serve(config, {"web": given(host=host, port=port), "serve": given(data=data)}, demo)
    except KeyboardInterrupt:  # a signal is how a server ends
        complain("stopped")


def _serve(path: Path | None, overrides: dict[str, object], demo: bool = False) -> None:
    """Serve what the configuration at `path` says, with `overrides` over it; without any, or for the `demo`, a
    simulated camera, with a folder of data of its own. Recorded sources play at the pace of life, and when they have
    ended, or where there is no camera, the pages stay.

    Raises UsageError, ModelError; ConfigError where others could come in without a password or a token.
    """
    process_resources.share()
    process_resources.raise_open_file_limit()
    given = load(path, overrides)
    demo = demo or path is None
    data = folder_of_data(place_of_data(given.serve.data) / DEMO if demo else given.serve.data)
    with ExitStack() as stack:
        stack.enter_context(alone(data))
        engine = application_database(data)
        stack.callback(engine.dispose)
        reception = AuthService(engine)
        _require_guarded(given, reception.accounts.exist(), data)
        config = _settled(configure_demo(given, data) if demo else given, data)
        if not demo:
            warn_of_demo(config, data, path)
        end_in_order()  # a service that is stopped ends its log like any other
        notices, tally = _notices(config.notify, engine, stack), EventCounter()
        # Who is known is the People page's to say, from the gallery's file on.
        nobody = config.recognition.model_copy(update={"gallery": None})
        run = assemble(
            config.model_copy(update={"recognition": nobody}),
            stack,
            lambda _: None,
            tally,
            *notices,
            make_live_view=partial(LiveView, config.web),
        )
        live_view = run.outputs.live_view
        assert isinstance(live_view, LiveView)
        for notice in notices:
            notice.open([source.camera for source in run.sources])
        pages = _pages(config, run, engine, reception, stack)
        health = Health(run, config.output, notices), Metrics(run, tally, notices)
        live_view.open(reception.guard(config.web.token), [*pages, *health, *reception.pages])
        messages().say(f"unblur: {live_view.address}/")
        run.start()
        threading.Event().wait()


def _require_guarded(config: Config, accounts: bool, data: Path) -> None:
    try:
        config.web.require_guarded(accounts)
    except ConfigError as error:
        raise ConfigError(f"{error}, or add an account: unblur users add NAME --data {data}") from error


def _notices(settings: Notify, engine: sql.Engine, stack: ExitStack) -> list[Notifier]:
    """Who is told of events. Raises UsageError."""
    forget_others(engine, [webhook.name for webhook in settings.webhooks])
    notices: list[Notifier] = [Webhook(each, engine) for each in settings.webhooks]
    if settings.mqtt:
        notices.insert(0, Mqtt(settings.mqtt))
    for notice in notices:
        stack.callback(notice.close)
    return notices


def _pages(config: Config, run: Run, engine: sql.Engine, reception: AuthService, stack: ExitStack) -> list[Page]:
    """Events, people and photos, and what keeps them in order."""
    output, gallery, note = config.output, config.recognition.gallery, reception.audit.note
    assert output.store
    assert output.evidence
    assert gallery
    # What has threads or files is known to the stack as soon as it is made: an interruption may come at any moment.
    examiner, uploads = PhotoReviewer(config, run.parts), stack.enter_context(closing(Uploads()))
    people = stack.enter_context(closing(GalleryService(gallery, examiner, run.use_gallery, note)))
    archive = stack.enter_context(closing(EventPager(output.store)))
    read = partial(_opened_crop, output.evidence, run)
    if isinstance(live_view := run.outputs.live_view, LiveView):
        live_view.announcer.recall(reversed(archive.page(EventFilter(), most=KEPT).records))
    photo = PhotoPage(PhotoWorker(config, lambda: people.gallery), uploads, ResultCache(), note)
    stack.callback(photo.close)
    stack.enter_context(closing(RetentionJob(config.retention, _records(config, run, engine, stack))))
    return [
        EventsPage(archive, Feedback(engine), read, people.add_crop, note),
        PeoplePage(people, examiner, uploads, Crops(archive, read).raw),
        photo,
    ]


def _opened_crop(evidence: Path, run: Run, event: str, kind: Kind) -> bytes:
    return decrypt_if(evidence / f"{event}.{kind}.png", read_crop(evidence, event, kind), run.parts.cipher)


def _records(config: Config, run: Run, engine: sql.Engine, stack: ExitStack) -> PersonalData:
    """What is kept, through the very files that the run has open, and the logs of runs before it."""
    logs = [[*earlier(where, stack), LogHandle(where, ledger)] for where, ledger in run.outputs.event_stores]
    gallery, parts = config.recognition.gallery, run.parts
    return PersonalData(
        gallery, logs, run.outputs.evidence, AppEventData(engine), parts.cipher, parts.embedder.fingerprint
    )


def _settled(config: Config, data: Path) -> Config:
    """The configuration with everything in its place in the folder of data, and endless patience: a server stays."""
    config = placed(config, data)
    output = config.output.model_copy(update={"picture": "webrtc"})
    return config.model_copy(update={"output": output, "pace": "realtime", "patience_s": None})
