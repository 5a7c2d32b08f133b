"""The configuration: what it accepts, what it refuses and how it says so."""

import json
from contextlib import suppress
from datetime import UTC
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from configs.errors import ConfigError
from configs.loader import load
from configs.schema import Config

CONFIGS = Path(__file__).parents[2] / "configs"
HOOK = f"{{name: a, url: 'http://h/', secret: whsec_{'A' * 32}}}"


def write(folder: Path, text: str) -> Path:
    path = folder / "unblur.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_default_yaml_names_every_key_with_its_default() -> None:
    written = yaml.safe_load((CONFIGS / "default.yaml").read_text(encoding="utf-8"))
    assert written == Config().model_dump(mode="json")


def test_the_schema_for_editors_is_current() -> None:
    assert json.loads((CONFIGS / "unblur.schema.json").read_text(encoding="utf-8")) == Config.model_json_schema()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("cameras:\n- source: a.mp4\n  sorce: b", "cameras[0].sorce: unknown key"),
        ("deblur: {mode: magic}", "deblur.mode"),
        ("output: {picture: film.avi}", "picture is window, webrtc, none or a file ending in .mp4"),
        ("cameras:\n- {source: a.mp4, begin_s: 5, end_s: 4}", "end_s must lie after begin_s"),
        ("cameras:\n- {source: a.mp4, start_time: 2026-01-01T00:00:00}", "timezone"),
        ("recognition: {embedder: facenet}", "no threshold was measured for the embedder facenet: set threshold"),
        ("recognition: {embedder: lda, threshold: 0.5}", "the embedder lda needs a file: set fitted"),
        ("recognition: {fitted: lda.onnx}", "the embedder sface takes no file: leave fitted out"),
        ("notify: {mqtt: {}}", "notify.mqtt.host"),
        ("notify: {mqtt: {host: b, ca: x.pem}}", "ca needs tls: true"),
        ("notify: {mqtt: {host: b, password: x}}", "a password needs a username"),
        ("notify: {mqtt: {host: b, prefix: a/#}}", "notify.mqtt.prefix"),
        ("notify: {webhooks: [{name: a, url: ftp://h/, secret: whsec_}]}", "begins with http:// or https://"),
        ("notify: {webhooks: [{name: a, url: 'http://h/', secret: short}]}", "a secret is whsec_ and the base64"),
        (f"notify: {{webhooks: [{HOOK}, {HOOK}]}}", "two webhooks have the same name"),
        ("cameras:\n- {source: [a]}", "cameras[0].source: must be text"),
        ("cameras:\n- {name: a}", "cameras[0].source: is missing"),
        ("cameras:\n- {source:}", "cameras[0].source: is missing"),
        ("cameras: a.mp4", "cameras: must be a list"),
        ("deblur: 3", "deblur: must hold keys, one a line"),
        ("web: {port: http}", "web.port: must be a whole number"),
        ("output: {quiet: maybe}", "output.quiet: must be true or false"),
        ("retention: {events: {days: 1e9}}", "retention.events.days: must be at most 36500"),
        ("retention: {crops: {megabytes: 1.0e+30}}", "retention.crops.megabytes: must be at most"),
        ("retention: {crops: {days: .inf}}", "retention.crops.days: must be"),
        ("patience_s: .nan", "patience_s: must be"),
        ("cameras:\n- {source: a.mp4, end_s: 1e300}", "cameras[0].end_s: must be at most"),
        ("cameras:\n- {source: a.mp4, start_time: 9999-12-31T23:59:59Z}", "years 1900 to 2200"),
        ("web: {viewers: 100000000000}", "web.viewers: must be at most"),
        ('recognition: {gallery: "a\\0b"}', "no path holds the character NUL"),
        ("output: {events: ~nobody_of_this_name/e.jsonl}", "no home folder for ~nobody_of_this_name"),
        ("[1, 2]", "holds no keys"),
        ("[]", "holds no keys"),
        ("a: [", "is not YAML"),
        ("recognition: {gallery: '${NOT_SET_ANYWHERE}'}", "environment variable NOT_SET_ANYWHERE is not set"),
    ],
)
def test_faults_are_named_in_one_line(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(write(tmp_path, text), {})
    assert complaint in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_secret_comes_from_the_environment_and_never_shows_in_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOOR_PASSWORD", "s3cret")
    path = write(tmp_path, "cameras: [{name: door, source: 'rtsp://u:${DOOR_PASSWORD}@h/1'}]")
    assert load(path, {}).cameras[0].source == "rtsp://u:s3cret@h/1"
    path = write(tmp_path, "cameras: [{name: door, source: ['rtsp://u:${DOOR_PASSWORD}@h/1']}]")
    with pytest.raises(ConfigError) as caught:
        load(path, {})
    assert "s3cret" not in str(caught.value)
    hook = "{name: a, url: 'http://u:${DOOR_PASSWORD}@h/', secret: '${DOOR_PASSWORD}'}"
    with pytest.raises(ConfigError) as caught:
        load(write(tmp_path, f"notify: {{webhooks: [{hook}]}}"), {})
    assert "s3cret" not in str(caught.value)
    config = load(write(tmp_path, "notify: {mqtt: {host: b, username: u, password: '${DOOR_PASSWORD}'}}"), {})
    assert "s3cret" not in repr(config)


@pytest.mark.parametrize(
    ("source", "secret", "meant"),
    [
        ("rtsp://admin:${PW}@h/c", "p@ss/w#rd?%41", "rtsp://admin:p%40ss%2Fw%23rd%3F%2541@h/c"),
        ("rtsp://admin:${PW}@h/c", "p%40ss", "rtsp://admin:p%40ss@h/c"),
        ("rtsp://admin:${PW}@h/c", "100%", "rtsp://admin:100%25@h/c"),
        ("rtsp://admin:${PW}@h/c", "schön", "rtsp://admin:sch%C3%B6n@h/c"),
        ("rtsp://${PW}@h/c", "me:a/b", "rtsp://me:a%2Fb@h/c"),
        ("http://h/snap?user=me&pwd=${PW}", "a&b#c+d", "http://h/snap?user=me&pwd=a%26b%23c%2Bd"),
        ("http://h/snap?${PW}", "user=me&pwd=x", "http://h/snap?user=me&pwd=x"),
        ("rtsp://h/${PW}", "a/b?c", "rtsp://h/a/b?c"),
        ("${PW}", "rtsp://me:a@h/c?d", "rtsp://me:a@h/c?d"),
        ("films/${PW}.mp4", "a b#c", "films/a b#c.mp4"),
    ],
)
def test_a_secret_means_the_same_where_it_enters_an_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, secret: str, meant: str
) -> None:
    monkeypatch.setenv("PW", secret)
    assert load(write(tmp_path, f"cameras: [{{source: '{source}'}}]"), {}).cameras[0].source == meant


def test_a_password_that_is_in_no_address_stays_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PW", "p@ss/w#rd?%41")
    config = load(write(tmp_path, "notify: {mqtt: {host: b, username: u, password: '${PW}'}}"), {})
    assert config.notify.mqtt
    assert config.notify.mqtt.password
    assert config.notify.mqtt.password.get_secret_value() == "p@ss/w#rd?%41"


def test_every_path_may_begin_at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ann")
    text = """
recognition: {gallery: ~/g, fitted: ~/f, embedder: pca, threshold: 0.5}
output: {picture: ~/film.mp4, events: ~/e.jsonl, store: sqlite:///~/s.db, evidence: ~/v}
serve: {data: ~/d}
encryption: {key: ~/k}
notify: {mqtt: {host: b, tls: true, ca: ~/ca.pem}}
"""
    config = load(write(tmp_path, text), {})
    assert "~" not in config.model_dump_json()
    assert config.output.store == "sqlite:////home/ann/s.db"
    assert config.recognition.gallery == Path("/home/ann/g")


def test_what_is_left_empty_is_as_good_as_left_out(tmp_path: Path) -> None:
    config = load(write(tmp_path, "cameras:\ndetection:\nweb:\n  host:\npatience_s:\n"), {})
    assert config == Config(patience_s=None)
    assert load(write(tmp_path, ""), {}) == Config()


def test_a_webcam_is_a_number(tmp_path: Path) -> None:
    assert load(write(tmp_path, "cameras: [{source: 0}]"), {}).cameras[0].source == "0"


def test_the_command_line_lies_over_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, "deblur: {mode: off}\noutput: {quiet: true, picture: window}")
    config = load(path, {"output": {"picture": "none"}})
    assert (config.deblur.mode, config.output.picture, config.output.quiet) == ("off", "none", True)


@settings(deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(), lambda c: st.lists(c) | st.dictionaries(st.text(), c)
    )
)
def test_any_content_is_either_used_or_refused(content: object) -> None:
    with suppress(ConfigError):
        assert isinstance(load(None, {"cameras": content}), Config)


@pytest.mark.parametrize("zone", ["Nowhere/None", "../etc/localtime", "Europe", ""])
def test_a_time_zone_that_is_none_is_refused(zone: str) -> None:
    with pytest.raises(ConfigError, match=r"output\.time_zone: no time zone is called"):
        load(None, {"output": {"time_zone": zone}})


def test_a_time_zone_is_known_by_its_name() -> None:
    assert load(None, {"output": {"time_zone": "Asia/Kolkata"}}).output.zone == ZoneInfo("Asia/Kolkata")
    assert load(None, {"output": {"time_zone": "UTC"}}).output.zone is UTC
    assert load(None, {}).output.zone is None


def test_a_file_name_that_is_not_utf_8_is_taken() -> None:
    config = load(None, {"cameras": [{"source": "f\udcff.mp4"}], "output": {"picture": "d\udcff/a.mp4"}})
    assert (config.cameras[0].source, config.output.picture) == ("f\udcff.mp4", "d\udcff/a.mp4")
