# Copyright (c) The Limani authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""PRIVATE: may change at any time.

A module of this collection is a ``Job``: an argument spec and the name of one function of the library ``limani``.
The module file runs it in a process of its own (``run_module``), the action plugin in the controller's process
(``plugin_utils/_action.py``); both come through ``Job.perform``, so both give the same answer.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.limani.nodes.plugins.module_utils._version import VERSION

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

LIFTED = ("changed", "images", "nodes", "summary", "diff")
"""Parts of a result that an error may carry in its fields: what happened on the nodes that did not fail."""


class Refused(Exception):
    """Parameters that are each of the right type but make no sense together; the text says which and why."""


@dataclass(frozen=True)
class Job:
    """What one module does.

    ``function``: ``package.module:name`` in the library. ``reads``: it only looks, so it takes neither ``check`` nor
    ``progress``. ``prepare``: finishes validated parameters in place (nested lists, absolute paths); raises Refused.
    """

    function: str
    argument_spec: Mapping[str, Any]
    rules: Mapping[str, Any] = field(default_factory=dict)
    reads: bool = False
    prepare: Callable[[dict[str, Any]], None] = lambda params: None

    def load(self) -> Callable[..., dict[str, Any]]:
        """The library's function. Raises ImportError if the library is not installed."""
        module, name = self.function.split(":")
        return getattr(import_module(module), name)

    def perform(self, params: Mapping[str, Any], *, check: bool, progress: Callable[[str], None]) -> dict[str, Any]:
        """Run the library's function on prepared parameters; a failure is a result with ``failed`` and ``error``."""
        try:
            function = self.load()
            import limani
            from limani.errors import LimaniError
        except ImportError as problem:
            return _missing(problem.name or "limani")
        if _series(limani.__version__) != _series(VERSION):
            text = f"The collection is version {VERSION}, the Python package limani is {limani.__version__}."
            return failure(_error("version_skew", text, _install_hint()))
        try:
            if self.reads:
                return {"changed": False, **function(plain(params))}
            return function(plain(params), check=check, progress=progress)
        except LimaniError as problem:
            return failure(problem.to_dict())


def failure(error: dict[str, Any]) -> dict[str, Any]:
    """The result of a failed task. What the error knows about single nodes moves to where a success has it."""
    fields = dict(error["fields"])
    lifted = {key: fields.pop(key) for key in LIFTED if key in fields}
    message = " ".join(text for text in (error["message"], error["hint"]) if text)
    return {"changed": False, **lifted, "failed": True, "msg": message, "error": {**error, "fields": fields}}


def plain(value: Any) -> Any:
    """The same value made of JSON's own types only: ansible-core 2.19 and later hands out tagged subclasses."""
    if isinstance(value, str):
        return str.__str__(value)
    for kind in (int, float):
        if isinstance(value, kind) and not isinstance(value, bool):
            return kind.__new__(kind, value)
    if isinstance(value, dict):
        return {plain(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


def run_module(job: Job) -> None:
    """``main()`` of every module file."""
    module = AnsibleModule(argument_spec=dict(job.argument_spec), supports_check_mode=True, **job.rules)
    params = dict(module.params)
    try:
        job.prepare(params)
    except Refused as problem:
        module.fail_json(**refused(problem))
    result = job.perform(params, check=module.check_mode, progress=lambda text: None)
    if result.get("failed"):
        module.fail_json(**result)
    module.exit_json(**result)


def refused(problem: Refused) -> dict[str, Any]:
    """The result of a task whose parameters make no sense together."""
    return failure(_error("bad_input", str(problem), "Correct the options named above; nothing was changed."))


def _missing(package: str) -> dict[str, Any]:
    text = missing_required_lib(package.partition(".")[0])
    return failure(_error("library_missing", text, _install_hint()))


def _error(code: str, message: str, hint: str) -> dict[str, Any]:
    return {"code": code, "message": message, "hint": hint, "fields": {}}


def _install_hint() -> str:
    return f"Install it for the Python that runs Ansible: python -m pip install 'limani ~= {_series(VERSION)}.0'."


def _series(version: str) -> str:
    return ".".join(version.split(".")[:2])
