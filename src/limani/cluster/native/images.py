"""The one image every node needs before the first pod: ``pause``, which holds a pod's namespaces.

It does nothing but wait, so its program is a few machine instructions and is written here as such: no compiler, no
download, a few kB of memory a pod.
"""

from __future__ import annotations

import platform
import struct
import tempfile
from pathlib import Path

from limani.errors import HostUnsuitable
from limani.image.writer import File, ImageToWrite, build_layer_from_files, write_archive

PAUSE = "registry.limani.dev/pause:1"

_BASE = 0x400000
_ELF_HEADER, _PROGRAM_HEADER = 64, 56


def pause_program(machine: str) -> bytes:
    """A static ELF executable that ignores SIGCHLD (so the kernel reaps orphans) and waits for ever.

    ``machine`` as ``platform.machine()`` says it: x86_64 or aarch64 (System V ABI; syscall numbers of Linux).
    """
    data = _BASE + _ELF_HEADER + _PROGRAM_HEADER
    # struct sigaction as the kernel has it, SA_NOCLDWAIT: handler SIG_IGN, flags, restorer, mask.
    ignore = struct.pack("<QQQQ", 1, 2, 0, 0)
    if machine == "x86_64":
        code = b"".join(
            (
                b"\xb8" + struct.pack("<I", 13),  # mov eax, 13 (rt_sigaction)
                b"\xbf" + struct.pack("<I", 17),  # mov edi, 17 (SIGCHLD)
                b"\xbe" + struct.pack("<I", data),  # mov esi, address of the struct
                b"\x31\xd2",  # xor edx, edx (no old action)
                b"\x41\xba" + struct.pack("<I", 8),  # mov r10d, 8 (size of the mask)
                b"\x0f\x05",  # syscall
                b"\xb8" + struct.pack("<I", 34),  # mov eax, 34 (pause)
                b"\x0f\x05",  # syscall
                b"\xeb\xf7",  # jmp back to the mov
            )
        )
        number = 0x3E
    elif machine == "aarch64":
        # arm64's struct has no restorer; the kernel reads handler, flags, mask.
        instructions = (
            0xD2800000 | 17 << 5,  # mov x0, 17 (SIGCHLD)
            0xD2800001 | (data & 0xFFFF) << 5,  # mov x1, low half of the address
            0xF2A00001 | (data >> 16) << 5,  # movk x1, high half, lsl 16
            0xD2800002,  # mov x2, 0
            0xD2800003 | 8 << 5,  # mov x3, 8
            0xD2800008 | 134 << 5,  # mov x8, 134 (rt_sigaction)
            0xD4000001,  # svc 0
            0xD2800000,  # mov x0, 0
            0xD2800001,  # mov x1, 0
            0xD2800002,  # mov x2, 0
            0xD2800003,  # mov x3, 0
            0xD2800008 | 73 << 5,  # mov x8, 73 (ppoll of nothing, for ever)
            0xD4000001,  # svc 0
            0x14000000 | (-6 & 0x3FFFFFF),  # b back to mov x0, 0
        )
        code = struct.pack(f"<{len(instructions)}I", *instructions)
        number = 0xB7
    else:
        raise HostUnsuitable(f"No pause program for processors of kind {machine!r}.", machine=machine)
    return _elf(number, ignore, code)


def _elf(machine: int, data: bytes, code: bytes) -> bytes:
    """Wrap data followed by code into an ELF64 executable with one readable, executable segment (elf(5))."""
    start = _BASE + _ELF_HEADER + _PROGRAM_HEADER + len(data)
    size = _ELF_HEADER + _PROGRAM_HEADER + len(data) + len(code)
    identification = b"\x7fELF" + bytes((2, 1, 1)) + bytes(9)
    header = identification + struct.pack(
        "<HHIQQQIHHHHHH", 2, machine, 1, start, _ELF_HEADER, 0, 0, _ELF_HEADER, _PROGRAM_HEADER, 1, 0, 0, 0
    )
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, _BASE, _BASE, size, size, 0x10000)
    return header + segment + data + code


def write_pause(path: Path) -> None:
    """Write the pause image for this machine as an OCI archive (whole or not at all)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as name:
        folder = Path(name)
        (folder / "pause").write_bytes(pause_program(platform.machine()))
        layer = build_layer_from_files({"pause": File(folder / "pause", mode=0o755)}, folder)
        write_archive(folder / "image.tar", [ImageToWrite(PAUSE, [layer], {"Entrypoint": ["/pause"]})])
        (folder / "image.tar").rename(path)
