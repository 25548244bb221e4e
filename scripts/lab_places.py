"""The learning lab's bundle, and what is left of labs: ``lab_places.py bundle FOLDER | verify FILE | clean``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from limani.cli import output
from limani.errors import LimaniError
from limani.lab import bundle
from limani.lab.place import daemon


def write(folder: Path) -> None:
    """Write the bundle into ``folder`` and say what is in it."""
    show(bundle.write(folder / bundle.FILE_NAME))


def show(found: bundle.Bundle) -> None:
    """The images of a bundle and its size."""
    rows = [(i.reference, output.size(i.size), i.digest) for i in found.images]
    output.table(("image", "layers", "digest"), rows)
    size = output.size(found.archive.stat().st_size)
    print(f"{found.archive}: {size} (layers that images share are in it once); list: {bundle.list_of(found.archive)}")


def clean() -> None:
    """End daemons of labs whose home is gone."""
    for own in daemon.every():
        own.stop()


def main() -> int:
    """The command; exit code 1 with a plain message if something is not right."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    actions = parser.add_subparsers(dest="action", required=True)
    actions.add_parser("bundle").add_argument("folder", type=Path)
    actions.add_parser("verify").add_argument("file", type=Path)
    actions.add_parser("clean")
    options = parser.parse_args()
    try:
        if options.action == "bundle":
            write(options.folder)
        elif options.action == "verify":
            show(bundle.verify(options.file))
        else:
            clean()
    except LimaniError as error:
        output.error(error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
