#!/usr/bin/python
# Copyright (c) The Limani authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: node_agent
short_description: Install, upgrade or remove the agents of a cluster
version_added: 0.1.0
author:
  - The Limani authors (!UNKNOWN)
description:
  - Installs the agent as a DaemonSet with everything it needs (namespace, service accounts, permissions, network policy), brings it
    to the wanted version, or removes all of it.
  - Waits until the agent answers on every node, and says which node is not ready and why.
  - Whoever may run pods in the namespace of the agent can reach the container runtime of the nodes, and is thereby root there. Let
    nobody else into that namespace.
extends_documentation_fragment:
  - limani.nodes._attributes
  - limani.nodes._attributes.changes
  - limani.nodes._attributes.group
  - limani.nodes._cluster
options:
  state:
    description:
      - V(present) installs or upgrades the agent, V(absent) removes it and all that came with it.
    type: str
    choices: [present, absent]
    default: present
  image:
    description:
      - Reference of the agent's image.
      - Lab clusters made by M(limani.nodes.lab_cluster) need neither this option nor O(archive).
    type: str
  archive:
    description:
      - Archive with the agent's image, which is put onto the nodes of a lab cluster.
      - A relative path is looked for as C(src) options are, then in the current directory.
    type: path
  version:
    description:
      - Version of the agent, for an O(image) that names none. Without this option that of the Python package C(limani).
    type: str
  pull_policy:
    description:
      - When the kubelet pulls O(image).
    type: str
    choices: [IfNotPresent, Always, Never]
    default: IfNotPresent
  pull_secrets:
    description:
      - Names of secrets in O(namespace) the kubelet pulls O(image) with.
    type: list
    elements: str
    default: []
  node_selector:
    description:
      - Labels a node must have to get an agent. Without this option every node gets one.
    type: dict
  tolerations:
    description:
      - Tolerations of the agent's pods, as in a pod. Without this option they tolerate every taint.
    type: list
    elements: dict
  docker:
    description:
      - Let the agents speak to the Docker daemon of their nodes as well, on nodes that have one.
    type: bool
    default: false
  wait:
    description:
      - Wait until the agent answers on every node, or until it is gone.
    type: bool
    default: true
  timeout:
    description:
      - Seconds to wait.
    type: int
    default: 300
seealso:
  - module: limani.nodes.node_agent_info
"""

EXAMPLES = r"""
- name: Install the agent on a lab cluster
  limani.nodes.node_agent:
    kubeconfig: lab.kubeconfig

- name: Install the agent from a registry on the nodes with a label
  limani.nodes.node_agent:
    image: registry.example/limani/agent:0.1.0
    pull_secrets: [registry-example]
    node_selector:
      limani.dev/agent: "yes"

- name: Remove the agent
  limani.nodes.node_agent:
    state: absent
"""

RETURN = r"""
state:
  description: The state asked for.
  returned: success
  type: str
  sample: present
namespace:
  description: Namespace of the agent.
  returned: success
  type: str
  sample: limani-system
image:
  description: Image of the agent; empty when it is absent.
  returned: success
  type: str
  sample: registry.example/limani/agent:0.1.0
version:
  description: Version of the agent that belongs to this version of the module.
  returned: success
  type: str
  sample: 0.1.0
nodes:
  description: The agent of each node, by the node's name; kept when the task fails. Empty in check mode, without O(wait) and with
    O(state=absent).
  returned: when the nodes could be asked
  type: dict
  contains:
    ready:
      description: Whether the agent answers.
      returned: always
      type: bool
    failed:
      description: Whether it should and does not.
      returned: always
      type: bool
    reason:
      description: One sentence on why not, else empty.
      returned: always
      type: str
    pod:
      description: Name of its pod.
      returned: always
      type: str
    version:
      description: Version the agent reports.
      returned: always
      type: str
    error:
      description: The error as for the whole task (RV(error)).
      returned: when this node failed
      type: dict
  sample:
    n1: {ready: true, failed: false, reason: "", pod: limani-agent-x7k2p, version: 0.1.0}
summary:
  description: The nodes counted.
  returned: when the nodes could be asked
  type: dict
  contains:
    nodes:
      description: Nodes that should have an agent.
      returned: always
      type: int
    ready:
      description: Nodes whose agent answers.
      returned: always
      type: int
    failed:
      description: Nodes whose agent does not.
      returned: always
      type: int
    seconds:
      description: How long it took.
      returned: always
      type: float
  sample: {nodes: 3, ready: 3, failed: 0, seconds: 4.2}
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
    function="limani.deploy.task:node_agent",
    argument_spec={
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "image": {"type": "str"},
        "archive": {"type": "path"},
        "version": {"type": "str"},
        "pull_policy": {"type": "str", "choices": ["IfNotPresent", "Always", "Never"], "default": "IfNotPresent"},
        "pull_secrets": {"type": "list", "elements": "str", "default": [], "no_log": False},
        "node_selector": {"type": "dict"},
        "tolerations": {"type": "list", "elements": "dict"},
        "docker": {"type": "bool", "default": False},
        "wait": {"type": "bool", "default": True},
        "timeout": {"type": "int", "default": 300},
        **_options.cluster(),
    },
    rules={"mutually_exclusive": [("image", "archive")]},
    prepare=_options.finish,
)


def main() -> None:
    run_module(JOB)


if __name__ == "__main__":
    main()
