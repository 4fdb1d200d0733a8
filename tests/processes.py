"""Processes as tests start them and wait for them."""

import ctypes
import errno
import os
import platform
import socket
import struct
import sys
import time
from collections.abc import Callable
from typing import TypeVar

import pytest

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


def free_port() -> int:
    """A port at which nobody listens now."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def without_hard_links() -> Callable[[], None]:
    """What to run in a new process so that it finds file systems as poor as FAT: no hard links, no unnamed files.

    The kernel itself refuses the calls, by a seccomp filter: there is a FAT driver on few machines that run tests.
    """
    calls = {"x86_64": (86, 265, 257), "aarch64": (37, 37, 56)}.get(platform.machine())
    if sys.platform != "linux" or calls is None:
        pytest.skip("there are no numbers of system calls for this machine")
    link, linkat, openat = calls
    load, equal, any_of, end = 0x20, 0x15, 0x45, 0x06  # BPF_LD | BPF_W | BPF_ABS, BPF_JEQ, BPF_JSET, BPF_RET
    number, flags, unnamed = 0, 32, 0o20000000  # offsets in seccomp_data; the bit of O_TMPFILE that is its own
    allow, refuse = 0x7FFF0000, 0x00050000  # SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO
    program = [
        (load, 0, 0, number),
        (equal, 5, 0, link),
        (equal, 4, 0, linkat),
        (equal, 0, 2, openat),
        (load, 0, 0, flags),
        (any_of, 2, 0, unnamed),
        (end, 0, 0, allow),
        (end, 0, 0, refuse | errno.EPERM),
        (end, 0, 0, refuse | errno.EOPNOTSUPP),
    ]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *instruction) for instruction in program))
    header = struct.pack("HxxxxxxQ", len(program), ctypes.addressof(code))
    prctl = ctypes.CDLL(None, use_errno=True).prctl

    def filter_calls() -> None:
        no_new_privileges, set_seccomp, mode_filter = 38, 22, 2
        kept = code  # the header has its address
        if prctl(no_new_privileges, 1, 0, 0, 0) or prctl(set_seccomp, mode_filter, header):
            raise OSError(ctypes.get_errno(), f"cannot filter system calls by {len(kept)} bytes")

    return filter_calls
