# Copyright (c) The Limani authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""PRIVATE: may change at any time. The elements of the option ``images``: a name, or a dictionary that says more."""

from __future__ import annotations

import re
from typing import Any

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.limani.nodes.plugins.module_utils._job import Refused
from ansible_collections.limani.nodes.plugins.module_utils._options import absolute

IMAGE = {
    "name": {"type": "str"},
    "source": {"type": "str", "choices": ["registry", "archive", "docker", "containerd", "node"]},
    "archive": {"type": "path"},
    "node": {"type": "str"},
    "socket": {"type": "path"},
    "containerd_namespace": {"type": "str", "default": "default"},
    "platform": {"type": "str"},
}

OWN = {"archive": "archive", "node": "node"}
"""Options that belong to one source, which they imply."""


def finish(params: dict[str, Any]) -> None:
    """Make every element of ``images`` a complete dictionary and check what an argument spec cannot say."""
    state = params["state"]
    if state == "pruned" and params["images"]:
        raise Refused("state=pruned chooses the images by the option prune; leave out images.")
    if state == "pruned" and params["prune"] is None:
        raise Refused("state=pruned needs the option prune, which says what may go.")
    if state == "pruned" and not any(params["prune"].values()):
        raise Refused("prune is empty: give at least one of keep, older_than, patterns (all images would go else).")
    if state != "pruned":
        if params["prune"] is not None:
            raise Refused(f"prune belongs to state=pruned, not to state={state}.")
        params["images"] = [_image(number, value, state) for number, value in enumerate(params["images"] or [])]
        if not params["images"]:
            raise Refused("images is empty: name at least one image.")
    params["registries"] = params["registries"] or []
    for registry in params["registries"]:
        absolute(registry, "ca_file")
    if params["prune"]:
        params["prune"]["older_than"] = _seconds(params["prune"]["older_than"])
    absolute(params, "kubeconfig", "auth_file")


def _image(number: int, value: Any, state: str) -> dict[str, Any]:
    where = f"images[{number}]"
    given = {"name": value} if isinstance(value, str) else value
    if not isinstance(given, dict):
        raise Refused(f"{where} is a {type(value).__name__}; write a name or a dictionary.")
    checked = ArgumentSpecValidator(IMAGE).validate(given)
    if checked.error_messages:
        raise Refused(f"{where}: {'; '.join(checked.error_messages)}")
    image = dict(checked.validated_parameters)
    if state == "absent":
        extra = sorted(key for key in given if key != "name" and given[key] is not None)
        if extra:
            raise Refused(f"{where}: with state=absent only the name counts; leave out {', '.join(extra)}.")
        if not image["name"]:
            raise Refused(f"{where}: the name of the image to remove is missing.")
    _choose_source(where, image)
    absolute(image, "archive", "socket")
    return image


def _choose_source(where: str, image: dict[str, Any]) -> None:
    """Derive the source where it is not given, and refuse options of another source."""
    implied = [source for option, source in OWN.items() if image[option]]
    if len(implied) > 1:
        raise Refused(f"{where}: archive and node exclude each other; an image comes from one source.")
    image["source"] = image["source"] or (implied[0] if implied else "registry")
    source = image["source"]
    for option, owner in OWN.items():
        if image[option] and source != owner:
            raise Refused(f"{where}: {option} belongs to source={owner}, not to source={source}.")
        if source == owner and not image[option]:
            raise Refused(f"{where}: source={source} needs the option {option}.")
    if image["socket"] and source not in ("docker", "containerd"):
        raise Refused(f"{where}: socket belongs to source=docker and source=containerd, not to source={source}.")
    if not image["name"] and source != "archive":
        raise Refused(
            f"{where}: the name is missing (only an archive may go without: then every named image in it is meant)."
        )


UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


def _seconds(age: str | None) -> int | None:
    """``36h`` as seconds."""
    if age is None:
        return None
    match = re.fullmatch(r"(\d+)([smhdw])", age.strip())
    if not match:
        raise Refused(f"prune.older_than: {age!r} is no age; write a number and one of s, m, h, d, w, for example 30d.")
    return int(match[1]) * UNITS[match[2]]
