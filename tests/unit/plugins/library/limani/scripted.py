"""Library functions that write down how they were called and answer what the test said.

LIMANI_SCRIPT names a folder: ``answers.json`` (function -> {"result"} or {"error"}, "progress": lines) is read,
``calls.jsonl`` is written.
"""

import json
import os
from pathlib import Path

from limani.errors import LimaniError


def scripted(name):
    def function(params, **how):
        folder = Path(os.environ["LIMANI_SCRIPT"])
        progress = how.pop("progress", None)
        seen = {key: os.environ.get(key) for key in ("KUBECONFIG", "K8S_AUTH_CONTEXT")}
        call = {"function": name, "params": params, "environment": seen, "parent": os.getppid(), **how}
        with (folder / "calls.jsonl").open("a") as log:
            log.write(json.dumps(call) + "\n")
        _only_plain(params)
        answer = json.loads((folder / "answers.json").read_text()).get(name, {"result": {"changed": False}})
        for line in answer.get("progress", []):
            progress(line)
        if "error" in answer:
            raise LimaniError.from_dict(answer["error"])
        return answer["result"]

    return function


def _only_plain(value):
    """JSON encoders of the library refuse subclasses of str and dict, such as Ansible's tagged ones."""
    if type(value) not in (dict, list, str, int, float, bool, type(None)):
        raise TypeError(f"{value!r} is a {type(value)}")
    for item in value.items() if type(value) is dict else value if type(value) is list else ():
        _only_plain(list(item) if type(item) is tuple else item)
