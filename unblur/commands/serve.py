"""`unblur serve`: the cameras and the web application, until a signal ends it."""

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
from unblur.commands.options import Command, ConfigOption, FolderOption, command_app, complain, drop_unset, examples
from unblur.data_dir import DEMO, data_folder_path, lock_data_folder, make_data_folder, with_data_paths
from unblur.feedback import Feedback
from unblur.notify.base import Notifier
from unblur.notify.mqtt import MqttNotifier
from unblur.notify.webhook import WebhookNotifier
from unblur.notify.webhook_queue import delete_other_hooks
from unblur.people.gallery_service import GalleryService
from unblur.people.photo_review import PhotoReviewer
from unblur.privacy.app_event_data import AppEventData
from unblur.privacy.personal_data import LogHandle, PersonalData, open_rotated_logs
from unblur.privacy.retention_job import RetentionJob
from unblur.signals import end_in_order
from unblur.terminal import messages
from unblur.web.auth.service import AuthService
from unblur.web.pages.event_crops import CropKind, Crops, read_crop
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
        _serve(config, {"web": drop_unset(host=host, port=port), "serve": drop_unset(data=data)}, demo)
    except KeyboardInterrupt:  # the normal end of a server
        complain("stopped")


def _serve(path: Path | None, overrides: dict[str, object], demo: bool = False) -> None:
    """Serve the configuration at `path` with `overrides` applied; without a path, or with `demo`, a simulated camera
    with its own data folder. Recorded sources play in real time; the pages stay available after their end, and without
    any camera.

    Raises UsageError, ModelError; ConfigError if other machines could connect without a password or a token.
    """
    process_resources.share()
    process_resources.raise_open_file_limit()
    given = load(path, overrides)
    demo = demo or path is None
    data = make_data_folder(data_folder_path(given.serve.data) / DEMO if demo else given.serve.data)
    with ExitStack() as stack:
        stack.enter_context(lock_data_folder(data))
        engine = application_database(data)
        stack.callback(engine.dispose)
        auth = AuthService(engine)
        _require_guarded(given, auth.accounts.exist(), data)
        config = _apply_serve_defaults(configure_demo(given, data) if demo else given, data)
        if not demo:
            warn_of_demo(config, data, path)
        end_in_order()  # a stopped service also ends its log properly
        notifiers, event_counter = _make_notifiers(config.notify, engine, stack), EventCounter()
        # The run starts without a gallery: the gallery service loads it and keeps it up to date.
        no_gallery = config.recognition.model_copy(update={"gallery": None})
        run = assemble(
            config.model_copy(update={"recognition": no_gallery}),
            stack,
            lambda _: None,
            event_counter,
            *notifiers,
            make_live_view=partial(LiveView, config.web),
        )
        live_view = run.outputs.live_view
        assert isinstance(live_view, LiveView)
        for notifier in notifiers:
            notifier.open([source.camera for source in run.sources])
        pages = _pages(config, run, engine, auth, stack)
        health = Health(run, config.output, notifiers), Metrics(run, event_counter, notifiers)
        live_view.open(auth.guard(config.web.token), [*pages, *health, *auth.pages])
        messages().say(f"Open {live_view.address}/ · data in {data} · Ctrl-C stops")
        run.start()
        threading.Event().wait()


def _require_guarded(config: Config, accounts: bool, data: Path) -> None:
    try:
        config.web.require_guarded(accounts)
    except ConfigError as error:
        raise ConfigError(f"{error}, or add an account: unblur users add NAME --data {data}") from error


def _make_notifiers(settings: Notify, engine: sql.Engine, stack: ExitStack) -> list[Notifier]:
    """Make the configured event notifiers. Raises UsageError."""
    delete_other_hooks(engine, [webhook.name for webhook in settings.webhooks])
    notifiers: list[Notifier] = [WebhookNotifier(each, engine) for each in settings.webhooks]
    if settings.mqtt:
        notifiers.insert(0, MqttNotifier(settings.mqtt))
    for notifier in notifiers:
        stack.callback(notifier.close)
    return notifiers


def _pages(config: Config, run: Run, engine: sql.Engine, auth: AuthService, stack: ExitStack) -> list[Page]:
    """Make the pages of events, people and photos, and the services behind them."""
    output, gallery, note = config.output, config.recognition.gallery, auth.audit.note
    assert output.store
    assert output.evidence
    assert gallery
    # Objects with threads or files go on the stack as soon as they are made: an interruption may come at any time.
    reviewer, uploads = PhotoReviewer(config, run.parts), stack.enter_context(closing(Uploads()))
    people = stack.enter_context(closing(GalleryService(gallery, reviewer, run.use_gallery, note)))
    pager = stack.enter_context(closing(EventPager(output.store)))
    read = partial(_read_crop, output.evidence, run)
    if isinstance(live_view := run.outputs.live_view, LiveView):
        live_view.announcer.recall(reversed(pager.page(EventFilter(), most=KEPT).records))
    photo = PhotoPage(PhotoWorker(config, lambda: people.gallery), uploads, ResultCache(), note)
    stack.callback(photo.close)
    stack.enter_context(closing(RetentionJob(config.retention, _open_records(config, run, engine, stack))))
    return [
        EventsPage(pager, Feedback(engine), read, people.add_crop, note),
        PeoplePage(people, reviewer, uploads, Crops(pager, read).raw),
        photo,
    ]


def _read_crop(evidence: Path, run: Run, event: str, kind: CropKind) -> bytes:
    return decrypt_if(evidence / f"{event}.{kind}.png", read_crop(evidence, event, kind), run.parts.cipher)


def _open_records(config: Config, run: Run, engine: sql.Engine, stack: ExitStack) -> PersonalData:
    """The run's personal data, through its own open files, with the rotated logs of earlier runs."""
    logs = [[*open_rotated_logs(where, stack), LogHandle(where, ledger)] for where, ledger in run.outputs.event_stores]
    gallery, parts = config.recognition.gallery, run.parts
    return PersonalData(
        gallery, logs, run.outputs.evidence, AppEventData(engine), parts.cipher, parts.embedder.fingerprint
    )


def _apply_serve_defaults(config: Config, data: Path) -> Config:
    """Return the configuration with its files in the data folder, the live page as output, real-time playback and
    endless reconnecting."""
    config = with_data_paths(config, data)
    output = config.output.model_copy(update={"picture": "webrtc"})
    return config.model_copy(update={"output": output, "pace": "realtime", "patience_s": None})
