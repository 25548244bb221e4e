"""What of unpacked Debian packages goes into an image."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from images import debian
from limani.errors import HostUnsuitable


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        ("usr/bin/env", True),
        ("usr/share/doc/libc6", True),
        ("usr/share/doc/libc6/copyright", True),
        ("usr/share/doc/libc6/changelog.gz", False),
        ("usr/share/man/man1/ls.1.gz", False),
        ("usr/share/locale/el/LC_MESSAGES/coreutils.mo", False),
        ("usr/lib/x86_64-linux-gnu/gconv/EUC-JP.so", False),
        ("dev/null", False),
        ("var/lib/nginx/body", True),
    ],
)
def test_keep(path: str, kept: bool) -> None:
    """Documentation, translations and devices stay out; licences and programs stay in."""
    assert debian.keep(path) is kept


def test_unpack_leaves_out_devices_and_documents(tmp_path: Path) -> None:
    """A root is unpacked without devices and documents, and without the folders only they were in."""
    tar = tmp_path / "root.tar"
    with tarfile.open(tar, "w") as archive:
        for name in ("usr/bin/tool", "usr/share/doc/tool/copyright", "usr/share/man/man1/tool.1.gz"):
            info = tarfile.TarInfo(f"./{name}")
            info.size, info.mode = 1, 0o755
            archive.addfile(info, io.BytesIO(b"x"))
        link, null = tarfile.TarInfo("./bin"), tarfile.TarInfo("./dev/null")
        link.type, link.linkname = tarfile.SYMTYPE, "usr/bin"
        null.type = tarfile.CHRTYPE
        archive.addfile(link)
        archive.addfile(null)
    root = tmp_path / "root"
    debian.unpack(tar, root)
    files = sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_symlink() or path.is_file())
    assert files == ["bin", "usr/bin/tool", "usr/share/doc/tool/copyright"]
    assert not (root / "usr/share/man").exists()


def test_accounts() -> None:
    """root comes first, nobody last, and every user has a group of the same number."""
    files = debian.accounts([("www-data", 33)])
    users = [line.split(":")[:4] for line in files["etc/passwd"].splitlines()]
    groups = [line.split(":")[:3] for line in files["etc/group"].splitlines()]
    assert [user[0] for user in users] == ["root", "www-data", "nobody"]
    assert [(user[0], user[3]) for user in users] == [(group[0], group[2]) for group in groups]


def test_without_mmdebstrap_it_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing tool is an error with the package's name, before anything is written."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(HostUnsuitable) as caught:
        debian.extract(debian.DEFAULT_SUITE, ["base-files"], tmp_path / "root.tar")
    assert "apt-get install mmdebstrap" in caught.value.hint
    assert list(tmp_path.iterdir()) == []


def test_suites_name_their_abi() -> None:
    """Wheels are chosen by the ABI of the suite's Python."""
    assert {suite.name: suite.abi for suite in debian.SUITES.values()} == {"bookworm": "cp311", "trixie": "cp313"}
