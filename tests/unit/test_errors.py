"""The error family."""

from __future__ import annotations

import inspect
import pickle

import pytest

from limani import errors
from limani.errors import DigestMismatch, LimaniError, RemoteError, by_code

CLASSES = [cls for _, cls in inspect.getmembers(errors, inspect.isclass) if issubclass(cls, LimaniError)]


def test_codes_are_unique() -> None:
    """No two classes share a code, so a code read from JSON names one class."""
    assert len({cls.code for cls in CLASSES}) == len(CLASSES)
    assert {cls.code: cls for cls in CLASSES}.items() <= by_code().items()


@pytest.mark.parametrize("cls", CLASSES)
def test_every_class_says_what_to_do_next(cls: type[LimaniError]) -> None:
    """Each class has a hint, a docstring and an HTTP error status."""
    assert cls.default_hint.endswith((".", ")")), cls
    assert inspect.getdoc(cls)
    assert 400 <= cls.status < 600


def test_round_trip_through_json_form() -> None:
    """What an agent sends arrives as the same class with the same texts and facts."""
    sent = DigestMismatch("Bytes differ.", hint="Look.", node="n1", expected="sha256:00")
    got = LimaniError.from_dict(sent.to_dict())
    assert type(got) is DigestMismatch
    assert got.to_dict() == sent.to_dict()


def test_unknown_code_is_kept_as_remote_error() -> None:
    """An error of a newer agent keeps its texts and its code."""
    got = LimaniError.from_dict({"code": "brand_new", "message": "Hm.", "hint": "Wait."})
    assert type(got) is RemoteError
    assert (got.message, got.hint, got.fields["remote_code"]) == ("Hm.", "Wait.", "brand_new")


def test_errors_survive_pickling() -> None:
    """Errors cross process borders (Ansible's workers)."""
    got = pickle.loads(pickle.dumps(DigestMismatch("Bytes differ.", node="n1")))
    assert got.message == "Bytes differ."
