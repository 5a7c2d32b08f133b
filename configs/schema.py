"""What can be configured. Every key has a default except the cameras; unknown keys are refused with their path.

`default.yaml` shows every key with its default; `unblur.schema.json` is the same for editors.
Secrets stay out of the file: `${NAME}` in any text value is replaced by the environment variable NAME. In an address it
is percent-encoded where it stands before the @ (user and password), or as a value after the ?, unless it is so already:
unless, that is, it holds a percent sign with two hexadecimal digits and nothing that would have to be encoded.
"""

from __future__ import annotations

import base64
import binascii
import re
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Annotated, Literal, Self, cast, get_args
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    SecretStr,
    WithJsonSchema,
    field_validator,
    model_validator,
)
from pydantic.config import JsonDict

from configs.errors import ConfigError

_LONGEST_PREFIX = 200
_PREFIX = re.compile(r"(/[A-Za-z0-9._~-]+){0,16}")

SCREENS = frozenset({"window", "webrtc", "none"})
"""What a picture goes to that is no file."""
_PRETRAINED = frozenset({"sface", "facenet"})
"""Embedders that are not fitted to anybody's photos here."""
_OWN = frozenset({"127.0.0.1", "::1", "localhost"})
"""Addresses that only this machine reaches."""

_EARLIEST, _LATEST = datetime(1900, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
_LONGEST_MEDIA_S = 1e7
"""115 days of media time."""


def _at_home(text: str) -> str:
    """With the home folder for a ~ at the beginning. Raises ValueError."""
    if "\0" in text:
        raise ValueError("no path holds the character NUL")
    try:
        return str(Path(text).expanduser()) if text.startswith("~") else text
    except RuntimeError as error:
        raise ValueError(f"there is no home folder for {Path(text).parts[0]}") from error


def _path_at_home(path: Path) -> Path:
    return Path(_at_home(str(path)))


def _database_at_home(url: str) -> str:
    scheme, slashes, file = url.partition(":///")
    return f"{scheme}{slashes}{_at_home(file)}" if slashes else url


LocalPath = Annotated[Path, AfterValidator(_path_at_home)]
"""A file or folder of this machine; ~ is the home folder."""
Fraction01 = Annotated[float, Field(gt=0, le=1)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _empty_is_default(cls, given: object) -> object:
        """A key with nothing behind it, whose entries were all commented out, say, is as good as none."""
        if not isinstance(given, dict):
            return given
        nothing = {key for key, field in cls.model_fields.items() if type(None) not in get_args(field.annotation)}
        return {key: value for key, value in given.items() if value is not None or key not in nothing}


def _require_text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("must be text")
    if not value:
        raise ValueError("must not be empty")
    return value


FileText = Annotated[str, PlainValidator(_require_text), WithJsonSchema({"type": "string", "minLength": 1})]
"""Text that may name a file. Unlike pydantic's own `str` it takes what Python makes of a name that is not UTF-8."""


class Camera(_Section):
    """One named source."""

    source: FileText = Field(description="A webcam index, /dev/videoN, rtsp:// or http(s):// URL, file, folder.")
    name: str | None = Field(None, min_length=1, max_length=64, description="The camera's name in the log.")
    shutter: Fraction01 | None = Field(None, description="Exposure as a fraction of the frame time; estimated if null.")
    start_time: AwareDatetime | None = Field(None, description="Recorded: wall time of the first frame.")
    begin_s: float = Field(
        0.0, ge=0, le=_LONGEST_MEDIA_S, description="Recorded: skip what lies before this media time (--from)."
    )
    end_s: float | None = Field(
        None, gt=0, le=_LONGEST_MEDIA_S, description="Recorded: stop at this media time (--to)."
    )
    fps: float = Field(25.0, gt=0, le=1000, description="Folders of pictures: how many make a second.")
    rotate: Literal[0, 90, 180, 270] = Field(0, description="Degrees clockwise that make its pictures upright.")
    stream: int | None = Field(
        None,
        ge=1,
        le=64,
        description="Which of several video streams, from 1; null: the first, and the others are named.",
    )
    transport: Literal["auto", "tcp", "udp"] = Field(
        "auto", description="RTSP: auto is TCP, or UDP where the camera has no other."
    )
    picture_s: float = Field(
        3.0, ge=0.5, le=600, description="Live: the least silence after which the camera is called again."
    )
    keyframe_s: float = Field(
        30.0, ge=0.5, le=600, description="Live: how long a key frame, from which pictures can be decoded, may take."
    )
    snapshot_s: float = Field(
        0.5, ge=0.04, le=3600, description="An address that gives one JPEG for each request: seconds between requests."
    )

    @field_validator("source", mode="before")
    @classmethod
    def _webcam(cls, source: object) -> object:
        """YAML reads a bare `0` as a number."""
        return str(source) if isinstance(source, int) and not isinstance(source, bool) else source

    @field_validator("start_time")
    @classmethod
    def _of_our_time(cls, start_time: datetime | None) -> datetime | None:
        if start_time is not None and not _EARLIEST <= start_time <= _LATEST:
            raise ValueError("must lie in the years 1900 to 2200")
        return start_time

    @model_validator(mode="after")
    def _ordered(self) -> Camera:
        if self.end_s is not None and self.end_s <= self.begin_s:
            raise ValueError("end_s must lie after begin_s")
        return self


class Detection(_Section):
    """How faces are found."""

    detector: Literal["yunet", "mtcnn"] = "yunet"
    size: int = Field(640, ge=64, le=4096, description="Long side of the picture the detector sees, in pixels.")
    min_confidence: float | None = Field(None, gt=0, lt=1, description="Faces below it are ignored; null: as measured.")


def _with_old_names(schema: JsonDict) -> None:
    """What `configs.loader` still reads for one release, for editors that check against the schema."""
    properties = cast(dict[str, JsonDict], schema["properties"])
    properties["looks"] = {**properties["passes"], "deprecated": True, "description": "The old name of passes."}
    cast(list[str], properties["preset"]["enum"]).append("seed")


class Deblurring(_Section):
    """How blurred crops are restored."""

    model_config = ConfigDict(json_schema_extra=_with_old_names)

    mode: Literal["auto", "cnn", "richardson-lucy", "off"] = "auto"
    preset: Literal["motion", "box5"] = Field("motion", description="box5: the fixed 5 x 5 mean kernel of the paper.")
    passes: int = Field(3, ge=1, le=4, description="Passes of the network over a crop: 1 is fastest.")

    @model_validator(mode="after")
    def _box_kernel_has_no_network(self) -> Self:
        if self.mode == "cnn" and self.preset == "box5":
            raise ValueError("the preset box5 is Richardson-Lucy: it goes with the modes auto and richardson-lucy")
        return self

    @field_validator("mode", mode="before")
    @classmethod
    def _yaml_off(cls, mode: object) -> object:
        return "off" if mode is False else mode  # YAML reads a bare `off` as false


class Recognition(_Section):
    """Who is known, and how sure a name must be."""

    gallery: LocalPath | None = Field(
        None, description="A gallery made by `unblur enroll`; without one all are unknown."
    )
    fpir: float = Field(0.01, ge=1e-6, le=0.5, description="The share of strangers who may be given a name.")
    threshold: float | None = Field(None, gt=-1, lt=1, description="Cosine similarity; by fpir and gallery if null.")
    embedder: Literal["sface", "facenet", "pca", "lda", "lpp", "fusion-cnn"] = Field(
        "sface", description="What makes embeddings of faces; all but sface need a threshold."
    )
    fitted: LocalPath | None = Field(None, description="pca, lda, lpp, fusion-cnn: the file made by `unblur fit`.")

    @model_validator(mode="after")
    def _fitted_where_it_must_be(self) -> Self:
        if (self.fitted is None) != (self.embedder in _PRETRAINED):
            wants = "takes no file: leave fitted out" if self.fitted else "needs a file: set fitted, see `unblur fit`"
            raise ValueError(f"the embedder {self.embedder} {wants}")
        return self

    @model_validator(mode="after")
    def _calibrated(self) -> Self:
        if self.embedder != "sface" and self.threshold is None:
            how = "set threshold, above what strangers score (docs/design/recognition.md)"
            raise ValueError(f"no threshold was measured for the embedder {self.embedder}: {how}")
        return self


def path_prefix(prefix: str) -> str:
    """A path below which an application is published: empty, or `/` and segments of letters, digits and `-._~`, with
    no slash at its end. Raises ValueError."""
    trimmed = prefix.rstrip("/")
    segments = trimmed.split("/")[1:]
    if len(trimmed) > _LONGEST_PREFIX or not _PREFIX.fullmatch(trimmed) or {".", ".."} & set(segments):
        raise ValueError("a path prefix is / and names of ASCII letters, digits and - . _ ~, as /cams")
    return trimmed


class Web(_Section):
    """Where the pictures can be watched: the picture `webrtc`."""

    host: str = Field("127.0.0.1", min_length=1, description="The address to listen on; 0.0.0.0 is all of them.")
    port: int = Field(8080, ge=0, le=65535, description="0: any that is free.")
    token: str | None = Field(None, min_length=16, description="What a viewer must know, as ${NAME}; null: nothing.")
    prefix: Annotated[str, AfterValidator(path_prefix)] = Field(
        "", description="The path below which a reverse proxy publishes the pages, as /cams."
    )
    codec: Literal["vp8", "h264"] = Field("vp8", description="h264 costs less, and is softer where much moves.")
    viewers: int = Field(
        32, ge=1, le=10_000, description="Browsers at once, each with any of the cameras; programs: connections."
    )

    def require_guarded(self, accounts: bool = False) -> None:
        """Raises ConfigError where others can reach the address, and neither token nor accounts keep them out. Whether
        there are accounts, the configuration cannot know; only `unblur serve` has any."""
        if self.token is None and not accounts and self.host not in _OWN:
            raise ConfigError(
                f"web.host: others can reach {self.host}: set web.token (${{NAME}} takes an environment variable)"
            )


def zone_of(name: str) -> tzinfo:
    """The time zone of this name (IANA). Raises ValueError."""
    try:
        return UTC if name == "UTC" else ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"no time zone is called {name!r}: use a name such as Europe/Berlin, or UTC") from error


def _known_zone(name: str) -> str:
    zone_of(name)
    return name


class Output(_Section):
    """What leaves the house."""

    picture: Annotated[FileText, AfterValidator(_at_home)] = Field(
        "none", description="window, webrtc, none, or a file ending in .mp4"
    )
    events: LocalPath | None = Field(None, description="The event log, one JSON object a line.")
    store: Annotated[str, AfterValidator(_database_at_home)] | None = Field(
        None, description="The event store, as sqlite:///FILE."
    )
    evidence: LocalPath | None = Field(None, description="A folder for what each event rests on.")
    redact: Literal["unknown", "all"] | None = Field(
        None,
        description="Whose faces are made unrecognisable in every picture that leaves; unknown: without a name yet.",
    )
    time_zone: Annotated[str, AfterValidator(_known_zone)] | None = Field(
        None, description="Of the time on the pictures, as Europe/Berlin or UTC; null: this machine's own."
    )
    quiet: bool = False

    @property
    def zone(self) -> tzinfo | None:
        """The zone of the time on the pictures; None is this machine's own."""
        return zone_of(self.time_zone) if self.time_zone else None

    @model_validator(mode="after")
    def _known_picture(self) -> Output:
        if self.picture not in SCREENS and not self.picture.lower().endswith(".mp4"):
            raise ValueError(f"picture is window, webrtc, none or a file ending in .mp4, not {self.picture!r}")
        return self


class Encryption(_Section):
    """Encryption at rest: galleries, their face thumbnails, and the images of evidence."""

    key: LocalPath | None = Field(
        None, description="A file with 32 bytes in URL-safe base64; null: nothing is encrypted."
    )


class Limit(_Section):
    """What is older, or more, goes, the oldest first."""

    days: float | None = Field(None, gt=0, le=36_500)
    megabytes: float | None = Field(None, gt=0, le=1e9, description="Of 1,000,000 bytes.")


class Retention(_Section):
    """How long what was learnt of people is kept; `unblur forget --expired` carries it out."""

    crops: Limit = Limit()
    events: Limit = Limit()
    galleries: Limit = Limit()


class Serve(_Section):
    """The web application."""

    data: LocalPath | None = Field(None, description="A folder for people, events and crops; null: the user's own.")


class Mqtt(_Section):
    """An MQTT broker that receives the events."""

    host: str = Field(min_length=1, description="The broker's address.")
    port: int = Field(1883, ge=1, le=65535, description="8883 is usual with TLS.")
    username: str | None = None
    password: SecretStr | None = Field(None, description="As ${NAME}.")
    tls: bool = Field(False, description="Encrypt, and check the broker's certificate.")
    ca: LocalPath | None = Field(None, description="Whose certificates to trust; null: those that the system trusts.")
    prefix: str = Field("unblur", pattern=r"^[^+#$\x00]+$", description="What the topics begin with.")
    discovery: str | None = Field(
        "homeassistant", pattern=r"^[^+#$\x00]+$", description="Home Assistant's prefix for discovery; null: none."
    )

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        if self.ca is not None and not self.tls:
            raise ValueError("ca needs tls: true")
        if self.password is not None and self.username is None:
            raise ValueError("a password needs a username")
        return self


def _signing(secret: SecretStr) -> SecretStr:
    """Standard Webhooks: whsec_ and the base64 of 24 to 64 bytes."""
    prefix, _, encoded = secret.get_secret_value().partition("_")
    try:
        key = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        key = b""
    if prefix != "whsec" or not 24 <= len(key) <= 64:
        raise ValueError("a secret is whsec_ and the base64 of 24 to 64 bytes: whsec_$(openssl rand -base64 32)")
    return secret


class Webhook(_Section):
    """An address that gets signed POSTs."""

    name: str = Field(min_length=1, max_length=64, description="What it is called on the health page.")
    url: SecretStr = Field(description="http:// or https://; it may hold a secret, and is shown nowhere.")
    secret: Annotated[SecretStr, AfterValidator(_signing)] = Field(description="What it is signed with, as ${NAME}.")
    who: Literal["anybody", "known", "unknown"] = "anybody"
    people: tuple[str, ...] = Field((), description="Only these; empty: no matter who.")
    cameras: tuple[str, ...] = Field((), description="Only these; empty: every camera.")
    types: tuple[Literal["new", "update", "end"], ...] = Field((), description="Only these; empty: every event.")

    @field_validator("url")
    @classmethod
    def _address(cls, url: SecretStr) -> SecretStr:
        parts = urlsplit(url.get_secret_value())
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("a webhook's url begins with http:// or https://")
        return url


class Notify(_Section):
    """Where events are sent, besides the log."""

    mqtt: Mqtt | None = Field(None, description="host, port, username, password, tls, ca, prefix, discovery")
    webhooks: tuple[Webhook, ...] = Field((), description="name, url, secret, who, people, cameras, types")

    @field_validator("webhooks")
    @classmethod
    def _each_its_name(cls, webhooks: tuple[Webhook, ...]) -> tuple[Webhook, ...]:
        if len({webhook.name for webhook in webhooks}) < len(webhooks):
            raise ValueError("two webhooks have the same name")
        return webhooks


class Config(_Section):
    """A whole run of unblur."""

    cameras: tuple[Camera, ...] = Field((), description="Sources on the command line take their place.")
    detection: Detection = Detection()
    deblur: Deblurring = Deblurring()
    recognition: Recognition = Recognition()
    output: Output = Output()
    web: Web = Web()
    serve: Serve = Serve()
    encryption: Encryption = Encryption()
    retention: Retention = Retention()
    notify: Notify = Notify()
    pace: Literal["realtime", "fast"] = Field("fast", description="Recorded sources: as filmed, or as fast as it goes.")
    patience_s: float | None = Field(
        10.0,
        gt=0,
        le=1e6,
        description="A lone live camera: give up if it does not answer in this time; null waits for ever.",
    )
    backend: Literal["auto", "tensorrt", "tensorrt-rtx", "cuda", "onnxruntime", "openvino", "openvino-bf16"] = Field(
        "auto", description="What runs the networks; auto: the first of the chain in docs/design/runtime.md that can."
    )
