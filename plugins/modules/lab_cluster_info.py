#!/usr/bin/python
# Copyright (c) The Limani authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: lab_cluster_info
short_description: List the lab clusters of a machine
version_added: 0.1.0
author:
  - The Limani authors (!UNKNOWN)
description:
  - Lists the clusters made with M(limani.nodes.lab_cluster) on this machine and tells how they are.
extends_documentation_fragment:
  - limani.nodes._attributes
  - limani.nodes._attributes.info
options:
  name:
    description:
      - Only the cluster of this name. If there is none the list is empty.
    type: str
requirements:
  - limani (Python package of the same version as this collection, where the task runs) with its extra C(lab)
seealso:
  - module: limani.nodes.lab_cluster
"""

EXAMPLES = r"""
- name: Is the cluster there?
  limani.nodes.lab_cluster_info:
    name: lab
  register: found

- name: Say so
  ansible.builtin.debug:
    msg: "{{ found.clusters | map(attribute='kubeconfig') | first | default('no cluster of that name') }}"
"""

RETURN = r"""
clusters:
  description: The clusters, sorted by name.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Name of the cluster.
      returned: always
      type: str
    state:
      description: How it is.
      returned: always
      type: str
    backend:
      description: What it is made with.
      returned: always
      type: str
    kubeconfig:
      description: Path of its kubeconfig.
      returned: always
      type: str
    context:
      description: Name of the context in the kubeconfig.
      returned: always
      type: str
    kubernetes_version:
      description: Version of Kubernetes.
      returned: always
      type: str
    nodes:
      description: Its nodes, with C(name), C(address) and C(state).
      returned: always
      type: list
      elements: dict
    cluster:
      description: All that is known of the cluster, its processes, networks and sockets included.
      returned: always
      type: dict
  sample:
    - name: lab
      state: running
      backend: native
      kubeconfig: /var/lib/limani/clusters/lab/kubeconfig
      context: limani-lab
      kubernetes_version: 1.36.3
      nodes:
        - {name: n1, address: 10.80.0.11, state: Ready}
      cluster: {name: lab, backend: native, state: running, docker: false, server: "https://10.89.0.1:6443"}
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

from ansible_collections.limani.nodes.plugins.module_utils._job import Job, run_module

JOB = Job(
    function="limani.cluster.task:lab_cluster_info",
    argument_spec={"name": {"type": "str"}},
    reads=True,
)


def main() -> None:
    run_module(JOB)


if __name__ == "__main__":
    main()
