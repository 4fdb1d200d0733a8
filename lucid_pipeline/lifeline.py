"""How a process is made to end with the one that started it, however that one ends."""

import ctypes
import os
import signal

_PR_SET_PDEATHSIG = 1
_PR_SET_NAME = 15


def end_with(parent: int) -> None:
    """End this process by SIGKILL as soon as its parent is gone. Where the system cannot do that, nothing happens.

    The parent is the thread that forked: it has to be one that lives as long as its process.

    Args:
        parent: its process id, as it knows itself. If it is gone already, this process ends now.
    """
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def show_as(name: str) -> None:
    """Name this process in lists of processes, where its command line is that of the one it was forked from.

    Args:
        name: 15 bytes of it are shown.
    """
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl:
        prctl(_PR_SET_NAME, name.encode()[:15], 0, 0, 0)
