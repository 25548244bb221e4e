"""Takes the whole lab down: lessons, cluster, Docker daemon."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from limani.errors import LimaniError
from limani.lab import library
from limani.lab.lifecycle import Lifecycle, Say
from limani.lab.state import Store


async def take_down(home: Path, store: Store, lifecycle: Lifecycle, say: Say, force: bool) -> None:
    """Remove all parts. ``force``: go on where one cannot be removed; else the first failure ends it."""
    from limani.lab.place.cluster import cluster_down
    from limani.lab.place.docker import docker_down

    async def attempt(work: Callable[[], None]) -> None:
        try:
            await asyncio.to_thread(work)
        except LimaniError as error:
            if not force:
                raise
            say(error.message)

    try:
        await _remove_lessons(store, lifecycle, say)
    except LimaniError as error:
        if not force:
            raise
        say(error.message)
    await attempt(lambda: docker_down(home))
    await attempt(lambda: cluster_down(home))


async def _remove_lessons(store: Store, lifecycle: Lifecycle, say: Say) -> None:
    """Lessons on places that stay are removed one by one; places of our own go with all they hold."""
    from limani.lab.place.cluster import cluster_status
    from limani.lab.place.docker import docker_status

    for name, attempt in store.read().lessons.items():
        shared = attempt.before is not None and not attempt.docker_own and docker_status(lifecycle.home) is not None
        if shared or (attempt.namespace and cluster_status(lifecycle.home) is not None):
            await lifecycle.remove(library.find(name), say)
