"""Build the images the demo seeds into one OCI archive: ``python -m images.demo.build`` (prints the archive's path).

Two services on one Debian base layer, so that the demo shows what is *not* sent a second time: nginx, and a Python
service of ours. Each is base + packages (the difference of two package roots) + a layer of a few files.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from images import cache, debian
from images.debian import DEFAULT_SUITE, EPOCH, Suite
from limani.image.writer import (
    File,
    ImageToWrite,
    Layer,
    build_layer_from_difference,
    build_layer_from_files,
    build_layer_from_tar,
    write_archive,
)

HERE = Path(__file__).resolve().parent
BASE = ("base-files", "ca-certificates", "coreutils", "dash", "grep", "libc-bin", "procps", "sed")
"""A shell, the usual small tools and the libraries both services need."""
PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Service:
    """One image: ``packages`` over the base, ``files`` (path in the image to content) over those."""

    reference: str
    packages: tuple[str, ...]
    files: Mapping[str, File]
    config: Mapping[str, Any]


def services(suite: Suite) -> tuple[Service, ...]:
    """The images of the demo."""
    web = Service(
        "limani.dev/demo/web:1",
        ("nginx",),
        {
            "etc/nginx/nginx.conf": File(HERE / "web/nginx.conf"),
            "srv/www/index.txt": File(HERE / "web/index.txt"),
        },
        {"Entrypoint": ["/usr/sbin/nginx"], "Env": [PATH], "ExposedPorts": {"8080/tcp": {}}},
    )
    hello = Service(
        "limani.dev/demo/hello:1",
        (f"python{suite.python}-minimal", f"libpython{suite.python}-stdlib"),
        {"srv/hello.py": File(HERE / "hello/hello.py")},
        {
            "Entrypoint": [f"/usr/bin/python{suite.python}", "-u", "/srv/hello.py"],
            "Env": [PATH, "LANG=C.UTF-8"],
            "User": "65534",
            "ExposedPorts": {"8080/tcp": {}},
        },
    )
    return (web, hello)


def build(suite: Suite = DEFAULT_SUITE) -> Path:
    """The archive with all images of the demo; built if needed.

    Raises HostUnsuitable where mmdebstrap or the rights it needs are missing, CommandFailed when a tool fails.
    """
    os.environ["SOURCE_DATE_EPOCH"] = str(EPOCH)
    with cache.locked("demo"):
        return _build(suite)


def _build(suite: Suite) -> Path:
    name = cache.key(suite.name, debian.architecture(), HERE, HERE.parent / "debian.py")
    target = cache.folder() / f"demo-{name}.tar"
    if cache.found(target):
        return target
    with tempfile.TemporaryDirectory(dir=cache.folder()) as folder:
        work = Path(folder)
        _extract(suite, "base", BASE, work)
        base = build_layer_from_tar(
            work / "base.tar", work / "layers", keep=debian.keep, created_by=f"Debian {suite.name}"
        )
        images = [_image(suite, service, base, work) for service in services(suite)]
        write_archive(work / "images.tar", images)
        (work / "images.tar").replace(target)
    cache.forget_older("demo-*.tar", target)
    return target


def _extract(suite: Suite, name: str, packages: Sequence[str], work: Path) -> Path:
    cache.say(f"demo images: {name} from Debian {suite.name}")
    tar = work / f"{name}.tar"
    debian.extract(suite, packages, tar)
    return tar


def _image(suite: Suite, service: Service, base: Layer, work: Path) -> ImageToWrite:
    name = service.reference.rpartition("/")[2].partition(":")[0]
    tar = _extract(suite, name, (*BASE, *service.packages), work)
    layers = work / "layers"
    packages = build_layer_from_difference(
        work / "base.tar", tar, layers, keep=debian.keep, created_by=f"Debian packages {' '.join(service.packages)}"
    )
    accounts = {path: File(text.encode()) for path, text in debian.accounts([("www-data", 33)]).items()}
    files = build_layer_from_files({**accounts, **service.files}, layers, created_by=f"files of {service.reference}")
    return ImageToWrite(service.reference, [base, packages, files], service.config)


if __name__ == "__main__":
    sys.exit(cache.report("demo images", build))
