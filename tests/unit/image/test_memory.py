"""Memory stays flat however large an image is."""

import subprocess
import sys
from pathlib import Path

import pytest

ALLOWED = 20 << 20


@pytest.mark.slow
@pytest.mark.parametrize("form", ["tar", "stream", "gzip", "zstd"])
def test_two_gigabytes(tmp_path: Path, form: str) -> None:
    """Reading an image of two GB takes at most 20 MiB of memory, whatever form it has."""
    command = [sys.executable, "-m", "tests.unit.image.memory_probe", form, str(tmp_path)]
    root = Path(__file__).parents[3]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, cwd=root, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) <= ALLOWED
