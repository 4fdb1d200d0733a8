"""What decides the suite: does the CPU have AES and carry-less multiplication?"""

import platform
from collections.abc import Iterator
from pathlib import Path

import pytest

from lucid_pipeline.archive import cpu

PC = "processor\t: 0\nmodel name\t: Some CPU\nflags\t\t: fpu vme {flags} sse2 avx\nbugs\t\t: spectre_v1\n"
PI = "processor\t: 0\nBogoMIPS\t: 108.00\nFeatures\t: fp asimd evtstrm {flags} crc32 cpuid\nCPU part\t: 0xd0b\n"


@pytest.fixture(autouse=True)
def _forget_the_answer() -> Iterator[None]:
    cpu.has_aes_instructions.cache_clear()
    yield
    cpu.has_aes_instructions.cache_clear()


@pytest.mark.parametrize(
    ("machine", "cpuinfo", "expected"),
    [
        ("x86_64", PC.format(flags="aes pclmulqdq"), True),
        ("x86_64", PC.format(flags="aes"), False),
        ("x86_64", PC.format(flags="pclmulqdq"), False),
        ("x86_64", PC.format(flags="vaes vpclmulqdq"), False),
        ("aarch64", PI.format(flags="aes pmull sha1 sha2"), True),
        ("aarch64", PI.format(flags=""), False),
        ("aarch64", PC.format(flags="aes pclmulqdq"), False),
        ("riscv64", "isa\t: rv64imafdc\n", False),
        ("x86_64", "", False),
    ],
    ids=["PC", "no CLMUL", "no AES", "wide ones only", "Pi 5", "Pi 4", "names of another CPU", "RISC-V", "empty"],
)
def test_aes_is_chosen_only_where_both_instructions_are(
    machine: str, cpuinfo: str, expected: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "cpuinfo"
    path.write_text(cpuinfo)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    monkeypatch.setattr(cpu, "_CPUINFO", path)
    assert cpu.has_aes_instructions() is expected


def test_without_a_cpuinfo_the_answer_is_no(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(cpu, "_CPUINFO", tmp_path / "missing")
    assert cpu.has_aes_instructions() is False


def test_apple_cpus_have_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "arm64")
    monkeypatch.setattr(cpu, "_CPUINFO", tmp_path / "missing")
    assert cpu.has_aes_instructions() is True


def test_only_the_list_of_flags_counts() -> None:
    assert cpu.flags("model name\t: aes pclmulqdq\nflags\t\t: fpu\n") == {"fpu"}
