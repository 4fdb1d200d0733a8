"""Processes as tests start them and wait for them."""

import ctypes
import os
import signal
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def eventually(question: Callable[[], T | None], seconds: float = 60, *, every: float = 0.002) -> T:
    """Ask, every so many seconds, until there is an answer that counts; returns it."""
    deadline = time.monotonic() + seconds
    while not (answer := question()):
        assert time.monotonic() < deadline, f"it did not come to pass in {seconds} s"
        time.sleep(every)
    return answer


def ordinary_user() -> Callable[[], None] | None:
    """What to run in a new process so that permissions bind it even where the tests run as root; None elsewhere.

    Root loses the two capabilities that pass over permissions, and keeps its id: the interpreter may lie where nobody
    else may go.
    """
    if os.geteuid() != 0:
        return None
    drop, override, read_search = 24, 1, 2  # PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
    prctl = ctypes.CDLL(None, use_errno=True).prctl

    def give_up() -> None:
        for capability in (override, read_search):
            if prctl(drop, capability, 0, 0, 0):
                raise OSError(ctypes.get_errno(), "cannot drop a capability")

    return give_up


def heed_control_c() -> None:
    """What to run in a new process: what scripts start in the background ignores control-c, and passes that on."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
