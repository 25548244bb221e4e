"""Every claim about every lesson, proved on a real Docker daemon and a real cluster (see story.py for the claims)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from limani.errors import LessonInvalid
from limani.lab import library
from tests.lab.conftest import Telling
from tests.lab.story import claims

pytestmark = [pytest.mark.integration, pytest.mark.lab, pytest.mark.timeout(1200)]


def _claims() -> Iterator[Any]:
    for folder in library.folders():
        try:
            for name, _ in claims(library.load(folder)):
                yield pytest.param(folder, name, id=f"{folder.name}:{name}")
        except LessonInvalid:
            yield pytest.param(folder, "readable", id=f"{folder.name}:readable")


@pytest.mark.parametrize(("folder", "claim"), [*_claims()])
def test_lesson(telling: Telling, folder: Path, claim: str) -> None:
    """The claim holds."""
    telling.answers[folder.name, claim].result()
