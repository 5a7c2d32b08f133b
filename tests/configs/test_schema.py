"""The configuration: what it accepts, what it refuses and how it says so."""

import json
from contextlib import suppress
from datetime import UTC
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from configs.schema import Config, ConfigError, load

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
        ("[1, 2]", "holds no keys"),
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
    told = load(write(tmp_path, "notify: {mqtt: {host: b, username: u, password: '${DOOR_PASSWORD}'}}"), {})
    assert "s3cret" not in repr(told)


def test_the_command_line_lies_over_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, "deblur: {mode: off}\noutput: {quiet: true, picture: window}")
    config = load(path, {"output": {"picture": "none"}})
    assert (config.deblur.mode, config.output.picture, config.output.quiet) == ("off", "none", True)


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
