"""What `tests/conftest.py` asks of every test."""

from __future__ import annotations

import pytest

from tests import conftest

pytest_plugins = ["pytester"]


@pytest.fixture
def under(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A folder of tests under the same rules."""
    monkeypatch.delenv("CI", raising=False)
    pytester.makeconftest("from tests.conftest import _every_thread_ends, pytest_runtest_makereport")
    return pytester


@pytest.mark.parametrize(
    ("reason", "ci", "outcomes"),
    [
        ("there is no chromium here", "", {"skipped": 2}),
        ("there is no chromium here", "true", {"failed": 1, "errors": 1}),
        ("needs the extra `train`", "true", {"skipped": 2}),
    ],
)
def test_ci_skips_nothing_for_a_missing_program(
    under: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, reason: str, ci: str, outcomes: dict[str, int]
) -> None:
    monkeypatch.setenv("CI", ci)
    under.makepyfile(
        f"""
        import pytest

        @pytest.mark.skipif(True, reason="{reason}")
        def test_by_a_mark():
            pass

        def test_in_its_body():
            pytest.skip("{reason}")
        """
    )
    under.runpytest_inprocess().assert_outcomes(**outcomes)


def test_a_thread_that_is_left_running_fails_its_test(under: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conftest, "ENDS_WITHIN_S", 0.2)
    under.makepyfile(
        """
        import threading

        ended = threading.Event()

        def test_leaves_one():
            threading.Thread(target=ended.wait, name="of ours", daemon=True).start()

        def test_is_innocent():
            ended.set()
        """
    )
    result = under.runpytest_inprocess()
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["*left running: <Thread(of ours, started daemon*"])
