"""Get what tests and benches need of a cluster before the clock runs: its programs, and the agent's image."""

from __future__ import annotations

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from images.agent import build as agent_image
from limani.cluster.binaries import provide
from limani.errors import LimaniError


def main() -> int:
    """Print where both are; exit code 1 with a plain message if one cannot be had."""
    begun = time.monotonic()

    def progress(text: str) -> None:
        print(f"{time.monotonic() - begun:5.1f} s  {text}", file=sys.stderr, flush=True)

    try:
        folder, version = provide(None, None, progress=progress)
        print(f"programs of Kubernetes {version}: {folder}")
        print(f"agent's image: {agent_image.build()}")
    except LimaniError as error:
        print(f"setup: {error.message}\n  hint: {error.hint}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
