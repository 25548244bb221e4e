"""Layers from tar files of whole file systems (mmdebstrap, debootstrap, docker export).

Either as they are, or the difference of two of them, so that images that share a base share its layer.

OCI image specification v1.1, layer.md, sections "Change Types" and "Whiteouts".
"""

from __future__ import annotations

import copy
import functools
import gzip
import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

import zstandard

from limani.errors import ArchiveInvalid, BadInput
from limani.image import media
from limani.image.layer import PIECE, Layer, LayerBuilder, clean_name, fixed_time

_WHITEOUT = ".wh."


class Tree:
    """The entries of a tar file by path; hard links know the content they stand for."""

    def __init__(self, tar: tarfile.TarFile, keep: Callable[[str], bool]) -> None:
        self._tar = tar
        self.entries: dict[str, tarfile.TarInfo] = {}
        keep = functools.cache(keep)
        for member in tar:
            if not any(part not in ("", ".") for part in member.name.split("/")):
                continue  # the root itself
            name = clean_name(member.name)
            if all(keep(path) for path in (*_parents(name), name)):
                self.entries[name] = member

    def source(self, name: str) -> tarfile.TarInfo:
        """The entry that holds the content of ``name`` (another one for hard links); raises ArchiveInvalid."""
        member = self.entries[name]
        for _ in range(100):
            if not member.islnk():
                return member
            try:
                member = self._tar.getmember(member.linkname)
            except KeyError:
                break
        raise ArchiveInvalid(f"{name} is a hard link to {member.linkname}, which is not in the tar.", member=name)

    def open(self, name: str) -> IO[bytes]:
        """The content of a regular file."""
        content = self._tar.extractfile(self.source(name))
        assert content is not None
        return content

    def link_target(self, name: str) -> str | None:
        """The path a hard link shares its content with, None for other entries."""
        return clean_name(self.source(name).name) if self.entries[name].islnk() else None

    def is_folder(self, name: str) -> bool:
        """Whether ``name`` is a folder here."""
        return name in self.entries and self.entries[name].isdir()


def build_layer_from_tar(
    tar: Path,
    out_dir: Path,
    compression: media.Compression = "",
    *,
    mtime: int | None = 0,
    keep: Callable[[str], bool] = lambda path: True,
    created_by: str = "",
) -> Layer:
    """A layer with everything in ``tar`` (plain or compressed), sorted; owners, modes and extended attributes kept.

    ``mtime``: the time of all entries in seconds, 0 meaning SOURCE_DATE_EPOCH where that is set; None keeps each
    entry's own (compiled Python modules are only used while the time of their source is the one they were compiled
    with). ``keep``: asked for each path; a folder it refuses goes with all that is below. Raises ArchiveInvalid,
    BadInput.
    """
    with _tree(tar, keep) as tree, LayerBuilder(out_dir, compression) as layer:
        _add_entries(layer, tree, sorted(tree.entries), mtime)
        return layer.finish(created_by)


def build_layer_from_difference(
    base: Path,
    tar: Path,
    out_dir: Path,
    compression: media.Compression = "",
    *,
    mtime: int | None = 0,
    keep: Callable[[str], bool] = lambda path: True,
    created_by: str = "",
) -> Layer:
    """The layer that turns the tree of ``base`` into the tree of ``tar``.

    It holds what ``base`` lacks or has differently (type, mode, owner, content, link target, extended attributes;
    times do not count), the folders above it, and a whiteout for what is gone. ``mtime`` and ``keep`` as in
    ``build_layer_from_tar``; use the same ``keep`` as for the base's layer. Raises ArchiveInvalid, BadInput.
    """
    with _tree(base, keep) as old, _tree(tar, keep) as new, LayerBuilder(out_dir, compression) as layer:
        changed = {name for name in new.entries if not _same(old, new, name)}
        gone = [
            name
            for name in old.entries
            if name not in new.entries and all(new.is_folder(parent) for parent in _parents(name))
        ]
        for name in [*changed, *gone]:
            changed.update(parent for parent in _parents(name) if new.is_folder(parent))
        whiteouts = {_whiteout(name) for name in gone}
        _add_entries(layer, new, sorted(changed | whiteouts), mtime)
        return layer.finish(created_by)


@contextmanager
def _tree(path: Path, keep: Callable[[str], bool]) -> Iterator[Tree]:
    try:
        with path.open("rb") as file, _plain(file) as plain, tarfile.open(fileobj=plain, mode="r:") as tar:
            yield Tree(tar, keep)
    except FileNotFoundError as error:
        raise BadInput(f"The tar file {path} does not exist.", path=str(path)) from error
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile, zstandard.ZstdError) as error:
        raise ArchiveInvalid(f"The tar file {path} cannot be read: {error}.", path=str(path)) from error


@contextmanager
def _plain(file: IO[bytes]) -> Iterator[IO[bytes]]:
    """The tar itself: entries are read in sorted order, so a compressed one is unpacked to a temporary file first."""
    magic = file.read(4)
    file.seek(0)
    unpacked: IO[bytes]
    if magic.startswith(b"\x1f\x8b"):
        unpacked = cast("IO[bytes]", gzip.GzipFile(fileobj=file))
    elif magic.startswith(b"\x28\xb5\x2f\xfd"):
        unpacked = cast("IO[bytes]", zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True))
    else:
        yield file
        return
    with unpacked, tempfile.TemporaryFile() as temporary:
        shutil.copyfileobj(unpacked, temporary, PIECE)
        temporary.seek(0)
        yield temporary


def _parents(name: str) -> list[str]:
    return [name[:i] for i, letter in enumerate(name) if letter == "/"]


def _whiteout(name: str) -> str:
    folder, slash, last = name.rpartition("/")
    return f"{folder}{slash}{_WHITEOUT}{last}"


def _same(old: Tree, new: Tree, name: str) -> bool:
    if name not in old.entries:
        return False
    first, second = old.source(name), new.source(name)
    if _facts(first) != _facts(second):
        return False
    if not first.isfile():
        return True
    with old.open(name) as a, new.open(name) as b:
        while piece := a.read(PIECE):
            if piece != b.read(PIECE):
                return False
    return True


def _facts(entry: tarfile.TarInfo) -> tuple[object, ...]:
    kind = tarfile.REGTYPE if entry.isfile() else entry.type
    size = entry.size if entry.isfile() else 0
    link = entry.linkname if entry.issym() else ""
    device = (entry.devmajor, entry.devminor) if entry.isdev() else None
    return kind, entry.mode & 0o7777, entry.uid, entry.gid, size, link, device, sorted(_xattrs(entry).items())


def _xattrs(entry: tarfile.TarInfo) -> dict[str, str]:
    return {key: value for key, value in entry.pax_headers.items() if key.startswith("SCHILY.xattr.")}


def _add_entries(layer: LayerBuilder, tree: Tree, names: Iterable[str], mtime: int | None) -> None:
    when = fixed_time() if mtime == 0 else mtime
    first_name: dict[str, str] = {}  # path that holds a content in the tar -> name it was written under
    for name in names:
        if name not in tree.entries:  # a whiteout
            info = tarfile.TarInfo(name)
            info.mtime = when or 0
            layer.add(info)
            continue
        member = tree.source(name)
        info = copy.copy(member)
        info.name, info.uname, info.gname, info.pax_headers = name, "", "", _xattrs(member)
        info.mtime = int(member.mtime) if when is None else when
        if not member.isfile():
            layer.add(info)
            continue
        # Sorting may bring a link before its target: the first name gets the content, the others link to it.
        first = first_name.setdefault(clean_name(member.name), name)
        if first != name:
            info.type, info.linkname, info.size = tarfile.LNKTYPE, first, 0
            layer.add(info)
            continue
        info.type = tarfile.REGTYPE
        with tree.open(name) as content:
            layer.add(info, content)
