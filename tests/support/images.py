"""Images for tests: deterministic, of any size, made without a container tool."""

from __future__ import annotations

import random
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from limani.image.layer import File, Layer, Symlink, build_layer_from_files
from limani.image.writer import ImageToWrite, WrittenImage, write_archive

BUSYBOX = "/bin/busybox"


def busybox_layer(folder: Path) -> Layer:
    """A layer with a static busybox and its usual applets."""
    nodes: dict[str, File | Symlink] = {"bin/busybox": File(Path(BUSYBOX), mode=0o755)}
    nodes |= {
        f"bin/{name}": Symlink("busybox") for name in ("sh", "sleep", "cat", "httpd", "wget", "hostname", "nslookup")
    }
    return build_layer_from_files(nodes, folder)


def random_layer(folder: Path, seed: str, size: int) -> Layer:
    """A layer whose only file is ``size`` bytes nobody can compress, the same for the same seed."""
    with tempfile.NamedTemporaryFile(dir=folder) as file:
        source = random.Random(seed)
        left = size
        while left:
            piece = source.randbytes(min(left, 1 << 20))
            file.write(piece)
            left -= len(piece)
        file.flush()
        return build_layer_from_files({f"data/{seed}": File(Path(file.name))}, folder)


def make_archive(
    path: Path, reference: str, layers: Sequence[tuple[str, int]], *, busybox: bool = True
) -> WrittenImage:
    """Write an OCI archive with one image: busybox (if wanted) and one random layer per (seed, size)."""
    folder = Path(tempfile.mkdtemp(dir=path.parent))
    try:
        made = [busybox_layer(folder)] if busybox else []
        made += [random_layer(folder, seed, size) for seed, size in layers]
        config = {"Env": ["PATH=/bin"], "Cmd": ["sleep", "3600"]}
        return write_archive(path, [ImageToWrite(reference, made, config)])[0]
    finally:
        shutil.rmtree(folder)
