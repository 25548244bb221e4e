"""``python -m bench [ROW]...``: measure, print each figure with its limit, exit 1 if one is broken.

With no ROW all are measured and ``docs/en/benchmarks.md`` is written anew. Rows: see ``ROWS``. Needs root.
"""

from __future__ import annotations

import datetime
import os
import platform
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from bench import rows
from bench.figure import Figure, line, markdown
from bench.lab import Lab
from images.cache import ROOT
from limani import __version__
from limani.errors import LimaniError

PAGE = ROOT / "docs/en/benchmarks.md"
NODES = 5
Row = Callable[[Lab, Path], list[Figure]]
ROWS: dict[str, Row] = {
    "controller": rows.controller_bytes,
    "changed": rows.changed_layer,
    "shaped": rows.shaped,
    "unshaped": rows.unshaped,
    "playbook": rows.second_run,
    "memory": rows.memory,
}


def main(names: list[str]) -> int:
    """Measure the rows of those names, or all."""
    unknown = [name for name in names if name not in {*ROWS, "cluster"}]
    if unknown:
        print(f"bench: no row {', '.join(unknown)}; there are cluster, {', '.join(ROWS)}.", file=sys.stderr)
        return 2
    if os.geteuid() != 0:
        print("bench: the lab cluster needs root; run sudo make bench.", file=sys.stderr)
        return 2
    try:
        figures = measure(names or ["cluster", *ROWS])
    except LimaniError as error:
        print(f"bench: {error.message}\n  hint: {error.hint}", file=sys.stderr)
        return 1
    except subprocess.CalledProcessError as error:
        print(f"bench: {' '.join(map(str, error.cmd[:6]))} ... failed ({error.returncode}).", file=sys.stderr)
        return 1
    if not names:
        PAGE.write_text(page(figures))
        print(f"written: {PAGE.relative_to(ROOT)}")
    broken = [figure for figure in figures if not figure.ok]
    print(f"{len(figures) - len(broken)} of {len(figures)} within their limits")
    return 1 if broken else 0


def measure(names: list[str]) -> list[Figure]:
    """All figures of the rows, printed as they come."""
    figures: list[Figure] = []

    def add(found: list[Figure]) -> None:
        figures.extend(found)
        for figure in found:
            print(line(figure), flush=True)

    if "cluster" in names:
        add(rows.cluster())
    chosen = [row for name, row in ROWS.items() if name in names]
    if chosen:
        with tempfile.TemporaryDirectory(dir="/var/tmp") as folder, Lab.with_agents("bench", NODES) as lab:
            for row in chosen:
                add(row(lab, Path(folder)))
    return figures


def page(figures: list[Figure]) -> str:
    """The page of the documentation."""
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    return f"""# Benchmarks

<!-- Written by make bench; do not edit. -->

Measured on {today} with Limani {__version__} on {machine()}.
`make bench` repeats it on your machine, prints each figure with its limit and fails if one is broken.

{markdown(figures)}
How the figures are taken:

* The cluster is a native lab cluster; its nodes are network namespaces of one machine, joined by a bridge. The
  controller and the API server are the machine itself, so the *controller's link* is what leaves through the bridge.
  Bytes are read from the counters of the kernel.
* All layers are random bytes that no node has seen.
* Shaped links: `tc tbf` on the bridge and on both ends of every node's cable.
* *The piped tar* is what `kind load image-archive` does: the whole file into `ctr images import` on every node, all
  nodes at once. Both ways take turns in one run, and each begins when what was written before is on the disk.
* Times of `limani load` are those of the whole command, from its start to its end.
"""


def machine() -> str:
    """Processor, cores, memory, kernel."""
    model = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    name = model[1].strip() if model else platform.machine()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    return f"{name}, {os.cpu_count()} cores, {memory:.0f} GiB of memory, Linux {platform.release()}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
