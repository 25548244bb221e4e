# Copyright (c) The Limani authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""PRIVATE: may change at any time. The base of all action plugins: a module's job in the controller's own process.

Ansible loads action plugins in its main process and forks for each task, so what this file and the library import is
paid for once in a run, and a task starts in milliseconds. The module file does the same job wherever that cannot be:
on another host, with become, in the background (async), or when only the Python of ansible_python_interpreter has
the library.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any

from ansible.errors import AnsibleFileNotFound
from ansible.module_utils.common.parameters import remove_values
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.limani.nodes.plugins.module_utils._job import Job, Refused, plain, refused
from ansible_collections.limani.nodes.plugins.plugin_utils._progress import Progress, wanted

if TYPE_CHECKING:
    from collections.abc import Iterator

display = Display()

FILES = ("kubeconfig", "auth_file", "archive", "ca_file")
"""Options, at any depth, that name files of the controller."""


class JobAction(ActionBase):
    """Runs ``JOB``. A subclass sets it and is named ActionModule."""

    JOB: Job
    _supports_async = True
    _requires_connection = True

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._loads = _loads(cls.JOB)

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(None, task_vars)
        args = dict(self._task.args)
        if self._connection.transport == "local":
            args = self._find_files(args)
        if not self._in_process():
            return self._execute_module(module_args=args, task_vars=task_vars, wrap_async=self._task.async_val)
        self._task.args = args
        with self._environment():
            return self._perform()

    def _in_process(self) -> bool:
        return bool(
            self._loads
            and self._connection.transport == "local"
            and not self._task.async_val
            and not self._connection.become
        )

    def _perform(self) -> dict[str, Any]:
        """What run_module does, here; the answer has the same shape."""
        validation, _args = self.validate_argument_spec(dict(self.JOB.argument_spec), **self.JOB.rules)
        params = plain(validation.validated_parameters)
        secrets = validation._no_log_values
        try:
            self.JOB.prepare(params)
            result = self.JOB.perform(params, check=self._task.check_mode, progress=self._progress(secrets))
        except Refused as problem:
            result = refused(problem)
        return remove_values(result, secrets)

    def _progress(self, secrets: set[str]) -> Progress:
        show = wanted(self._task.check_mode)
        return Progress(lambda text: display.display(f"  {text}", stderr=True) if show else None, secrets)

    def _find_files(self, value: Any, key: str | None = None) -> Any:
        if isinstance(value, dict):
            return {name: self._find_files(item, name) for name, item in value.items()}
        if isinstance(value, list):
            return [self._find_files(item) for item in value]
        return self._find_file(value) if key in FILES and isinstance(value, str) and value else value

    def _find_file(self, path: str) -> str:
        """Absolute path, found as src options are, else in the current directory; decrypted if it is vaulted."""
        found = os.path.expanduser(os.path.expandvars(path))
        if not os.path.isabs(found):
            try:
                found = self._find_needle("files", found)
            except AnsibleFileNotFound:
                found = os.path.abspath(found)
        return self._loader.get_real_file(found) if os.path.isfile(found) else found

    @contextlib.contextmanager
    def _environment(self) -> Iterator[None]:
        """The task's environment keyword, as a module's process would have it. Every task has a process of its own."""
        wished: dict[str, Any] = {}
        self._compute_environment_string(wished)
        before = dict(os.environ)
        os.environ.update({key: str(value) for key, value in wished.items()})
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)


def _loads(job: Job) -> bool:
    """Import the library now, in the main process, and say whether it is there."""
    try:
        job.load()
    except ImportError:
        return False
    return True
