"""Versions, module files and stamps."""

from __future__ import annotations

from pathlib import Path

import pytest

from limani.cluster.binaries import compile as compiler
from limani.cluster.binaries.groups import GROUPS, versions
from limani.errors import BadInput

MODULES = Path(compiler.__file__).parent / "modules"
UPSTREAM = """\
module k8s.io/kubernetes

go 1.26.0

replace (
\tk8s.io/api => ./staging/src/k8s.io/api
\tk8s.io/kms => ./staging/src/k8s.io/kms
\tother.example/x => ../x
)
"""


def test_versions_can_be_named() -> None:
    """Another Kubernetes changes Kubernetes alone."""
    known = versions()
    assert set(known) == {group.name for group in GROUPS}
    assert versions("v1.35.2") == {**known, "kubernetes": "1.35.2"}


@pytest.mark.parametrize("text", ["1.36", "latest", "", "1.x.0", "1.36.", "../1.2.3"])
def test_bad_versions_are_refused(text: str) -> None:
    """What is no version is refused before anything is fetched."""
    with pytest.raises(BadInput):
        versions(text)


def test_staging_modules_are_replaced_by_published_ones() -> None:
    """Kubernetes' go.mod is turned into one that works outside its repository."""
    text = compiler.go_mod(GROUPS[0], "1.36.3", UPSTREAM)
    assert "\tk8s.io/api => k8s.io/api v0.36.3\n" in text
    assert "\tk8s.io/kms => k8s.io/kms v0.36.3\n" in text
    assert "other.example" not in text
    assert "require k8s.io/kubernetes v1.36.3\n" in text
    assert "\tk8s.io/kubernetes/cmd/kubelet\n" in text
    assert "godebug default=go1.26\n" in text


@pytest.mark.parametrize("name", [group.name for group in GROUPS])
def test_module_files_are_of_the_versions_recorded(name: str) -> None:
    """go.mod in the package requires what versions.json says, has a tool line per program, and go.sum is there."""
    found = next(group for group in GROUPS if group.name == name)
    text = (MODULES / found.name / "go.mod").read_text()
    assert f"{found.module} v{versions()[found.name]}\n" in text.replace(" // indirect", "")
    assert all(package in text for package in found.packages.values())
    assert f"{found.module} v{versions()[found.name]} h1:" in (MODULES / found.name / "go.sum").read_text()


def test_versions_are_stamped_in() -> None:
    """The API server says its version because the linker was told."""
    flags = compiler.linker_flags(GROUPS[0], "1.36.3")
    assert "-X k8s.io/component-base/version.gitVersion=v1.36.3" in flags
    assert "-X k8s.io/component-base/version.gitMinor=36" in flags
