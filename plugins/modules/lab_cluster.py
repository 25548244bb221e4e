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
  - With the backend V(native) nodes are namespaces of the machine, their parts ordinary processes. Neither Docker nor a virtual
    machine nor a registry is needed, but root is.
  - With the backends V(kind) and V(minikube) those programs make the cluster in Docker; they must be installed.
  - A cluster of kind or minikube that this module did not make is used if it matches, but not changed unless O(adopt=true).
  - A cluster that exists is left as it is, but for parts that do not run, which are started. If it differs from what is asked, the
    task fails and says in what.
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
      - V(present) makes the cluster if there is none of that name, or repairs it, V(absent) deletes it and all its parts.
    type: str
    choices: [present, absent]
    default: present
  backend:
    description:
      - What the cluster is made with. An option that the chosen one cannot honour is refused by name.
    type: str
    choices: [native, kind, minikube]
    default: native
  nodes:
    description:
      - How many nodes, 1 to 9, the first being the control plane of V(kind) and V(minikube).
      - In a V(native) cluster they are named C(n1), C(n2) and so on.
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
      - Port of the API server. Without this option a free one.
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
  image:
    description:
      - Image of the nodes, for V(kind) and V(minikube). Without this option theirs, for V(kind) that of E(LIMANI_KIND_IMAGE).
    type: str
  api_address:
    description:
      - Address of this machine the API server listens on, for V(kind). Without this option that of E(LIMANI_KIND_API_ADDRESS),
        else 127.0.0.1.
    type: str
  runtime:
    description:
      - Container runtime of the nodes, for V(minikube). Nodes of V(kind) run containerd.
    type: str
    choices: [containerd, docker]
  mounts:
    description:
      - Folders of this machine to have in every node, for V(kind) and V(minikube), each C(HOST:NODE) or C(HOST:NODE:ro).
    type: list
    elements: str
  ports:
    description:
      - Ports of this machine that lead to the control plane's node, for V(kind) and V(minikube), each C([ADDRESS:]HOST:NODE[/udp]).
    type: list
    elements: str
  registry_mirrors:
    description:
      - Mirrors to pull from first, for V(kind) and V(minikube), by registry a list of URLs.
    type: dict
  memory:
    description:
      - Memory of each node, for V(minikube), for example V(2G).
    type: str
  adopt:
    description:
      - Look after a cluster of that name that kind or minikube made without this module. From then on it may be changed and deleted.
    type: bool
    default: false
  timeout:
    description:
      - Seconds to wait until the cluster is ready. Downloading or compiling the programs does not count.
    type: int
    default: 300
requirements:
  - limani (Python package of the same version as this collection, where the task runs) with its extra C(lab)
  - root for V(native); Docker and the command kind or minikube for those
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

- name: Make one with kind, its NodePort 30080 on this machine's port 8080
  limani.nodes.lab_cluster:
    name: lab
    backend: kind
    ports:
      - 8080:30080

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
cluster:
  description: All that is known of the cluster, its processes, networks and sockets included; empty when it is absent.
  returned: success
  type: dict
  sample: {name: lab, backend: native, state: running, docker: false, server: "https://10.89.0.1:6443"}
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
        "backend": {"type": "str", "choices": ["native", "kind", "minikube"], "default": "native"},
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
        "image": {"type": "str"},
        "api_address": {"type": "str"},
        "runtime": {"type": "str", "choices": ["containerd", "docker"]},
        "mounts": {"type": "list", "elements": "str"},
        "ports": {"type": "list", "elements": "str"},
        "registry_mirrors": {"type": "dict"},
        "memory": {"type": "str"},
        "adopt": {"type": "bool", "default": False},
        "timeout": {"type": "int", "default": 300},
    },
    prepare=_options.finish,
)


def main() -> None:
    run_module(JOB)


if __name__ == "__main__":
    main()
