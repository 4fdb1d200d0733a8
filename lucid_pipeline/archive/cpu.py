"""What the CPU can do, as far as it decides the suite."""

import platform
from functools import cache
from pathlib import Path

_CPUINFO = Path("/proc/cpuinfo")
_NEEDED = {"x86_64": {"aes", "pclmulqdq"}, "aarch64": {"aes", "pmull"}}


@cache
def has_aes_instructions() -> bool:
    """Whether AES-GCM runs on instructions for AES and carry-less multiplication. A Raspberry Pi 4 has neither."""
    machine = platform.machine()
    if machine == "arm64":
        return True  # macOS's name for its CPUs, all of which have them
    try:
        text = _CPUINFO.read_text(errors="replace")
    except OSError:
        return False
    return machine in _NEEDED and _NEEDED[machine] <= flags(text)


def flags(cpuinfo: str) -> set[str]:
    """The flags (x86) or features (arm) that the first CPU in a `/proc/cpuinfo` lists."""
    for line in cpuinfo.splitlines():
        name, _, value = line.partition(":")
        if name.strip() in ("flags", "Features"):
            return set(value.split())
    return set()
