"""Stands in front of the real package: its tasks are scripted, everything else is the real thing."""

import os
from pathlib import Path

__version__ = os.environ.get("LIMANI_SCRIPT_VERSION", "0.1.0")
__path__.append(str(Path(__file__).parents[5] / "src" / "limani"))
