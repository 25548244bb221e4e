"""Write the images the scenarios seed: two that share a layer, each in an archive of its own: ``images.py FOLDER``."""

from __future__ import annotations

import random
import shutil
import sys
import tempfile
from pathlib import Path

from limani.image.layer import File, Layer, build_layer_from_files
from limani.image.writer import ImageToWrite, write_archive

SIZE = 2_000_000


def layer(name: str, folder: Path) -> Layer:
    """A layer with one file of two megabytes nobody can compress, the same for the same name."""
    path = folder / name
    path.write_bytes(random.Random(name).randbytes(SIZE))  # noqa: S311 - not for secrets
    return build_layer_from_files({f"data/{name}": File(path)}, folder)


def main() -> None:
    """Write one.tar (limani.dev/molecule:one) and two.tar (limani.dev/molecule:two)."""
    target = Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=target))
    try:
        base = layer("base", folder)
        for name in ("one", "two"):
            image = ImageToWrite(f"limani.dev/molecule:{name}", [base, layer(name, folder)], {"Cmd": ["/none"]})
            write_archive(target / f"{name}.tar", [image])
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
