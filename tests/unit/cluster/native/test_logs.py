"""Ends of logs."""

from __future__ import annotations

from pathlib import Path

from limani.cluster.native import logs
from limani.cluster.native.layout import Layout


def test_tail_is_the_last_lines(tmp_path: Path) -> None:
    """The last lines, of long files and short ones, with bytes that are no text."""
    file = tmp_path / "log"
    file.write_bytes(b"".join(b"line %d \xff\n" % number for number in range(100_000)))
    assert logs.tail(file, 2) == ["line 99998 \ufffd", "line 99999 \ufffd"]
    file.write_text("only")
    assert logs.tail(file, 5) == ["only"]


def test_logs_are_named_after_their_process(tmp_path: Path) -> None:
    """Control plane by name, nodes as NODE/NAME."""
    layout = Layout("lab", tmp_path, tmp_path / "run")
    for path in ("control/log/etcd.log", "nodes/n1/log/limani/kubelet.log", "nodes/n2/log/limani/kubelet.log"):
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).write_text("x")
    assert list(logs.files(layout)) == ["etcd", "n1/kubelet", "n2/kubelet"]
