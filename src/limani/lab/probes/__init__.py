"""Probes: questions about behaviour that the checks of lessons ask.

A probe is ``async def pod_ready(world: World, *, name: str) -> Finding`` under ``@probe`` in a module of this package;
lessons name it ``module.function`` and give its keyword parameters as ``with:``. Probes only look: what they change
they undo before they answer. They may raise; what cannot be reached becomes ``unknown``.
"""

from __future__ import annotations

import inspect
import pkgutil
import typing
from collections.abc import Awaitable, Callable, Mapping
from importlib import import_module
from typing import Any, TypeAlias, TypeVar

import msgspec

from limani.lab.record import Finding

Probe: TypeAlias = Callable[..., Awaitable[Finding]]
P = TypeVar("P", bound=Probe)
_registered: dict[str, Probe] = {}


def probe(function: P) -> P:
    """Register ``function`` as ``<module>.<function>``."""
    name = f"{function.__module__.rpartition('.')[2]}.{function.__name__}"
    if name in _registered and _registered[name].__module__ != function.__module__:
        raise ValueError(f"two probes are called {name}")
    _registered[name] = function
    return function


def get(name: str) -> Probe:
    """The probe of that name; KeyError if there is none."""
    if name not in _registered:
        module = f"{__name__}.{name.partition('.')[0]}"
        try:
            import_module(module)
        except ModuleNotFoundError as error:
            if error.name != module:
                raise
    return _registered[name]


def names() -> list[str]:
    """The names of all probes."""
    for module in pkgutil.iter_modules(__path__):
        if not module.name.startswith("_"):
            import_module(f"{__name__}.{module.name}")
    return sorted(_registered)


def arguments_error(function: Probe, given: Mapping[str, Any]) -> tuple[str, str] | None:
    """(Parameter, what is wrong with it) for the first one that does not fit the probe's signature, else None."""
    parameters = dict(list(inspect.signature(function).parameters.items())[1:])  # without the world
    types = typing.get_type_hints(function)
    for name, value in given.items():
        if name not in parameters:
            return name, f"no such parameter; there are {', '.join(parameters) or 'none'}"
        try:
            msgspec.convert(value, types[name])
        except msgspec.ValidationError as error:
            return name, str(error)
    for name, parameter in parameters.items():
        if parameter.default is inspect.Parameter.empty and name not in given:
            return name, "missing"
    return None
