#!/usr/bin/python
# Copyright (c) The Limani authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: lab_cluster
short_description: Make or delete a Kubernetes cluster for learning and testing
version_added: 0.1.0
author:
  - The Limani authors (!UNKNOWN)
description:
  - Makes a real Kubernetes cluster of several nodes on one Linux machine, and waits until all nodes are ready and names resolve.
  - Nodes are namespaces of the machine, their parts ordinary processes. Neither Docker nor a virtual machine nor a registry is
    needed, but root is.
  - A cluster that exists is left as it is. If it differs from what is asked, the task fails and says in what.
extends_documentation_fragment:
  - limani.nodes._attributes
  - limani.nodes._attributes.changes
options:
  name:
    description:
      - Name of the cluster. Several clusters can run side by side.
    type: str
    default: lab
  state:
    description:
      - V(present) makes the cluster if there is none of that name, V(absent) deletes it and all its parts.
    type: str
    choices: [present, absent]
    default: present
  backend:
    description:
      - What the cluster is made with.
    type: str
    choices: [native]
    default: native
  nodes:
    description:
      - How many nodes, 1 to 9. They are named C(n1), C(n2) and so on.
    type: int
    default: 3
  kubernetes_version:
    description:
      - Version of Kubernetes. Without this option the one Limani is tested with most.
    type: str
  docker:
    description:
      - Run a Docker daemon on every node besides containerd.
    type: bool
    default: false
  node_subnet:
    description:
      - IPv4 network of the nodes. Without this option a free one.
    type: str
  pod_subnet:
    description:
      - IPv4 network of the pods. Without this option a free one.
    type: str
  service_subnet:
    description:
      - IPv4 network of the services. Without this option a free one.
    type: str
  api_port:
    description:
      - Port of the API server. Without this option the usual one.
    type: int
  binaries:
    description:
      - Folder with the programs the cluster is made of.
      - Without this option they are downloaded, or compiled where that is not possible, and kept in the cache.
    type: path
  mirror:
    description:
      - URL of a mirror to download the programs from instead of their publishers. Checksums are verified in either case.
    type: str
  node_disks:
    description:
      - Give nodes a disk of their own, by name of the node, each with its size, for example V(20G). The name V(*) means every node.
      - Without this option the nodes share the disk of the machine.
    type: dict
  timeout:
    description:
      - Seconds to wait until the cluster is ready. Downloading or compiling the programs does not count.
    type: int
    default: 300
requirements:
  - limani (Python package of the same version as this collection, where the task runs) with its extra C(lab)
  - root
seealso:
  - module: limani.nodes.lab_cluster_info
"""

EXAMPLES = r"""
- name: Make a cluster of three nodes
  limani.nodes.lab_cluster:
    name: lab
  register: lab

- name: Its kubeconfig
  ansible.builtin.debug:
    var: lab.kubeconfig

- name: Make one whose third node has a small disk
  limani.nodes.lab_cluster:
    name: small
    node_disks:
      n3: 2G

- name: Delete a cluster
  limani.nodes.lab_cluster:
    name: lab
    state: absent
"""

RETURN = r"""
name:
  description: Name of the cluster.
  returned: success
  type: str
  sample: lab
state:
  description: The state asked for.
  returned: success
  type: str
  sample: present
backend:
  description: What the cluster is made with.
  returned: success
  type: str
  sample: native
kubeconfig:
  description: Path of the kubeconfig; empty when the cluster is absent.
  returned: success
  type: str
  sample: /var/lib/limani/clusters/lab/kubeconfig
context:
  description: Name of the context in the kubeconfig; empty when the cluster is absent.
  returned: success
  type: str
  sample: limani-lab
kubernetes_version:
  description: Version of Kubernetes; empty when the cluster is absent.
  returned: success
  type: str
  sample: 1.36.3
nodes:
  description: The nodes.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Name of the node.
      returned: always
      type: str
    address:
      description: Its address.
      returned: always
      type: str
    state:
      description: How it is.
      returned: always
      type: str
  sample:
    - {name: n1, address: 10.80.0.11, state: Ready}
seconds:
  description: How long it took.
  returned: success
  type: float
  sample: 8.4
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
    code: host_unsuitable
    message: This needs root.
    hint: limani cluster doctor lists what is missing and how to get it.
    fields: {}
"""

from ansible_collections.limani.nodes.plugins.module_utils import _options
from ansible_collections.limani.nodes.plugins.module_utils._job import Job, run_module

JOB = Job(
    function="limani.cluster.task:lab_cluster",
    argument_spec={
        "name": {"type": "str", "default": "lab"},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "backend": {"type": "str", "choices": ["native"], "default": "native"},
        "nodes": {"type": "int", "default": 3},
        "kubernetes_version": {"type": "str"},
        "docker": {"type": "bool", "default": False},
        "node_subnet": {"type": "str"},
        "pod_subnet": {"type": "str"},
        "service_subnet": {"type": "str"},
        "api_port": {"type": "int"},
        "binaries": {"type": "path"},
        "mirror": {"type": "str"},
        "node_disks": {"type": "dict"},
        "timeout": {"type": "int", "default": 300},
    },
    prepare=_options.finish,
)


def main() -> None:
    run_module(JOB)


if __name__ == "__main__":
    main()
