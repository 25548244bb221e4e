"""What a lesson's steps printed when they were captured, with date and versions as the page says them."""

from __future__ import annotations

from datetime import date

from limani.lab.lesson import Lesson, Outputs
from limani.lab.page import digest
from limani.lab.schema import read
from limani.lab.serve.render import Command

# fmt: off
MONTHS = {
    "en": ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
           "November", "December"),
    "el": ("Ιανουαρίου", "Φεβρουαρίου", "Μαρτίου", "Απριλίου", "Μαΐου", "Ιουνίου", "Ιουλίου", "Αυγούστου",
           "Σεπτεμβρίου", "Οκτωβρίου", "Νοεμβρίου", "Δεκεμβρίου"),
}
# fmt: on


class Captures:
    """The captured outputs of a lesson; a lesson without a capture shows commands only."""

    def __init__(self, lesson: Lesson, lang: str) -> None:
        self._lesson = lesson
        path = lesson.folder / "outputs.yml"
        self._outputs: Outputs | None = read(path, Outputs)[0] if path.exists() else None
        self._captured = _when(self._outputs, lang) if self._outputs else ""

    def command(self, step_id: str, run: str) -> Command:
        """The step with its output, if that was captured with the command the lesson has now."""
        step = self._lesson.step(step_id)
        capture = self._outputs.steps.get(step_id) if self._outputs else None
        if capture is None or capture.command_sha256 != digest(step.run):
            return Command(run)
        return Command(run, capture.output, self._captured, capture.exit)


def _when(outputs: Outputs, lang: str) -> str:
    day = date.fromisoformat(outputs.date[:10])
    versions = ", ".join(f"{name} {version}" for name, version in sorted(outputs.versions.items()))
    shown = f"{day.day} {MONTHS[lang][day.month - 1]} {day.year}"
    return f"{shown} ({versions})" if versions else shown
