"""A stdout callback for programs: one JSON document at the end, and nothing else may be on standard output."""

from __future__ import annotations

import json

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: json
type: stdout
short_description: all results as JSON
description: all results as JSON
"""


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "json"

    def __init__(self):
        super().__init__()
        self.tasks = []

    def _keep(self, result, *args, **kwargs):
        answer = dict(result.result if hasattr(result, "result") else result._result)
        self.tasks.append({"task": result._task.get_name(), "result": answer})

    v2_runner_on_ok = v2_runner_on_failed = v2_runner_on_skipped = v2_runner_on_unreachable = _keep

    def v2_playbook_on_stats(self, stats):
        print(json.dumps(self.tasks, default=str))
