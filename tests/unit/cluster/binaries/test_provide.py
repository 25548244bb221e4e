"""Getting the binaries: folder, cache, and downloads from a server that has the projects' layout."""

from __future__ import annotations

import hashlib
import http.server
import io
import tarfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from limani.cluster.binaries import compile as compiler
from limani.cluster.binaries import download, provide
from limani.cluster.binaries.groups import GROUPS, NAMES, versions
from limani.cluster.binaries.provide import cache_folder, missing
from limani.errors import BinariesUnavailable, DigestMismatch

FILES: dict[str, bytes] = {}
ASKED: list[str] = []


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves FILES by path."""

    def do_GET(self) -> None:
        ASKED.append(self.path)
        body = FILES.get(self.path)
        self.send_response(404 if body is None else 200)
        self.send_header("Content-Length", str(len(body or b"")))
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class's name)
        """Be quiet."""


@pytest.fixture
def mirror(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    """A mirror with every release; the cache is empty, and nothing can be compiled."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(compiler, "can_compile", lambda: False)
    FILES.clear()
    ASKED.clear()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_address[1]}/mirror"
        publish(address)
        yield f"{address}/"
        server.shutdown()


def publish(address: str) -> None:
    """Put releases of the recorded versions onto the server, as their projects lay them out."""
    for group in GROUPS:
        version = versions()[group.name]
        single = "{binary}" in group.releases
        for binary in group.packages if single else list(group.packages)[:1]:
            path = download.url(group, version, binary, address).removeprefix(address.removesuffix("/mirror"))
            body = f"program {binary}".encode() if single else archive(list(group.packages))
            FILES[path] = body
            name, digest = path.rpartition("/")[2], hashlib.sha256(body).hexdigest()
            if group.name == "etcd":
                FILES[f"{path.rpartition('/')[0]}/SHA256SUMS"] = f"{'0' * 64}  other\n{digest}  {name}\n".encode()
            else:
                suffix = ".sha256sum" if group.name == "containerd" else ".sha256"
                FILES[path + suffix] = (digest if single else f"{digest}  ./{name}\n").encode()


def archive(binaries: list[str]) -> bytes:
    """A gzipped tar with programs in a folder, and something nobody wants."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name in [*(Path(binary).name for binary in binaries), "README"]:
            body = f"program {name}".encode()
            entry = tarfile.TarInfo(f"bin/{name}")
            entry.size = len(body)
            tar.addfile(entry, io.BytesIO(body))
    return buffer.getvalue()


def quiet(text: str) -> None:
    """Progress nobody reads."""


def test_a_mirror_has_everything(mirror: str) -> None:
    """All binaries arrive, executable and right, in the cache; the second time nothing is asked for."""
    folder, version = provide(None, None, mirror=mirror, progress=quiet)
    assert version == versions()["kubernetes"]
    assert missing(folder) == []
    for name in NAMES:
        assert (folder / name).read_text().rpartition("/")[2] in (
            f"program {name}",
            f"program {Path(name).name}",
            Path(name).name,
        )
    assert not list(folder.rglob("*.partial"))
    ASKED.clear()
    assert provide(None, None, mirror=mirror, progress=quiet)[0] == folder
    assert ASKED == []


def test_a_damaged_download_is_refused_and_the_rest_is_kept(mirror: str) -> None:
    """A wrong sha256 names the address; the next attempt fetches only what is missing."""
    path = next(path for path in FILES if path.endswith("/kubelet"))
    good, FILES[path] = FILES[path], b"damaged"
    with pytest.raises(DigestMismatch, match="kubelet"):
        provide(None, None, mirror=mirror, progress=quiet)
    assert not cache_folder(versions()).exists()
    FILES[path] = good
    ASKED.clear()
    assert missing(provide(None, None, mirror=mirror, progress=quiet)[0]) == []
    assert not [asked for asked in ASKED if asked.endswith(("/kube-apiserver", ".tar.gz", ".tgz"))]


def test_what_a_mirror_lacks_is_named(mirror: str) -> None:
    """A file that is not there is an error with its address, and no compiler is started instead."""
    path = next(path for path in FILES if "coredns" in path and path.endswith(".tgz"))
    del FILES[path]
    with pytest.raises(BinariesUnavailable, match="coredns"):
        provide(None, None, mirror=mirror, progress=quiet)


def test_a_file_without_a_checksum_is_refused(mirror: str) -> None:
    """A checksum list that does not have the file is no checksum."""
    path = next(path for path in FILES if path.endswith("SHA256SUMS"))
    FILES[path] = b"0" * 64 + b"  another-file\n"
    with pytest.raises(BinariesUnavailable, match="etcd"):
        provide(None, None, mirror=mirror, progress=quiet)


@pytest.mark.parametrize("bad", ["file:///etc", "ftp://example.test/x", "mirror"])
def test_only_http_is_spoken(mirror: str, bad: str) -> None:
    """Another scheme is refused."""
    with pytest.raises(BinariesUnavailable):
        provide(None, None, mirror=bad, progress=quiet)


def test_two_at_once_fetch_once(mirror: str) -> None:
    """Of two runs one fetches, the other waits and says so."""
    said: list[str] = []
    threads = [
        threading.Thread(target=provide, args=(None, None), kwargs={"mirror": mirror, "progress": said.append})
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    fetched = [asked for asked in ASKED if asked.endswith("/kube-apiserver")]
    assert len(fetched) == 1
    assert missing(cache_folder(versions())) == []


def test_without_any_way_all_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No folder, no cache, no network, no Go: the error says what to give."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(download, "reachable", lambda *_: False)
    monkeypatch.setattr(compiler, "can_compile", lambda: False)
    with pytest.raises(BinariesUnavailable) as caught:
        provide(None, None, progress=quiet)
    assert "--binaries" in caught.value.hint


def test_the_compiler_comes_last(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where releases cannot be reached the binaries are compiled into the cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(download, "reachable", lambda *_: False)
    monkeypatch.setattr(compiler, "can_compile", lambda: True)

    def build(target: Path, wanted: dict[str, str], progress: Callable[[str], None]) -> None:
        for name in NAMES:
            (target / name).parent.mkdir(exist_ok=True)
            (target / name).write_text(wanted["kubernetes"])
            (target / name).chmod(0o755)

    monkeypatch.setattr(compiler, "compile_all", build)
    folder, version = provide(None, "1.35.0", progress=quiet)
    assert version == "1.35.0"
    assert (folder / "kubelet").read_text() == "1.35.0"
    assert "kubernetes-1.35.0" in folder.name


def test_a_folder_must_have_everything(tmp_path: Path) -> None:
    """What a named folder lacks is named, also a file that cannot be run; nothing is fetched."""
    for name in NAMES:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch(0o755)
    assert provide(str(tmp_path), None, progress=quiet)[0] == tmp_path
    (tmp_path / "etcd").unlink()
    (tmp_path / "ctr").chmod(0o644)
    with pytest.raises(BinariesUnavailable, match="etcd, ctr"):
        provide(str(tmp_path), None, progress=quiet)
