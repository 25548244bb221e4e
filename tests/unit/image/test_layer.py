"""limani.image.layer and limani.image.tree: building layers."""

import gzip
import hashlib
import io
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from limani.errors import ArchiveInvalid, BadInput
from limani.image import media
from limani.image.layer import (
    File,
    Folder,
    Layer,
    LayerBuilder,
    Symlink,
    build_layer_from_files,
    build_layer_from_folder,
)
from limani.image.tree import build_layer_from_difference, build_layer_from_tar

Entry = tuple[str, int, bytes]  # type, mode, content or link target


def unpacked(layer: Layer) -> bytes:
    data = layer.path.read_bytes()
    if layer.descriptor.media_type.endswith("+gzip"):
        return gzip.decompress(data)
    if layer.descriptor.media_type.endswith("+zstd"):
        return zstandard.ZstdDecompressor().decompressobj().decompress(data)
    return data


def entries(data: bytes) -> list[tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return tar.getmembers()


def write_tar(path: Path, tree: dict[str, Entry], links: dict[str, str] | None = None) -> Path:
    with tarfile.open(path, "w") as tar:
        for name, (kind, mode, content) in tree.items():
            info = tarfile.TarInfo("./" + name)
            info.mode, info.mtime, info.uid, info.uname = mode, 1234567890, 7, "somebody"
            if kind == "d":
                info.type = tarfile.DIRTYPE
                tar.addfile(info)
            elif kind == "l":
                info.type, info.linkname = tarfile.SYMTYPE, content.decode()
                tar.addfile(info)
            else:
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
        for name, target in (links or {}).items():
            info = tarfile.TarInfo("./" + name)
            info.type, info.linkname = tarfile.LNKTYPE, "./" + target
            tar.addfile(info)
    return path


def apply(layers: list[bytes]) -> dict[str, Entry]:
    """A small model of what a runtime does with layers."""
    tree: dict[str, Entry] = {}
    for data in layers:
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            members = tar.getmembers()
            for member in members:
                folder, _, last = member.name.rpartition("/")
                if last.startswith(".wh."):
                    gone = f"{folder}/{last[4:]}".lstrip("/")
                    assert gone in tree, f"a whiteout for {gone}, which is not there"
                    tree = {k: v for k, v in tree.items() if k != gone and not k.startswith(gone + "/")}
            for member in members:
                if member.name.rpartition("/")[2].startswith(".wh."):
                    continue
                assert not member.name.startswith(("/", ".")), member.name
                if not member.isdir():
                    tree = {k: v for k, v in tree.items() if not k.startswith(member.name + "/")}
                if member.isdir():
                    tree[member.name] = ("d", member.mode, b"")
                elif member.issym():
                    tree[member.name] = ("l", member.mode, member.linkname.encode())
                else:
                    content = tar.extractfile(member)
                    assert content is not None
                    mode = tar.getmember(member.linkname).mode if member.islnk() else member.mode
                    tree[member.name] = ("f", mode, content.read())
    return tree


@pytest.mark.parametrize("compression", ["", "gzip", "zstd"])
def test_digest_diff_id_and_size_are_true(tmp_path: Path, compression: media.Compression) -> None:
    """The descriptor is that of the file written, the diffID that of the unpacked stream."""
    files = {"/app/main.py": b"print(1)\n" * 1000, "/big": File(b"x" * 3_000_000, 0o755, 5, 6)}
    layer = build_layer_from_files(files, tmp_path, compression)
    stored = layer.path.read_bytes()
    assert layer.descriptor.media_type == media.layer_type(compression)
    assert layer.descriptor.digest == "sha256:" + hashlib.sha256(stored).hexdigest()
    assert layer.descriptor.size == len(stored)
    assert layer.path.name == hashlib.sha256(stored).hexdigest()
    assert layer.diff_id == "sha256:" + hashlib.sha256(unpacked(layer)).hexdigest()
    assert [p.name for p in tmp_path.iterdir()] == [layer.path.name]


def test_files_get_parents_owners_and_fixed_times(tmp_path: Path) -> None:
    """Parents come before their children with their usual modes; nothing depends on the machine."""
    layer = build_layer_from_files(
        {"/tmp/x": b"1", "usr/bin/run": File(b"#!", 0o755, 3, 4), "/usr/l": Symlink("bin/run"), "/srv": Folder(0o700)},
        tmp_path,
    )
    found = entries(unpacked(layer))
    assert [(e.name, oct(e.mode)) for e in found] == [
        ("srv", "0o700"),
        ("tmp", "0o1777"),
        ("tmp/x", "0o644"),
        ("usr", "0o755"),
        ("usr/bin", "0o755"),
        ("usr/bin/run", "0o755"),
        ("usr/l", "0o777"),
    ]
    assert {(e.mtime, e.uname, e.gname) for e in found} == {(0, "", "")}
    assert [(e.uid, e.gid) for e in found if e.name == "usr/bin/run"] == [(3, 4)]


def test_source_date_epoch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SOURCE_DATE_EPOCH sets the times; nonsense in it is refused."""
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    assert {e.mtime for e in entries(unpacked(build_layer_from_files({"/a": b""}, tmp_path)))} == {1700000000}
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "yesterday")
    with pytest.raises(BadInput):
        build_layer_from_files({"/a": b""}, tmp_path)


@pytest.mark.parametrize("path", ["", "/", ".", "../x", "/a/../b", "a\0b"])
def test_paths_outside_the_image_are_refused(tmp_path: Path, path: str) -> None:
    """No entry can leave the root, and a failed layer leaves no file."""
    with pytest.raises(BadInput):
        build_layer_from_files({path: b""}, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_missing_content_is_named(tmp_path: Path) -> None:
    """A file that is not there is named, and no file is left behind."""
    with pytest.raises(BadInput, match="nowhere"):
        build_layer_from_files({"/a": File(tmp_path / "nowhere")}, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_folder(tmp_path: Path) -> None:
    """A folder becomes a layer with modes and links kept, below a prefix, without what is not wanted."""
    source = tmp_path / "src"
    (source / "pkg" / "__pycache__").mkdir(parents=True)
    (source / "pkg" / "__pycache__" / "x.pyc").write_bytes(b"c")
    (source / "pkg" / "a.py").write_bytes(b"a")
    (source / "pkg" / "a.py").chmod(0o600)
    (source / "link").symlink_to("pkg/a.py")
    layer = build_layer_from_folder(
        source, tmp_path / "out", prefix="/opt/app", keep=lambda p: not p.endswith("__pycache__")
    )
    tree = apply([unpacked(layer)])
    assert {k: v[0] for k, v in tree.items()} == {
        "opt": "d",
        "opt/app": "d",
        "opt/app/link": "l",
        "opt/app/pkg": "d",
        "opt/app/pkg/a.py": "f",
    }
    assert tree["opt/app/pkg/a.py"] == ("f", 0o600, b"a")
    os.mkfifo(source / "pipe")
    with pytest.raises(BadInput, match="pipe"):
        build_layer_from_folder(source, tmp_path / "out")
    with pytest.raises(BadInput, match="absent"):
        build_layer_from_folder(tmp_path / "absent", tmp_path / "out")


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstandard.ZstdCompressor().compress])
def test_tar_is_sorted_and_its_links_stay_whole(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    """Whatever the order and compression of the tar, the layer is the same; a link may come before its target."""
    tree = {"b": ("f", 0o755, b"content"), "a": ("d", 0o755, b""), "dev": ("d", 0o755, b""), "dev/x": ("f", 0, b"")}
    first = write_tar(tmp_path / "1.tar", tree, {"a/link": "b", "c": "b"})
    second = write_tar(tmp_path / "2.tar", dict(reversed(tree.items())), {"c": "b", "a/link": "b"})
    second.write_bytes(pack(second.read_bytes()))
    layers = [build_layer_from_tar(p, tmp_path / "out", keep=lambda name: name != "dev") for p in (first, second)]
    assert layers[0] == layers[1]
    found = entries(unpacked(layers[0]))
    assert [(e.name, e.linkname, e.uid, e.uname, e.mtime) for e in found] == [
        ("a", "", 7, "", 0),
        ("a/link", "", 7, "", 0),
        ("b", "a/link", 7, "", 0),
        ("c", "a/link", 7, "", 0),
    ]
    assert apply([unpacked(layers[0])])["b"] == ("f", 0o755, b"content")
    kept = build_layer_from_tar(first, tmp_path / "out", mtime=None)
    assert {e.mtime for e in entries(unpacked(kept))} == {1234567890, 0} - {0}


def test_extended_attributes_stay(tmp_path: Path) -> None:
    """Capabilities of files survive; other extended headers do not."""
    with tarfile.open(tmp_path / "x.tar", "w", format=tarfile.PAX_FORMAT) as tar:
        info = tarfile.TarInfo("ping")
        info.pax_headers = {"SCHILY.xattr.security.capability": "\x01\x00\x02", "atime": "1.5", "comment": "x"}
        tar.addfile(info)
    layer = build_layer_from_tar(tmp_path / "x.tar", tmp_path / "out")
    assert entries(unpacked(layer))[0].pax_headers == {"SCHILY.xattr.security.capability": "\x01\x00\x02"}


def test_broken_tars_are_refused(tmp_path: Path) -> None:
    """A file that is no tar, a cut one, a dangling link and a missing one are told apart from success."""
    (tmp_path / "no.tar").write_bytes(b"nothing of the kind" * 100)
    whole = write_tar(tmp_path / "w.tar", {"a": ("f", 0, b"x" * 5000)}).read_bytes()
    (tmp_path / "cut.tar").write_bytes(whole[:3000])
    (tmp_path / "cut.tar.gz").write_bytes(gzip.compress(whole)[:-20])
    write_tar(tmp_path / "dangling.tar", {}, {"a": "gone"})
    for name in ("no.tar", "cut.tar", "cut.tar.gz", "dangling.tar"):
        with pytest.raises((ArchiveInvalid, BadInput)):
            build_layer_from_tar(tmp_path / name, tmp_path / "out")
    with pytest.raises(BadInput, match="absent"):
        build_layer_from_tar(tmp_path / "absent.tar", tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_difference_of_equal_trees_is_empty(tmp_path: Path) -> None:
    """Times and order do not count as changes."""
    tree = {"a": ("d", 0o755, b""), "a/x": ("f", 0o644, b"1")}
    one = write_tar(tmp_path / "1.tar", tree)
    two = write_tar(tmp_path / "2.tar", dict(reversed(tree.items())))
    assert entries(unpacked(build_layer_from_difference(one, two, tmp_path / "out"))) == []


def test_difference_keeps_what_did_not_change_out(tmp_path: Path) -> None:
    """Only the changed file, its folders and a whiteout are in the layer."""
    old = {"a": ("d", 0o755, b""), "a/x": ("f", 0o644, b"1"), "a/y": ("f", 0o644, b"2"), "b": ("f", 0o644, b"3")}
    new = {"a": ("d", 0o755, b""), "a/x": ("f", 0o644, b"9"), "b": ("f", 0o644, b"3"), "c": ("l", 0o777, b"b")}
    layer = build_layer_from_difference(
        write_tar(tmp_path / "1", old), write_tar(tmp_path / "2", new), tmp_path / "out", "gzip"
    )
    assert [e.name for e in entries(unpacked(layer))] == ["a", "a/.wh.y", "a/x", "c"]


_names = st.sampled_from(["a", "b", "c"])


@st.composite
def _trees(draw: st.DrawFn) -> dict[str, Entry]:
    tree: dict[str, Entry] = {}
    for parts in draw(st.lists(st.lists(_names, min_size=1, max_size=3), max_size=6)):
        for depth in range(1, len(parts)):
            parent = "/".join(parts[:depth])
            if tree.setdefault(parent, ("d", 0o755, b""))[0] != "d":
                break
        else:
            leaf = draw(
                st.sampled_from(
                    [("d", 0o700, b""), ("f", 0o644, b"1"), ("f", 0o644, b"2"), ("f", 0o755, b"1"), ("l", 0o777, b"a")]
                )
            )
            tree.setdefault("/".join(parts), leaf)
    return tree


@given(_trees(), _trees())
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_base_and_difference_make_the_new_tree(tmp_path: Path, old: dict[str, Entry], new: dict[str, Entry]) -> None:
    """A base layer and the difference above it are the new tree, for any two trees."""
    one, two = write_tar(tmp_path / "1.tar", old), write_tar(tmp_path / "2.tar", new)
    base = build_layer_from_tar(one, tmp_path / "out")
    top = build_layer_from_difference(one, two, tmp_path / "out")
    assert apply([unpacked(base), unpacked(top)]) == new


def test_content_that_shrinks_is_refused(tmp_path: Path) -> None:
    """A file that gets shorter while it is read does not become a damaged layer."""
    info = tarfile.TarInfo("x")
    info.size = 10
    with pytest.raises(BadInput, match="shorter"), LayerBuilder(tmp_path) as layer:
        layer.add(info, io.BytesIO(b"123"))
    assert list(tmp_path.iterdir()) == []
