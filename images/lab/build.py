"""Build the images of the learning lab into one archive: ``python -m images.lab.build`` (prints the archive's path).

Five images on one layer, Debian's static busybox with a link for every command it knows: a few megabytes together, no
compiler, no registry, and the same bytes each time.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from images import cache, debian
from images.debian import DEFAULT_SUITE, EPOCH, Suite
from limani.errors import CommandFailed
from limani.image.layer import Node
from limani.image.writer import (
    File,
    Folder,
    ImageToWrite,
    Layer,
    Symlink,
    build_layer_from_files,
    write_archive,
)

FILES = Path(__file__).resolve().parent / "files"
BUSYBOX = ("./bin/busybox", "./usr/bin/busybox")
"""Where Debian has it, before and after the folders were joined."""
COPYRIGHT = "./usr/share/doc/busybox-static/copyright"
LABELS = {"limani.dev/bundle": "lab"}
"""What is built from these images has them too, so the lab tells its own things from others."""
_SERVER = {"Entrypoint": ["/usr/bin/serve", "/srv"], "ExposedPorts": {"8080/tcp": {}}, "User": "65534:65534"}


@dataclass(frozen=True)
class Image:
    """One image: ``files`` (path in the image to content) over the base layer; ``config`` over the common one."""

    name: str
    files: Mapping[str, Node] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)

    @property
    def reference(self) -> str:
        """The full name."""
        return f"limani.dev/lab/{self.name}"


def images() -> tuple[Image, ...]:
    """What the lessons use; see the programs in ``files`` for what they answer."""
    return (
        Image("shell:1", config={"Cmd": ["/bin/sh"]}),
        Image("hello:1", {"hello.txt": File(FILES / "hello.txt")}, {"Cmd": ["cat", "/hello.txt"]}),
        _web("1"),
        _web("2"),
        Image("client:1", _served("client.cgi"), _SERVER),
    )


def _web(version: str) -> Image:
    files = {**_served("web.cgi"), "srv/healthz": b"ok\n", "etc/web-version": f"{version}\n".encode()}
    return Image(f"web:{version}", files, _SERVER)


def _served(program: str) -> dict[str, Node]:
    """``program`` answers requests for ``/``."""
    return {
        "usr/bin/serve": File(FILES / "serve", 0o755),
        "srv/cgi-bin/index.cgi": File(FILES / program, 0o755),
    }


def build(suite: Suite = DEFAULT_SUITE) -> Path:
    """The archive with all images of the lab; built if needed.

    Raises HostUnsuitable where mmdebstrap or the rights it needs are missing, CommandFailed when a tool fails.
    """
    os.environ["SOURCE_DATE_EPOCH"] = str(EPOCH)
    with cache.locked("lab"):
        name = cache.key(suite.name, debian.architecture(), FILES.parent, debian_file())
        target = cache.folder() / f"lab-{name}.tar"
        if cache.found(target):
            return target
        with tempfile.TemporaryDirectory(dir=cache.folder()) as folder:
            work = Path(folder)
            base = _base(suite, work)
            write_archive(work / "images.tar", [_image(image, base, work) for image in images()])
            (work / "images.tar").replace(target)
        cache.forget_older("lab-*.tar", target)
        return target


def debian_file() -> Path:
    """The module that unpacks packages: part of what an archive is made from."""
    return Path(debian.__file__)


def _base(suite: Suite, work: Path) -> Layer:
    """Busybox and its links, users, and the folders programs expect."""
    cache.say(f"lab images: busybox from Debian {suite.name}")
    debian.extract(suite, ["busybox-static"], work / "busybox.tar")
    with tarfile.open(work / "busybox.tar") as tar:
        names = tar.getnames()
        program = work / "busybox"
        program.write_bytes(_member(tar, next(name for name in BUSYBOX if name in names)))
        licence = _member(tar, COPYRIGHT)
    program.chmod(0o755)
    files: dict[str, Node] = {f"usr/bin/{name}": Symlink("busybox") for name in _applets(program) if name != "busybox"}
    files |= {f"{name}": Symlink("usr/bin") for name in ("bin", "sbin")}
    files |= {path: text.encode() for path, text in debian.accounts().items()}
    files |= {
        "usr/bin/busybox": File(program, 0o755),
        "usr/sbin": Symlink("bin"),
        COPYRIGHT: licence,
        "root": Folder(0o700),
        "tmp": Folder(0o1777),
        "var/tmp": Folder(0o1777),
    }
    return build_layer_from_files(files, work / "layers", created_by=f"busybox-static of Debian {suite.name}")


def _member(tar: tarfile.TarFile, name: str) -> bytes:
    """Content of a file of the archive, which may be reached through a link to a folder or file."""
    content = tar.extractfile(name)
    assert content is not None
    return content.read()


def _applets(program: Path) -> list[str]:
    """Names of all commands of a busybox."""
    done = subprocess.run([program, "--list"], capture_output=True, text=True, check=False)
    if done.returncode:
        raise CommandFailed(
            f"Debian's busybox does not run here: {done.stderr.strip()}",
            arguments=[str(program), "--list"],
            exit_code=done.returncode,
        )
    return done.stdout.split()


def _image(image: Image, base: Layer, work: Path) -> ImageToWrite:
    layers = [base]
    if image.files:
        layers.append(build_layer_from_files(image.files, work / "layers", created_by=f"files of {image.name}"))
    config = {"Env": ["PATH=/usr/local/bin:/usr/bin", "LANG=C.UTF-8"], "Labels": LABELS, **image.config}
    return ImageToWrite(image.reference, layers, config)


if __name__ == "__main__":
    sys.exit(cache.report("lab images", build))
