"""Structured logs: one JSON object per line on standard output. Never a token, never a header."""

from __future__ import annotations

import logging
import sys
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

import msgspec

LOG = logging.getLogger("limani.agent")

_NOTES: ContextVar[dict[str, Any]] = ContextVar("notes")


def begin() -> dict[str, Any]:
    """Start the notes of a request: what its log line shall say (aiohttp's own way differs by version)."""
    notes: dict[str, Any] = {}
    _NOTES.set(notes)
    return notes


def note(**facts: Any) -> None:
    """Add to the notes of the request being handled."""
    _NOTES.get().update(facts)


def noted(key: str) -> Any:
    """What was noted of the request being handled."""
    return _NOTES.get().get(key)


def event(message: str, *, level: int = logging.INFO, **fields: Any) -> None:
    """Log an event with JSON fields."""
    LOG.log(level, message, extra={"fields": fields})


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line, enc_hook=str).decode()


def set_up(level: str) -> None:
    """Send all logs of the process to standard output as JSON lines."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(_Json())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
