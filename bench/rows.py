"""The measurements. Each function takes what it needs and returns figures; ratios are taken side by side in one run."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from functools import partial
from pathlib import Path

from bench import payload
from bench.figure import MB, Figure
from bench.lab import Lab, limani, timed
from images.cache import ROOT

MIB = 1 << 20


def cluster() -> list[Figure]:
    """Making and deleting a three-node cluster, and what it takes while idle."""
    name = "bench-cluster"
    limani("cluster", "delete", name)
    ready, gone, rss = [], [], 0
    for _ in range(3):
        ready.append(timed(lambda: Lab.create(name, 3)))
        rss = Lab.open(name).rss()
        gone.append(timed(lambda: limani("cluster", "delete", name)))
    note = "three nodes, binaries cached; best and worst of three: {:.1f} to {:.1f} s"
    return [
        Figure(
            "cluster create: nodes Ready, DNS answers",
            statistics.median(ready),
            "<=",
            12,
            "s",
            note.format(min(ready), max(ready)),
        ),
        Figure("cluster delete", statistics.median(gone), "<=", 3, "s", note.format(min(gone), max(gone))),
        Figure(
            "memory of the whole cluster", rss / MIB, "<=", 1.2 * 1024, "MiB", "sum of RSS, right after it is ready"
        ),
    ]


def controller_bytes(lab: Lab, folder: Path) -> list[Figure]:
    """Bytes on the controller's link for one, three and five nodes."""
    figures = []
    for count in (1, 3, 5):
        archive, reference = payload.image(folder, "once", (40, 40, 20), seed=count)
        before = lab.sent_by_controller()
        result = lab.load(archive, lab.nodes[:count], each=100 * MB)
        sent = lab.sent_by_controller() - before
        missing = result["images"][0]["size"]
        note = f"{sent:,} bytes on the link for {missing:,} missing on each of {count} nodes"
        figures.append(
            Figure(f"controller's link, {count} nodes: bytes / missing bytes", sent / missing, "<=", 1.03, "x", note)
        )
        lab.forget(reference)
        archive.unlink()
    return figures


def changed_layer(lab: Lab, folder: Path) -> list[Figure]:
    """Re-seeding a 500 MB image of which one 5 MB layer has changed."""
    sizes = (99, 99, 99, 99, 99, 5)
    first, reference = payload.image(folder, "changed", sizes, seed=1, top=1)
    nodes = lab.nodes[:3]
    lab.load(first, nodes, each=500 * MB)
    first.unlink()
    second, _ = payload.image(folder, "changed", sizes, seed=1, top=2)
    before = {node: lab.received_by(node) for node in nodes} | {"": lab.sent_by_controller()}
    seconds = timed(lambda: lab.load(second, nodes, each=5 * MB))
    moved = {node: lab.received_by(node) - before[node] for node in nodes}
    moved["controller"] = lab.sent_by_controller() - before[""]
    worst = max(moved, key=lambda link: moved[link])
    second.unlink()
    lab.forget(reference)
    note = f"most on the link of {worst}; {seconds:.1f} s"
    return [Figure("500 MB image, one 5 MB layer changed: bytes per link", moved[worst] / MB, "<=", 5.35, "MB", note)]


def shaped(lab: Lab, folder: Path) -> list[Figure]:
    """A 200 MB image to five nodes over links of 200 Mbit/s, along a chain and from the controller alone."""
    sizes, megabits = (50, 50, 50, 50), 200
    archive, reference = payload.image(folder, "shaped", sizes, seed=1)
    bound = sum(sizes) * 8 / megabits
    with lab.shaped(megabits):
        chain = timed(lambda: lab.load(archive, each=200 * MB))
        lab.forget(reference)
        star = timed(lambda: lab.load(archive, each=200 * MB, LIMANI_SPREAD="star"))
    lab.forget(reference)
    archive.unlink()
    return [
        Figure(
            "200 MB to 5 nodes, links of 200 Mbit/s: time / (bytes / bandwidth)",
            chain / bound,
            "<=",
            1.5,
            "x",
            f"{chain:.1f} s, bytes / bandwidth is {bound:.1f} s",
        ),
        Figure(
            "the same with every node served by the controller: times slower",
            star / chain,
            ">=",
            3,
            "x",
            f"{star:.1f} s against {chain:.1f} s",
        ),
    ]


def unshaped(lab: Lab, folder: Path) -> list[Figure]:
    """The same image over free links, against piping the whole tar into every node."""
    sizes = (50, 50, 50, 45, 5)
    times: dict[str, list[float]] = {"ours": [], "ours again": [], "pipe": [], "pipe again": []}
    for turn in range(3):
        first, reference = payload.image(folder, "free", sizes, seed=turn, top=1)
        second, _ = payload.image(folder, "free", sizes, seed=turn, top=2)
        ours = [
            ("ours", partial(lab.load, first, each=200 * MB)),
            ("ours again", partial(lab.load, second, each=5 * MB)),
        ]
        pipe = [("pipe", partial(lab.ctr_import, first)), ("pipe again", partial(lab.ctr_import, second))]
        # Everybody begins with a quiet disk: what was written before has been written. And they take turns.
        for way in (ours, pipe) if turn % 2 == 0 else (pipe, ours):
            for name, work in way:
                os.sync()
                times[name].append(timed(work))
            lab.forget(reference)
        first.unlink()
        second.unlink()
    middle = {name: statistics.median(values) for name, values in times.items()}
    return [
        Figure(
            "200 MB to 5 nodes, free links: time of the piped tar / ours",
            middle["pipe"] / middle["ours"],
            ">=",
            1,
            "x",
            f"{middle['pipe']:.2f} s against {middle['ours']:.2f} s (medians of 3)",
        ),
        Figure(
            "the same with one 5 MB layer changed",
            middle["pipe again"] / middle["ours again"],
            ">=",
            10,
            "x",
            f"{middle['pipe again']:.2f} s against {middle['ours again']:.2f} s (medians of 3)",
        ),
    ]


def second_run(lab: Lab, folder: Path) -> list[Figure]:
    """The playbook when there is nothing to do, against a play with nothing in it."""
    archive, reference = payload.image(folder, "again", (20,), seed=1)
    nodes = lab.nodes[:3]
    lab.load(archive, nodes)
    empty = folder / "empty.yml"
    empty.write_text("- hosts: localhost\n  connection: local\n  gather_facts: false\n  tasks: []\n")
    variables = {"kubeconfig": lab.kubeconfig, "nodes": nodes, "images": [{"archive": str(archive)}]}
    tree = subprocess.run([ROOT / "scripts/collection_tree.sh"], check=True, capture_output=True, text=True)
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": tree.stdout.strip(), "ANSIBLE_FORCE_COLOR": "0"}

    def play(path: Path, *options: str) -> str:
        command = [str(Path(sys.executable).parent / "ansible-playbook"), str(path), "-e", json.dumps(variables)]
        done = subprocess.run([*command, *options], check=True, stdout=subprocess.PIPE, text=True, env=environment)
        return done.stdout

    seed = ROOT / "playbooks/seed-images.yml"
    for path in (empty, seed):  # the first run of each also compiles what Python has not compiled yet
        play(path)
    before = lab.sent_by_controller()
    summary = _result(play(seed, "-v"))["summary"]
    sent = lab.sent_by_controller() - before
    moved = summary["bytes"] + summary["uploaded"]
    ours, theirs = [], []
    for _ in range(5):
        theirs.append(timed(lambda: play(empty)))
        ours.append(timed(lambda: play(seed)))
    more = statistics.median(ours) - statistics.median(theirs)
    archive.unlink()
    lab.forget(reference)
    return [
        Figure("playbook, nothing to do: blob bytes", moved, "<=", 0, "bytes", f"{sent:,} bytes on the link in all"),
        Figure(
            "playbook, nothing to do: above an empty play, 3 nodes",
            more,
            "<=",
            0.5,
            "s",
            f"{statistics.median(ours):.2f} s against {statistics.median(theirs):.2f} s (medians of 5)",
        ),
    ]


def _result(printed: str) -> dict[str, dict[str, int]]:
    """The result of the seeding task, which ``-v`` prints as JSON behind its host."""
    task = printed.index("TASK [Seed the images]")
    start = printed.index("=> {", task) + len("=> ")
    result: dict[str, dict[str, int]] = json.JSONDecoder().raw_decode(printed, start)[0]
    return result


def memory(lab: Lab, folder: Path) -> list[Figure]:
    """The agents' memory while idle and while a gigabyte passes through each."""
    idle = lab.agent_rss()
    archive, reference = payload.image(folder, "large", (100,) * 10, seed=1)
    lab.reset_agent_peaks()
    result = lab.load(archive, lab.nodes[:3], each=1000 * MB)
    peak = lab.agent_peak()
    lab.forget(reference)
    archive.unlink()
    moved = result["summary"]["bytes"] // 3
    return [
        Figure("agent, idle", idle / MIB, "<=", 60, "MiB", f"largest of {len(lab.nodes)}, VmRSS after the runs above"),
        Figure(
            "agent while 1 GB passes", peak / MIB, "<=", 100, "MiB", f"largest of 3, VmHWM; {moved:,} bytes to each"
        ),
    ]
