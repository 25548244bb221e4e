"""Build the agent's image into an OCI archive: ``python -m images.agent.build`` (prints the archive's path).

Three layers, from what changes rarely to what changes often, so that nodes fetch little when Limani's code changes:
Debian's Python, the wheels the agent needs, Limani's own wheel. Each is kept in the cache under a hash of its inputs.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any

from images import cache, debian, wheels
from images.debian import DEFAULT_SUITE, EPOCH, Suite
from limani.image.writer import ImageToWrite, build_layer_from_folder, write_archive

PACKAGES = ("base-files", "libc6", "libgcc-s1", "libstdc++6", "netbase")
_LIBRARY = "usr/lib/python3*/"
_MODULES = [
    "_pydecimal.py",
    "_pyrepl/*",
    "curses/*",
    "dbm/*",
    "doctest.py",
    "ensurepip/*",
    "idlelib/*",
    "lib2to3/*",
    "pydoc.py",
    "pydoc_data/*",
    "sqlite3/*",
    "test/*",
    "tkinter/*",
    "turtle*",
    "venv/*",
    "xml/sax/*",
    "xmlrpc/*",
    "encodings/[b-hj-km-o]*_*",
    "encodings/cp[5-9]*",
    "encodings/cp10*",
    "encodings/iso8859_1?.py",
    "encodings/iso8859_[2-9].py",
    "lib-dynload/_codecs_*",
    "lib-dynload/_curses*",
    "lib-dynload/_dbm*",
    "lib-dynload/_gdbm*",
    "lib-dynload/_sqlite3*",
    "lib-dynload/_test*",
    "lib-dynload/readline*",
    "lib-dynload/xx*",
]
_SHARED_OBJECTS = [
    "libdb-5*",
    "libexpatw*",
    "libform*",
    "libhistory*",
    "libmenu*",
    "libmvec*",
    "libncurses*",
    "libpanel*",
    "libreadline*",
    "libsqlite3*",
    "libtinfo*",
    "libtirpc*",
    "libnsl*",
    "ossl-modules/*",
    "engines-3/*",
    "perl*",
]
USELESS_PYTHON = (
    *(_LIBRARY + name for name in _MODULES),
    *("usr/lib/*-linux-gnu/" + name for name in _SHARED_OBJECTS),
    *[
        "usr/share/tabset/*",
        "usr/share/terminfo/*",
        "usr/share/debconf/*",
        "usr/share/zoneinfo/*",
        "usr/lib/terminfo/*",
    ],
    *["usr/lib/systemd/*", "usr/bin/*conv*", "usr/bin/mawk", "usr/bin/debconf*", "usr/sbin/*", "etc/mime.types"],
)
"""Parts of Debian's Python and of what its packages depend on that the agent does not use."""
BASE_DEPENDENCIES = ("msgspec", "zstandard")
"""Of the library's own dependencies, those the agent's rooms import (the rest serves the command and the client)."""


def project() -> dict[str, Any]:
    """The project's table of pyproject.toml."""
    return dict(tomllib.loads((cache.ROOT / "pyproject.toml").read_text())["project"])


def reference() -> str:
    """The image's name."""
    return f"limani.dev/agent:{project()['version']}"


def requirements() -> list[str]:
    """The agent's requirements as pyproject.toml names them."""
    table = project()
    shared = [text for text in table["dependencies"] if text.startswith(BASE_DEPENDENCIES)]
    return sorted([*shared, *table["optional-dependencies"]["agent"]])


def site(suite: Suite) -> str:
    """Where Debian's Python looks for packages that did not come from Debian."""
    return f"usr/local/lib/python{suite.python}/dist-packages"


def base_root(suite: Suite) -> Path:
    """The first layer's root file system as a folder, with compiled bytecode."""
    packages = (*PACKAGES, f"python{suite.python}-minimal", f"libpython{suite.python}-stdlib")
    here = Path(__file__).resolve().parent
    made_by = (here.parent / "debian.py", here.parent / "wheels.py", here / "build.py")
    name = cache.key(suite.name, *packages, *made_by, debian.architecture())
    target = cache.folder() / f"agent-base-{name}"
    if cache.found(target):
        return target
    cache.say(f"agent image: Debian {suite.name} with Python {suite.python}")
    with tempfile.TemporaryDirectory(dir=cache.folder()) as work:
        tar, root = Path(work) / "root.tar", Path(work) / "root"
        debian.extract(suite, packages, tar)
        debian.unpack(tar, root, (*debian.USELESS, *USELESS_PYTHON))
        for path, text in debian.accounts().items():
            (root / path).write_text(text)
        for name in ("tmp", "var/tmp"):
            (root / name).chmod(0o1777)
        (root / "usr/bin/python3").symlink_to(f"python{suite.python}")
        library = f"usr/lib/python{suite.python}"
        wheels.compile_bytecode(root, suite, root / library, "/" + library)
        root.replace(target)
    cache.forget_older("agent-base-*", target)
    return target


def dependencies_root(suite: Suite, base: Path) -> Path:
    """The second layer: the wheels the agent needs."""
    wanted = requirements()
    here = Path(__file__).resolve().parent.parent
    name = cache.key(base.name, *wanted, here / "wheels.py", "stripped" if shutil.which("strip") else "as they are")
    target = cache.folder() / f"agent-dependencies-{name}"
    if cache.found(target):
        return target
    cache.say(f"agent image: {', '.join(wanted)}")
    with tempfile.TemporaryDirectory(dir=cache.folder()) as work:
        root = Path(work) / "root"
        packages = root / site(suite)
        wheels.install(suite, wanted, packages)
        wheels.compile_bytecode(base, suite, packages, "/" + site(suite))
        root.replace(target)
    cache.forget_older("agent-dependencies-*", target)
    return target


def own_root(suite: Suite, base: Path, target: Path) -> None:
    """The third layer: Limani itself."""
    packages = target / site(suite)
    wheels.install_own(packages)
    wheels.compile_bytecode(base, suite, packages, "/" + site(suite))


def build(suite: Suite = DEFAULT_SUITE) -> Path:
    """The image's OCI archive (layers uncompressed: unpacking on a node costs more than a local copy); built if needed.

    Raises HostUnsuitable where mmdebstrap or the rights it needs are missing, CommandFailed when a tool fails.
    """
    os.environ["SOURCE_DATE_EPOCH"] = str(EPOCH)
    with cache.locked("agent"):
        return _build(suite)


def _build(suite: Suite) -> Path:
    base = base_root(suite)
    dependencies = dependencies_root(suite, base)
    name = cache.key(base.name, dependencies.name, *wheels.own(), Path(__file__))
    target = cache.folder() / f"agent-{name}.tar"
    if cache.found(target):
        return target
    cache.say(f"agent image: {reference()}")
    with tempfile.TemporaryDirectory(dir=cache.folder()) as work:
        own = Path(work) / "own"
        own_root(suite, base, own)
        layers = Path(work) / "layers"
        image = ImageToWrite(
            reference(),
            [
                build_layer_from_folder(base, layers, created_by=f"Debian {suite.name}, Python {suite.python}"),
                build_layer_from_folder(dependencies, layers, created_by="Python packages of the agent"),
                build_layer_from_folder(own, layers, created_by=f"limani {project()['version']}"),
            ],
            configuration(),
        )
        part = Path(work) / "image.tar"
        write_archive(part, [image])
        part.replace(target)
    cache.forget_older("agent-*.tar", target)
    return target


def configuration() -> dict[str, Any]:
    """What the container runs. The user is root: the runtime's socket belongs to root."""
    table = project()
    return {
        "Entrypoint": ["/usr/bin/python3", "-m", "limani.agent"],
        "User": "0",
        "WorkingDir": "/",
        "Env": [
            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "LANG=C.UTF-8",
            "PYTHONUNBUFFERED=1",
            "PYTHONDONTWRITEBYTECODE=1",
            "PYTHONOPTIMIZE=2",  # docstrings are 2 MiB
            # Buffers of a transfer go back to the system at once instead of staying in glibc's heaps (mallopt(3)).
            "MALLOC_ARENA_MAX=2",
            "MALLOC_MMAP_THRESHOLD_=393216",
            "MALLOC_TRIM_THRESHOLD_=262144",
        ],
        "Labels": {
            "org.opencontainers.image.title": "limani-agent",
            "org.opencontainers.image.description": table["description"],
            "org.opencontainers.image.version": table["version"],
            "org.opencontainers.image.licenses": table["license"],
        },
    }


if __name__ == "__main__":
    sys.exit(cache.report("agent image", build))
