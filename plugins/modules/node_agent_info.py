#!/usr/bin/python
# Copyright (c) The Limani authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: node_agent_info
short_description: Tell how the agents of a cluster are
version_added: 0.1.0
author:
  - The Limani authors (!UNKNOWN)
description:
  - Asks the agent of each node for its version, the container runtimes it speaks to and their disks, all at once.
  - Nodes whose agent does not answer are named with the reason; this does not fail the task.
extends_documentation_fragment:
  - limani.nodes._attributes
  - limani.nodes._attributes.info
  - limani.nodes._attributes.group
  - limani.nodes._cluster
seealso:
  - module: limani.nodes.node_agent
"""

EXAMPLES = r"""
- name: Ask the agents
  limani.nodes.node_agent_info:
  register: agents

- name: Every node must have one
  ansible.builtin.assert:
    that: agents.summary.failed == 0
    fail_msg: "{{ agents.nodes | dict2items | map(attribute='value.reason') | select | join('; ') }}"
"""

RETURN = r"""
installed:
  description: Whether the agent is installed.
  returned: always
  type: bool
  sample: true
image:
  description: Image of the agent; empty when it is not installed.
  returned: always
  type: str
  sample: registry.example/limani/agent:0.1.0
version:
  description: Version of the agent; empty when it is not installed.
  returned: always
  type: str
  sample: 0.1.0
nodes:
  description: The agent of each node, by the node's name.
  returned: always
  type: dict
  contains:
    ready:
      description: Whether the agent answers.
      returned: always
      type: bool
    failed:
      description: Whether it does not.
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
      returned: when the agent answers
      type: str
    protocol:
      description: Version of the protocol it speaks.
      returned: when the agent answers
      type: int
    platform:
      description: Platform of the node.
      returned: when the agent answers
      type: str
    engine:
      description: The node's container runtime, with C(name), C(version), C(ok), C(pin) and C(error).
      returned: when the agent answers
      type: dict
    engines:
      description: All container runtimes the agent speaks to.
      returned: when the agent answers
      type: list
      elements: dict
    disks:
      description: File systems the images are on, with C(path), C(total) and C(free) bytes.
      returned: when the agent answers
      type: list
      elements: dict
    error:
      description: The error as for the whole task (RV(error)).
      returned: when this node failed
      type: dict
  sample:
    n1:
      ready: true
      failed: false
      reason: ""
      pod: limani-agent-x7k2p
      version: 0.1.0
      protocol: 1
      platform: linux/amd64
      engine: {name: containerd, version: 2.4.2, ok: true, pin: true, error: ""}
      engines:
        - {name: containerd, version: 2.4.2, ok: true, pin: true, error: ""}
      disks:
        - {path: /var/lib/containerd, total: 100000000000, free: 60000000000}
summary:
  description: The nodes counted.
  returned: always
  type: dict
  contains:
    nodes:
      description: Nodes asked.
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
  sample: {nodes: 3, ready: 3, failed: 0}
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
    function="limani.deploy.task:node_agent_info",
    argument_spec=_options.cluster(),
    reads=True,
    prepare=_options.finish,
)


def main() -> None:
    run_module(JOB)


if __name__ == "__main__":
    main()
