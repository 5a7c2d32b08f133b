"""A thread of ours that fails is noticed, counted and run again."""

import threading
from contextlib import closing
from datetime import timedelta

import pytest
import structlog
from structlog.testing import capture_logs

from stream.threads import SupervisedThread, ThreadState, thread_states


def states(name: str) -> list[ThreadState]:
    return [state for state in thread_states() if state.name == name]


def test_it_runs_again_after_an_error_nobody_expected() -> None:
    again, leave = threading.Event(), threading.Event()
    runs: list[int] = []

    def work() -> None:
        runs.append(1)
        if len(runs) < 3:
            timedelta(days=1e9)  # OverflowError, as a limit of 1e9 days once ended housekeeping for good
        again.set()
        leave.wait()

    structlog.reset_defaults()
    with capture_logs() as said, closing(SupervisedThread("worker", work, first_retry_s=0.01)) as thread:
        thread.start()
        assert again.wait(20)
        assert states("worker") == [ThreadState("worker", 2, None)]
        leave.set()
    assert [entry["thread"] for entry in said] == ["worker", "worker"]
    assert "OverflowError" in said[0]["problem"]
    assert __file__ in said[0]["where"]


def test_while_it_waits_it_says_why_and_closing_does_not_wait_for_it() -> None:
    failed = threading.Event()

    def work() -> None:
        failed.set()
        raise RuntimeError("a bug\nof ours")

    thread = SupervisedThread("faulty", work, first_retry_s=3600)
    thread.start()
    assert failed.wait(20)
    while not (problem := states("faulty")[0].problem):
        pass
    assert problem == "RuntimeError: a bug of ours"
    thread.close()
    assert states("faulty") == []


def test_one_that_ends_in_order_is_not_run_again() -> None:
    runs: list[int] = []
    thread = SupervisedThread("once", lambda: runs.append(1))
    thread.start()
    thread.close()
    assert runs == [1]


@pytest.mark.parametrize("started", [False, True])
def test_closing_needs_no_start(started: bool) -> None:
    thread = SupervisedThread("idle", lambda: None)
    if started:
        thread.start()
    thread.close()
