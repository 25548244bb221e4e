# Copyright (c) The Limani authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """PRIVATE: may change at any time. How to reach the cluster and choose nodes."""

    DOCUMENTATION = r"""
options:
  kubeconfig:
    description:
      - Kubeconfig file of the cluster, as a path on the controller.
      - A relative path is looked for as C(src) options are, that is in C(files/) of the role and beside the playbook, then in
        the current directory. A file encrypted with Ansible Vault is decrypted.
      - Without this option the file that E(KUBECONFIG) names is used, else C(~/.kube/config).
      - If the option is not set, the environment variable E(K8S_AUTH_KUBECONFIG) is used.
    type: path
  context:
    description:
      - Context of the kubeconfig. Without this option its current context is used.
      - If the option is not set, the environment variable E(K8S_AUTH_CONTEXT) is used.
    type: str
  namespace:
    description:
      - Namespace the agents run in.
    type: str
    default: limani-system
notes:
  - The task speaks to the Kubernetes API server only. Run it on the controller, with C(hosts) or C(delegate_to) set to
    C(localhost); it then runs in the controller's own process. On any other host, with C(become) or with
    C(async) it runs as an ordinary module.
requirements:
  - limani (Python package of the same version as this collection, where the task runs)
"""

    NODES = r"""
options:
  nodes:
    description:
      - Names of the nodes, as C(kubectl get nodes) lists them.
      - Without O(nodes) and O(node_selector) all nodes are meant, those of the control plane included.
    type: list
    elements: str
  node_selector:
    description:
      - Label selector that chooses the nodes, for example V(disktype=ssd,zone!=b).
    type: str
"""
