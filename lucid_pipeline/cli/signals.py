"""Being asked to end: by control-c, by `kill` and service managers (SIGTERM), by a terminal that closes (SIGHUP).

What was ignored when the process began, as `nohup` and jobs in the background have it, stays ignored.
"""

import atexit
import os
import signal
from collections.abc import Callable
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def leave_on_signals() -> None:
    """End the process at once from now on. For as long as there is nothing to clean up, as while modules are imported.

    An exception in the midst of an import comes out as anything, or not at all.
    """
    for number in _SIGNALS:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _leave)


def _leave(number: int, _frame: FrameType | None) -> None:
    os.write(2, b"interrupted\n")
    os._exit(exit_status(number))


def ignore_signals() -> None:
    """Go on whatever is asked: for a process whose parent answers for it."""
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def interrupt_on_signals() -> Callable[[], int]:
    """Raise `KeyboardInterrupt` from now on; returns what tells the exit status that says by which signal.

    While Dagster runs something it has handlers of its own for control-c and SIGTERM, and gives SIGTERM that of
    control-c afterwards. So all signals share one handler, which hands them on to Dagster's while that is there; and
    which signal it was is learnt from the descriptor to which Python writes the number of each.
    """
    ignored = {number for number in _SIGNALS if signal.getsignal(number) == signal.SIG_IGN}
    received, wakeup = os.pipe()
    os.set_blocking(received, False)
    os.set_blocking(wakeup, False)
    signal.set_wakeup_fd(wakeup, warn_on_full_buffer=False)

    def interrupt(number: int, frame: FrameType | None) -> None:
        if number in ignored:
            return
        on_control_c = signal.getsignal(signal.SIGINT)
        if callable(on_control_c) and on_control_c is not interrupt:
            on_control_c(number, frame)
            return
        raise KeyboardInterrupt

    def which() -> int:
        try:
            numbers = os.read(received, 4096)
        except BlockingIOError:
            numbers = b""
        return exit_status(next((number for number in numbers if number in {*_SIGNALS} - ignored), signal.SIGINT))

    for number in _SIGNALS:
        signal.signal(number, interrupt)
    for number in ignored:  # at its very end Python takes handlers away, and with them what they ignore
        atexit.register(signal.signal, number, signal.SIG_IGN)
    return which


def exit_status(number: int) -> int:
    """The exit status by which shells name a signal."""
    return 128 + number
