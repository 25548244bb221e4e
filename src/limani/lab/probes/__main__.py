"""List all probes with their parameters: ``python -m limani.lab.probes``."""

from __future__ import annotations

import inspect

import click

from limani.lab.probes import get, names


def lines() -> list[str]:
    """Each probe as it is written in a lesson, and what it asks."""
    found = []
    for name in names():
        parameters = list(inspect.signature(get(name)).parameters.values())[1:]
        told = ", ".join(str(parameter) for parameter in parameters)
        about = inspect.cleandoc(get(name).__doc__ or "").partition("\n\n")[0].replace("\n", " ")
        found.append(f"{name}({told})\n    {about}")
    return found


if __name__ == "__main__":
    click.echo("\n".join(lines()))
