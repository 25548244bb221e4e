#!/usr/bin/python
# Copyright (c) The Limani authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: k8s_node_image_info
short_description: List the images the nodes of a cluster hold
version_added: 0.1.0
author:
  - The Limani authors (!UNKNOWN)
description:
  - Asks the agents of the nodes for their images, container runtime and disks, all at once.
  - Tells for each image which nodes hold it.
extends_documentation_fragment:
  - limani.nodes._attributes
  - limani.nodes._attributes.info
  - limani.nodes._attributes.group
  - limani.nodes._cluster
  - limani.nodes._cluster.nodes
options:
  images:
    description:
      - Only images with a reference that is one of these, or matches one of these shell patterns.
      - Without this option all images.
    type: list
    elements: str
  engine:
    description:
      - Container runtime to ask. V(auto) is the one the kubelet of each node uses.
    type: str
    choices: [auto, containerd, docker]
    default: auto
  min_success:
    description:
      - How many of the chosen nodes have to answer for the task to succeed, as a number or as a percentage.
    type: str
    default: 100%
seealso:
  - module: limani.nodes.k8s_node_image
"""

EXAMPLES = r"""
- name: Which nodes hold the images of the team?
  limani.nodes.k8s_node_image_info:
    images: [registry.example/team/*]
  register: held

- name: Show it
  ansible.builtin.debug:
    msg: "{{ item.reference }} is on {{ item.nodes | join(', ') }}"
  loop: "{{ held.images }}"
  loop_control:
    label: "{{ item.reference }}"
"""

RETURN = r"""
images:
  description: The images by reference, sorted.
  returned: always
  type: list
  elements: dict
  contains:
    reference:
      description: Full name.
      returned: always
      type: str
    digests:
      description: Digests the name has on the nodes; more than one when the nodes differ.
      returned: always
      type: list
      elements: str
    size:
      description: Bytes on disk as the runtime counts them.
      returned: always
      type: int
    nodes:
      description: Nodes that hold it, sorted.
      returned: always
      type: list
      elements: str
  sample:
    - reference: docker.io/library/nginx:1.27
      digests: [sha256:6784fb0834aa7dbbe12e3d7471e69c290df3e6ba810dc38b34ae33d3c1c05f7d]
      size: 72950530
      nodes: [n1, n2, n3]
nodes:
  description: What each node answered, by its name.
  returned: when the nodes could be asked
  type: dict
  contains:
    failed:
      description: Whether this node did not answer.
      returned: always
      type: bool
    reason:
      description: One sentence on why not, else empty.
      returned: always
      type: str
    error:
      description: The error as for the whole task (RV(error)).
      returned: when this node failed
      type: dict
    platform:
      description: Platform of the node.
      returned: when the node answered
      type: str
    engine:
      description: Container runtime, with C(name), C(version), C(ok), C(pin) (whether it can pin) and C(error).
      returned: when the node answered
      type: dict
    disks:
      description: File systems the images are on, with C(path), C(total) and C(free) bytes.
      returned: when the node answered
      type: list
      elements: dict
    images:
      description: Images of the node, with C(digest), C(config_digest), C(references), C(size), C(platform), C(created), C(stored),
        C(pinned) and C(used_by).
      returned: always
      type: list
      elements: dict
  sample:
    n1:
      failed: false
      reason: ""
      platform: linux/amd64
      engine: {name: containerd, version: 2.4.2, ok: true, pin: true, error: ""}
      disks:
        - {path: /var/lib/containerd, total: 100000000000, free: 60000000000}
      images: []
summary:
  description: The nodes counted.
  returned: when the nodes could be asked
  type: dict
  contains:
    nodes:
      description: Nodes chosen.
      returned: always
      type: int
    ok:
      description: Nodes that answered.
      returned: always
      type: int
    failed:
      description: Nodes that did not.
      returned: always
      type: int
  sample: {nodes: 3, ok: 3, failed: 0}
error:
  description: What went wrong.
  returned: on failure
  type: dict
  contains:
    code:
      description: Stable name of the kind of error.
      returned: always
      type: str
    message:
      description: What went wrong, where and why.
      returned: always
      type: str
    hint:
      description: What to do next.
      returned: always
      type: str
    fields:
      description: Facts for programs.
      returned: always
      type: dict
  sample:
    code: agent_missing
    message: Node n3 has no agent.
    hint: "Install the agent: limani agent install, or role limani.nodes.agent."
    fields: {}
"""

from ansible_collections.limani.nodes.plugins.module_utils import _options
from ansible_collections.limani.nodes.plugins.module_utils._job import Job, run_module

JOB = Job(
    function="limani.seed.task:node_image_info",
    argument_spec={
        "images": {"type": "list", "elements": "str"},
        "engine": {"type": "str", "choices": ["auto", "containerd", "docker"], "default": "auto"},
        "min_success": {"type": "str", "default": "100%"},
        **_options.nodes(),
        **_options.cluster(),
    },
    rules=_options.NODES_RULES,
    reads=True,
    prepare=_options.finish,
)


def main() -> None:
    run_module(JOB)


if __name__ == "__main__":
    main()
