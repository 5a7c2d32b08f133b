"""Names of the last release in a configuration, which are read for one more."""

from pathlib import Path

import pytest

from configs.loader import load


@pytest.mark.parametrize(
    ("written", "preset", "passes", "old"),
    [
        ("looks: 2", "motion", 2, "deblur.looks"),
        ("preset: seed", "box5", 3, "the preset seed"),
        ("{passes: 1, preset: box5}", "box5", 1, None),
    ],
)
def test_an_old_name_is_read_with_one_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], written: str, preset: str, passes: int, old: str | None
) -> None:
    path = tmp_path / "unblur.yaml"
    text = written if written.startswith("{") else f"{{{written}}}"
    path.write_text(f"deblur: {text}", encoding="utf-8")
    deblur = load(path, {}).deblur
    assert (deblur.preset, deblur.passes) == (preset, passes)
    warnings = [line for line in capsys.readouterr().out.splitlines() if "an old name in the configuration" in line]
    assert len(warnings) == (1 if old else 0)
    assert old is None or old in warnings[0]


def test_the_command_line_takes_the_old_preset_too() -> None:
    assert load(None, {"deblur": {"preset": "seed"}}).deblur.preset == "box5"


def test_the_new_key_wins_over_the_old_one() -> None:
    assert load(None, {"deblur": {"looks": 1, "passes": 2}}).deblur.passes == 2
