"""Building layers: tar streams of changes to a file system (OCI image specification v1.1, layer.md).

The same input always gives the same bytes: entries are sorted by path, times are fixed, names of users and groups
are left out. Contents go from disk to disk in pieces; the digest and the diffID are taken on the way.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import stat
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import IO, Protocol, Self

import zstandard

from limani.errors import BadInput
from limani.image import media
from limani.image.descriptor import Descriptor

PIECE = 1 << 20
_BLOCK = 512
# What a new parent folder must look like where it is not an ordinary one: a layer's entry replaces that of the layers
# below it, so /tmp would else lose its sticky bit.
_PARENT_MODES = {"tmp": 0o1777, "var/tmp": 0o1777, "root": 0o700}


@dataclass(frozen=True, slots=True)
class Layer:
    """A finished layer: the blob is the file ``path``. ``diff_id``: digest of the uncompressed tar stream."""

    descriptor: Descriptor
    diff_id: str
    path: Path
    created_by: str = ""


@dataclass(frozen=True, slots=True)
class File:
    """A regular file to be put into a layer; ``content`` is the bytes or where to read them."""

    content: bytes | Path
    mode: int = 0o644
    uid: int = 0
    gid: int = 0


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder to be put into a layer."""

    mode: int = 0o755
    uid: int = 0
    gid: int = 0


@dataclass(frozen=True, slots=True)
class Symlink:
    """A symbolic link to be put into a layer."""

    target: str


Node = File | Folder | Symlink | bytes
"""What a mapping of files may hold; bytes are a file of mode 0644."""


def fixed_time() -> int:
    """The time entries get, in seconds: SOURCE_DATE_EPOCH (reproducible-builds.org) if set, else 0."""
    text = os.environ.get("SOURCE_DATE_EPOCH", "") or "0"
    if not text.isdecimal():
        raise BadInput(f"SOURCE_DATE_EPOCH is {text!r}.", hint="Set it to a number of seconds since 1970, or unset it.")
    return int(text)


class _Compressor(Protocol):
    def compress(self, data: bytes, /) -> bytes: ...

    def flush(self) -> bytes: ...


class _Plain:
    def compress(self, data: bytes, /) -> bytes:
        return data

    def flush(self) -> bytes:
        return b""


def _compressor(compression: media.Compression) -> _Compressor:
    if compression == "gzip":
        return zlib.compressobj(6, zlib.DEFLATED, 31)  # 31: gzip framing, without a name and with time 0
    if compression == "zstd":
        return zstandard.ZstdCompressor(level=6).compressobj()
    return _Plain()


class LayerBuilder:
    """Writes one layer entry by entry; use as a context manager, then ``finish``. Leaves no file behind otherwise."""

    def __init__(self, out_dir: Path, compression: media.Compression = "") -> None:
        out_dir.mkdir(parents=True, exist_ok=True)
        self._compression: media.Compression = compression
        self._compressor = _compressor(compression)
        self._diff = hashlib.sha256()
        self._blob = hashlib.sha256()
        self._size = 0
        self._out_dir = out_dir
        descriptor, name = tempfile.mkstemp(prefix=".layer-", dir=out_dir)
        self._file: IO[bytes] = os.fdopen(descriptor, "wb")
        self._temporary = Path(name)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        self._temporary.unlink(missing_ok=True)

    def add(self, entry: tarfile.TarInfo, content: IO[bytes] | None = None) -> None:
        """Append an entry; ``content`` must hold ``entry.size`` bytes. Raises BadInput when it is shorter."""
        self._write(entry.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape"))
        left = entry.size if content is not None else 0
        while content is not None and left:
            piece = content.read(min(left, PIECE))
            if not piece:
                raise BadInput(f"{entry.name} became shorter while it was read.", path=entry.name)
            self._write(piece)
            left -= len(piece)
        if content is not None:
            self._write(bytes(-entry.size % _BLOCK))

    def finish(self, created_by: str = "") -> Layer:
        """Close the layer; its file is named by the 64 digits of its digest."""
        self._write(bytes(2 * _BLOCK))
        self._store(self._compressor.flush())
        self._file.close()
        path = self._out_dir / self._blob.hexdigest()
        self._temporary.chmod(0o644)
        self._temporary.replace(path)
        descriptor = Descriptor(media.layer_type(self._compression), f"sha256:{self._blob.hexdigest()}", self._size)
        return Layer(descriptor, f"sha256:{self._diff.hexdigest()}", path, created_by)

    def _write(self, data: bytes) -> None:
        self._diff.update(data)
        self._store(self._compressor.compress(data))

    def _store(self, data: bytes) -> None:
        self._blob.update(data)
        self._size += len(data)
        self._file.write(data)


def build_layer_from_files(
    files: Mapping[str, Node], out_dir: Path, compression: media.Compression = "", *, created_by: str = ""
) -> Layer:
    """A layer of the given paths. Parent folders that are not listed are added with their usual modes.

    Write paths as they are on the target (``/usr/bin``, not ``/bin``): a parent replaces a symbolic link of the
    layers below. Raises BadInput for paths that leave the root and for contents that cannot be read.
    """
    nodes: dict[str, Node] = {}
    for path, node in files.items():
        name = clean_name(path)
        nodes[name] = node
        for parent in list(PurePosixPath(name).parents)[:-1]:
            nodes.setdefault(str(parent), Folder(_PARENT_MODES.get(str(parent), 0o755)))
    for path in files:  # what was listed wins over what was added as a parent
        nodes[clean_name(path)] = files[path]
    with LayerBuilder(out_dir, compression) as layer:
        for name in sorted(nodes):
            _add_node(layer, name, nodes[name])
        return layer.finish(created_by)


def build_layer_from_folder(
    folder: Path,
    out_dir: Path,
    compression: media.Compression = "",
    *,
    prefix: str = "/",
    keep: Callable[[str], bool] = lambda path: True,
    created_by: str = "",
) -> Layer:
    """A layer with what is below ``folder``, put below ``prefix``, owned by root, modes kept.

    ``keep`` is asked for every path inside the layer (without a leading slash); a folder it refuses is not entered.
    Raises BadInput where the folder cannot be read or holds something other than files, folders and links.
    """
    files: dict[str, Node] = {}
    start = "" if prefix.strip("/") == "" else clean_name(prefix) + "/"
    for path, name in _walk(folder, start, keep):
        mode = path.lstat().st_mode
        if stat.S_ISLNK(mode):
            files[name] = Symlink(str(path.readlink()))
        elif stat.S_ISDIR(mode):
            files[name] = Folder(stat.S_IMODE(mode))
        elif stat.S_ISREG(mode):
            files[name] = File(path, stat.S_IMODE(mode))
        else:
            raise BadInput(f"{path} is neither a file, a folder nor a link.", path=str(path))
    return build_layer_from_files(files, out_dir, compression, created_by=created_by)


def clean_name(path: str) -> str:
    """A path as a layer spells it: relative to the root, without ``.`` parts; raises BadInput for ``..`` and "/"."""
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if not parts or ".." in parts or "\0" in path:
        raise BadInput(f"{path!r} is not a path inside an image.", path=path)
    return "/".join(parts)


def _walk(folder: Path, prefix: str, keep: Callable[[str], bool]) -> Iterable[tuple[Path, str]]:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        raise BadInput(f"The folder {folder} cannot be read: {error.strerror}.", path=str(folder)) from error
    for entry in entries:
        name = prefix + entry.name
        if not keep(name):
            continue
        yield Path(entry.path), name
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(Path(entry.path), name + "/", keep)


def _add_node(layer: LayerBuilder, name: str, node: Node) -> None:
    node = File(node) if isinstance(node, bytes) else node
    info = tarfile.TarInfo(name)
    info.mtime = fixed_time()
    if isinstance(node, Symlink):
        info.type, info.linkname, info.mode = tarfile.SYMTYPE, node.target, 0o777
        layer.add(info)
        return
    info.mode, info.uid, info.gid = node.mode, node.uid, node.gid
    if isinstance(node, Folder):
        info.type = tarfile.DIRTYPE
        layer.add(info)
        return
    with _opened(node.content) as (content, size):
        info.size = size
        layer.add(info, content)


@contextlib.contextmanager
def _opened(content: bytes | Path) -> Iterator[tuple[IO[bytes], int]]:
    if isinstance(content, bytes):
        yield io.BytesIO(content), len(content)
        return
    try:
        file = content.open("rb")
    except OSError as error:
        raise BadInput(f"{content} cannot be read: {error.strerror}.", path=str(content)) from error
    with file:
        yield file, os.fstat(file.fileno()).st_size
