"""Root file systems from Debian packages: ``mmdebstrap --variant=extract`` unpacks them without running anything.

No package manager, no shell scripts and no maintainer scripts end up in the image unless asked for, so what such a
script would make (users, alternatives, caches) is written by the caller.
"""

from __future__ import annotations

import fnmatch
import os
import platform
import shutil
import subprocess
import tarfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from limani.errors import CommandFailed, HostUnsuitable

EPOCH = 1_700_000_000
"""SOURCE_DATE_EPOCH of our builds, in seconds."""

USELESS = (
    "usr/share/doc/*",
    "usr/share/man/*",
    "usr/share/info/*",
    "usr/share/lintian/*",
    "usr/share/locale/*",
    "usr/share/bug/*",
    "usr/share/menu/*",
    "usr/share/perl5/*",
    "usr/share/pixmaps/*",
    "usr/share/common-licenses/*",
    "usr/share/zoneinfo/right/*",
    "usr/lib/*/gconv/*",
    "var/cache/*",
    "var/lib/apt/*",
    "dev/*",
)
"""What no running container reads (patterns of fnmatch over paths without a leading slash)."""

KEPT = ("usr/share/doc/*/copyright",)
"""Licences ask to travel with what they cover."""


@dataclass(frozen=True)
class Suite:
    """A Debian release and the Python it brings."""

    name: str
    python: str  # major.minor

    @property
    def abi(self) -> str:
        """CPython's ABI tag, for example ``cp313``."""
        return "cp" + self.python.replace(".", "")


SUITES = {"bookworm": Suite("bookworm", "3.11"), "trixie": Suite("trixie", "3.13")}
DEFAULT_SUITE = SUITES["trixie"]


def architecture() -> str:
    """Debian's name of this machine's architecture. Raises HostUnsuitable on one we do not build for."""
    names = {"x86_64": "amd64", "aarch64": "arm64"}
    machine = platform.machine()
    if machine not in names:
        raise HostUnsuitable(f"Images are built on x86_64 and aarch64; this machine is {machine}.")
    return names[machine]


def extract(suite: Suite, packages: Sequence[str], tar: Path, variant: str = "extract") -> None:
    """Download ``packages`` with their dependencies and unpack them into the archive ``tar``.

    Another ``variant`` (``essential`` for example; see mmdebstrap(1)) also runs the packages' scripts.

    Raises HostUnsuitable without mmdebstrap, CommandFailed with its output when it fails.
    """
    if shutil.which("mmdebstrap") is None:
        raise HostUnsuitable(
            "mmdebstrap is not installed; it makes root file systems from Debian packages.",
            hint="apt-get install mmdebstrap (Debian, Ubuntu, Fedora and Arch package it), then run again.",
        )
    command = ["mmdebstrap", "--quiet", f"--variant={variant}", f"--include={','.join(packages)}", *_keyring()]
    part = tar.with_name(tar.name + ".part.tar")
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(EPOCH), "TMPDIR": str(tar.parent)}
    done = subprocess.run(
        [*command, suite.name, str(part), *_mirror()],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        part.unlink(missing_ok=True)
        raise CommandFailed(
            f"mmdebstrap could not make a root of Debian {suite.name}: {done.stderr.strip()[-800:]}",
            hint=_extract_hint(),
            arguments=command,
            exit_code=done.returncode,
        )
    part.replace(tar)


def _extract_hint() -> str:
    """Why mmdebstrap usually fails, for who runs it."""
    if os.geteuid() == 0:
        return "Check that a Debian mirror can be reached; LIMANI_DEBIAN_MIRROR names another one."
    return (
        "Without root mmdebstrap needs unprivileged user namespaces and entries in /etc/subuid and /etc/subgid "
        "(apt-get install uidmap); otherwise run with sudo. Check also that a Debian mirror can be reached "
        "(LIMANI_DEBIAN_MIRROR names another one)."
    )


def _mirror() -> list[str]:
    """The mirror to use; mmdebstrap's own default is that of the host's own sources, else Debian's."""
    mirror = os.environ.get("LIMANI_DEBIAN_MIRROR", "")
    return [mirror] if mirror else []


def _keyring() -> list[str]:
    """Debian's keys; on Ubuntu they come with the package debian-archive-keyring."""
    keys = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
    return [f"--keyring={keys}"] if keys.exists() else []


def unpack(tar: Path, target: Path, useless: Iterable[str] = USELESS) -> None:
    """Unpack ``tar`` into the new folder ``target``, leaving out what matches ``useless`` and is not in KEPT."""
    patterns = tuple(useless)

    def wanted(entry: tarfile.TarInfo, path: str) -> tarfile.TarInfo | None:
        name = entry.name.removeprefix("./")
        if entry.isdev() or (matches(name, patterns) and not matches(name, KEPT) and not entry.isdir()):
            return None
        # Absolute symbolic links are right inside a root file system; everything else is checked as usual.
        return entry if entry.issym() else tarfile.tar_filter(entry, path)

    target.mkdir(parents=True)
    with tarfile.open(tar) as archive:
        archive.extractall(target, filter=wanted)  # noqa: S202 - filtered above
    _drop_empty(target, patterns)


def _drop_empty(target: Path, patterns: tuple[str, ...]) -> None:
    """Remove folders that only held what was left out."""
    for path in sorted((p for p in target.rglob("*") if p.is_dir() and not p.is_symlink()), reverse=True):
        if matches(str(path.relative_to(target)), patterns) and not any(path.iterdir()):
            path.rmdir()


def matches(name: str, patterns: Iterable[str]) -> bool:
    """Whether a path fits one of the patterns."""
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def keep(name: str) -> bool:
    """Whether a path of an unpacked package belongs into an image (for layers made straight from a tar)."""
    folder, _, last = name.rpartition("/")
    return folder == "usr/share/doc" or last == "copyright" or not matches(name, USELESS)


def accounts(extra: Sequence[tuple[str, int]] = ()) -> dict[str, str]:
    """passwd, group and nsswitch.conf by path: root, ``extra`` (name, number) and nobody."""
    people = [("root", 0, "/root"), *((name, number, "/nonexistent") for name, number in extra)]
    people.append(("nobody", 65534, "/nonexistent"))
    users = (f"{name}:x:{number}:{number}::{home}:/bin/sh\n" for name, number, home in people)
    groups = (f"{name}:x:{number}:\n" for name, number, _ in people)
    names = "passwd: files\ngroup: files\nhosts: files dns\n"
    return {"etc/passwd": "".join(users), "etc/group": "".join(groups), "etc/nsswitch.conf": names}
