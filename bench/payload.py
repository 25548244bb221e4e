"""Images of a given size: layers of random bytes, so that nothing can be compressed or found elsewhere."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

from bench.figure import MB
from limani.image.writer import File, ImageToWrite, build_layer_from_files, write_archive

PIECE_MB = 4


def image(folder: Path, name: str, layers_mb: Sequence[int], *, seed: int, top: int | None = None) -> tuple[Path, str]:
    """An archive with an image of layers of those sizes, and its reference.

    ``seed`` decides the content; ``top`` that of the last layer, so that two images can differ in that alone.
    """
    folder.mkdir(parents=True, exist_ok=True)
    layers = []
    for index, size in enumerate(layers_mb):
        last = index == len(layers_mb) - 1
        source = random.Random(f"{seed} {index} {top if last else ''}")  # noqa: S311 - filler, not a secret
        # Files of a few megabytes, as in real layers, rather than one large one.
        pieces = [PIECE_MB] * (size // PIECE_MB) + ([size % PIECE_MB] if size % PIECE_MB else [])
        files = {}
        for number, piece in enumerate(pieces):
            path = folder / f"piece-{number}"
            path.write_bytes(source.randbytes(piece * MB))
            files[f"data/{index}/{number}"] = File(path)
        layers.append(build_layer_from_files(files, folder / "layers"))
    reference = f"limani.dev/bench/{name}:1"
    archive = folder / f"{name}-{seed}-{top}.tar"
    write_archive(archive, [ImageToWrite(reference, layers, {"Cmd": ["/none"]})])
    for layer in layers:
        layer.path.unlink(missing_ok=True)
    return archive, reference
