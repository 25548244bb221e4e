# Copyright (c) The Limani authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""PRIVATE: may change at any time. Lines that say how far a long task is, while it runs."""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING

from ansible import constants
from ansible.module_utils.common.parameters import remove_values

if TYPE_CHECKING:
    from collections.abc import Callable

INTERVAL_S = 2.0


def wanted(check: bool) -> bool:
    """Whether to show progress: never in check mode, as E(LIMANI_PROGRESS) (on, off, auto) says otherwise.

    auto: not where standard output is meant for a program.
    """
    choice = os.environ.get("LIMANI_PROGRESS", "auto").lower()
    if check or choice == "off":
        return False
    return choice == "on" or "json" not in constants.config.get_config_value("DEFAULT_STDOUT_CALLBACK")


class Progress:
    """Passes lines on to ``show``: every two seconds the newest of each subject (what stands before the first colon).

    A task shorter than that shows none. Threads may call it. ``secrets`` are masked.
    """

    def __init__(
        self, show: Callable[[str], None], secrets: set[str], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._show = show
        self._secrets = secrets
        self._clock = clock
        self._shown_at = clock()
        self._waiting: dict[str, str] = {}
        self._lock = threading.Lock()

    def __call__(self, text: str) -> None:
        with self._lock:
            self._waiting[text.partition(":")[0]] = text
            if self._clock() - self._shown_at < INTERVAL_S:
                return
            lines, self._waiting = list(self._waiting.values()), {}
            self._shown_at = self._clock()
        for line in lines:
            self._show(remove_values(line, self._secrets))
