#!/usr/bin/python
# Copyright (c) The Limani authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: k8s_node_image
short_description: Put images onto the nodes of a cluster, or remove them
version_added: 0.1.0
author:
  - The Limani authors (!UNKNOWN)
description:
  - Puts container images into the image store of the nodes of a Kubernetes cluster, from a file, a local container runtime, a
    registry or another node. The nodes need no registry and no way to one.
  - Only the blobs a node lacks travel. Each blob leaves the controller once, whatever the number of nodes, and the nodes pass it
    on to each other. Every transfer resumes where it stopped, and every byte is verified on the node before the runtime sees it.
  - An image keeps its digest. A pod with C(imagePullPolicy) V(Never) or V(IfNotPresent) can start from it at once.
  - One task serves many images and many nodes; do not put it into a loop.
extends_documentation_fragment:
  - limani.nodes._attributes
  - limani.nodes._attributes.changes
  - limani.nodes._attributes.group
  - limani.nodes._cluster
  - limani.nodes._cluster.nodes
options:
  state:
    description:
      - V(present) puts O(images) onto the nodes.
      - V(absent) removes the names in O(images) from the nodes; the content goes with the last name.
      - V(pruned) removes what the policy in O(prune) allows. Images of containers, pinned images, the pause image and the
        image of the agent always stay.
    type: str
    choices: [present, absent, pruned]
    default: present
  images:
    description:
      - The images. Each is a name, or a dictionary with the keys below.
      - A name is a reference such as V(nginx:1.27), V(registry.example/team/app:2) or one with a digest. Short names mean what
        they mean to Docker.
      - Required for O(state=present) and O(state=absent); refused for O(state=pruned). With O(state=absent) only
        O(images[].name) counts, and other keys are refused.
    type: list
    elements: raw
    suboptions:
      name:
        description:
          - Reference of the image, both at the source and on the nodes.
          - It may be left out for O(images[].source=archive) only. Then every image of the archive that has a name is meant.
        type: str
      source:
        description:
          - Where the image comes from.
          - If not set it is V(archive) when O(images[].archive) is given, V(node) when O(images[].node) is given, else V(registry).
        type: str
        choices: [registry, archive, docker, containerd, node]
      archive:
        description:
          - File made by C(docker save), an OCI archive, or a folder with an OCI layout; also compressed with gzip or zstd.
          - A path on the controller; a relative one is looked for as C(src) options are, then in the current directory.
        type: path
      node:
        description:
          - Node of the same cluster that holds the image.
        type: str
      socket:
        description:
          - Socket of the local runtime, for O(images[].source=docker) and O(images[].source=containerd).
          - Without this option that of E(DOCKER_HOST) or C(/var/run/docker.sock), and C(/run/containerd/containerd.sock).
        type: path
      containerd_namespace:
        description:
          - containerd namespace of the image, for O(images[].source=containerd).
        type: str
        default: default
      platform:
        description:
          - Platform to take from an image that has several, for example V(linux/arm64).
          - Without this option each node gets its own.
        type: str
  registries:
    description:
      - How to speak to registries. Credentials are sent to the host they are given for and to no other.
    type: list
    elements: dict
    default: []
    suboptions:
      host:
        description:
          - Registry as it is written in references, with the port if there is one, for example V(registry.example:5000).
        type: str
        required: true
      username:
        description:
          - User name.
        type: str
      password:
        description:
          - Password or token.
        type: str
      ca_file:
        description:
          - File with the certificate authority (PEM) that signed the registry's certificate.
        type: path
      plain_http:
        description:
          - Speak HTTP without TLS.
        type: bool
        default: false
      insecure:
        description:
          - Do not verify the registry's certificate.
        type: bool
        default: false
  pull_secrets:
    description:
      - Secrets of the cluster, of type C(kubernetes.io/dockerconfigjson), with credentials for registries.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description:
          - Name of the secret.
        type: str
        required: true
      namespace:
        description:
          - Namespace of the secret.
        type: str
        default: default
  auth_file:
    description:
      - File with credentials as C(docker login) and C(podman login) write it. O(registries) and then O(pull_secrets) come first.
      - Without this option C(~/.docker/config.json) is used if it exists.
      - If the option is not set, the environment variable E(REGISTRY_AUTH_FILE) is used.
    type: path
  pin:
    description:
      - V(true) protects the images from the garbage collection of the kubelet, V(false) ends the protection.
      - Without this option the protection stays as it is. For O(state=present).
    type: bool
  label_nodes:
    description:
      - Keep a label on every node that holds an image, so that pods can select such nodes. It is C(image.limani.dev/) with the first
        twelve hexadecimal digits of the image's digest, and its value is V(present).
      - The label is set with O(state=present) and taken away with O(state=absent) and O(state=pruned).
    type: bool
    default: false
  force:
    description:
      - With O(state=absent), remove images that containers use, too.
    type: bool
    default: false
  prune:
    description:
      - What O(state=pruned) may remove. An image goes only if all conditions given here say so; at least one is needed.
    type: dict
    suboptions:
      keep:
        description:
          - Keep the newest so many images of each repository.
        type: int
      older_than:
        description:
          - Remove only what came onto the node longer ago than this, a number with one of the units V(s), V(m), V(h), V(d), V(w).
        type: str
      patterns:
        description:
          - Remove only images with a reference that matches one of these shell patterns, for example V(registry.example/team/*).
        type: list
        elements: str
        default: []
  min_success:
    description:
      - How many of the chosen nodes have to succeed for the task to succeed, as a number or as a percentage.
      - The result names the nodes that failed in either case.
    type: str
    default: 100%
  rate:
    description:
      - Limit in bytes per second for what each node receives, for example V(50M).
    type: bytes
  timeout:
    description:
      - Seconds after which nodes that are not done count as failed. What has arrived on them is kept for the next run.
    type: int
    default: 1800
  engine:
    description:
      - Container runtime of the nodes to put images into.
      - V(auto) is the one the kubelet of each node uses.
    type: str
    choices: [auto, containerd, docker]
    default: auto
seealso:
  - module: limani.nodes.k8s_node_image_info
  - module: limani.nodes.node_agent
    description: The agents have to be installed first.
"""

EXAMPLES = r"""
- name: Put images from a registry onto all nodes
  limani.nodes.k8s_node_image:
    images:
      - docker.io/library/nginx:1.27
      - registry.example/team/app:2
    registries:
      - host: registry.example
        username: ci
        password: "{{ registry_password | default('') }}"

- name: Put an image from a file onto the nodes with fast disks, and keep it there
  limani.nodes.k8s_node_image:
    images:
      - archive: app.tar.zst
    node_selector: disktype=ssd
    pin: true

- name: Put an image just built with Docker onto two nodes, no faster than 20 MiB/s
  limani.nodes.k8s_node_image:
    images:
      - name: team/app:dev
        source: docker
    nodes: [lab-1, lab-2]
    rate: 20M

- name: Spread an image that one node has to all others, even if one of them is down
  limani.nodes.k8s_node_image:
    images:
      - name: team/app:2
        node: lab-1
    min_success: 90%

- name: Remove an image from all nodes
  limani.nodes.k8s_node_image:
    images: [team/app:1]
    state: absent

- name: Keep the three newest images of each repository of the team, and whatever came within the last week
  limani.nodes.k8s_node_image:
    state: pruned
    prune:
      keep: 3
      older_than: 1w
      patterns: [registry.example/team/*]
"""

RETURN = r"""
images:
  description: The images, in the order asked.
  returned: when the sources could be read
  type: list
  elements: dict
  contains:
    reference:
      description: Full name on the nodes.
      returned: always
      type: str
    digest:
      description: Digest of the image, the same as at its source.
      returned: O(state=present)
      type: str
    config_digest:
      description: Digest of its configuration, which the kubelet shows as image ID.
      returned: O(state=present)
      type: str
    platform:
      description: Platform, or platforms separated by commas.
      returned: O(state=present)
      type: str
    layers:
      description: How many layers it has.
      returned: O(state=present)
      type: int
    size:
      description: Bytes of all layers.
      returned: O(state=present)
      type: int
    source:
      description: Where it came from.
      returned: O(state=present)
      type: str
  sample:
    - reference: docker.io/library/nginx:1.27
      digest: sha256:6784fb0834aa7dbbe12e3d7471e69c290df3e6ba810dc38b34ae33d3c1c05f7d
      config_digest: sha256:b52e0b094bc0e26c9eddc9e4ab7a64ce0033c3360d8b7ad4ff4132c4e03e8f7b
      platform: linux/amd64
      layers: 7
      size: 72950530
      source: registry docker.io
nodes:
  description: What happened on each node, by its name; kept when the task fails.
  returned: when the nodes could be asked
  type: dict
  contains:
    changed:
      description: Whether anything changed on this node.
      returned: always
      type: bool
    failed:
      description: Whether this node failed.
      returned: always
      type: bool
    state:
      description: V(present), V(absent) or V(pruned) when the node is as asked, else V(unknown).
      returned: always
      type: str
    reason:
      description: One sentence on why not, else empty.
      returned: always
      type: str
    bytes:
      description: Bytes that travelled to this node; in check mode those that would.
      returned: always
      type: int
    seconds:
      description: How long this node took.
      returned: always
      type: float
    source:
      description: Where its bytes came from, V(upload) or names of nodes.
      returned: always
      type: str
    error:
      description: The error as for the whole task (RV(error)).
      returned: when this node failed
      type: dict
    images:
      description: Result by reference.
      returned: always
      type: dict
      contains:
        changed:
          description: Whether this image changed on this node.
          returned: always
          type: bool
        state:
          description: V(present), V(absent) or V(unknown).
          returned: always
          type: str
        digest:
          description: Digest of the image on this node.
          returned: always
          type: str
        bytes:
          description: Bytes of the image that travelled to this node.
          returned: always
          type: int
        pinned:
          description: Whether the image is protected from garbage collection.
          returned: always
          type: bool
        reason:
          description: One sentence on why not, else empty.
          returned: always
          type: str
    predicted:
      description: What would travel to this node.
      returned: check mode, O(state=present)
      type: dict
      contains:
        bytes:
          description: Bytes of the missing blobs, less what an earlier run that broke off has left on the node.
          returned: always
          type: int
        missing:
          description: The missing blobs, each with C(digest) and C(size).
          returned: always
          type: list
          elements: dict
        needed:
          description: Bytes of disk they would take, unpacked.
          returned: always
          type: int
        free:
          description: Bytes of disk that are free.
          returned: always
          type: int
  sample:
    lab-1:
      changed: true
      failed: false
      state: present
      reason: ""
      bytes: 72950530
      seconds: 1.9
      source: upload
      images:
        docker.io/library/nginx:1.27:
          changed: true
          state: present
          digest: sha256:6784fb0834aa7dbbe12e3d7471e69c290df3e6ba810dc38b34ae33d3c1c05f7d
          bytes: 72950530
          pinned: false
          reason: ""
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
      description: Nodes that are as asked.
      returned: always
      type: int
    changed:
      description: Nodes that changed.
      returned: always
      type: int
    failed:
      description: Nodes that failed.
      returned: always
      type: int
    required:
      description: Nodes that had to succeed (O(min_success)).
      returned: always
      type: int
    bytes:
      description: Bytes that travelled to all nodes together.
      returned: always
      type: int
    uploaded:
      description: Bytes that left the controller.
      returned: always
      type: int
    seconds:
      description: How long it took.
      returned: always
      type: float
  sample: {nodes: 3, ok: 3, changed: 3, failed: 0, required: 3, bytes: 218851590, uploaded: 72950530, seconds: 2.4}
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
    code: nodes_failed
    message: 1 of 3 nodes failed, 3 had to succeed.
    hint: Mend what the nodes above say and run again; only what is missing will be sent.
    fields: {}
"""

from ansible.module_utils.basic import env_fallback
from ansible_collections.limani.nodes.plugins.module_utils import _images, _options
from ansible_collections.limani.nodes.plugins.module_utils._job import Job, run_module

REGISTRY = {
    "host": {"type": "str", "required": True},
    "username": {"type": "str"},
    "password": {"type": "str", "no_log": True},
    "ca_file": {"type": "path"},
    "plain_http": {"type": "bool", "default": False},
    "insecure": {"type": "bool", "default": False},
}
PULL_SECRET = {"name": {"type": "str", "required": True}, "namespace": {"type": "str", "default": "default"}}
PRUNE = {
    "keep": {"type": "int"},
    "older_than": {"type": "str"},
    "patterns": {"type": "list", "elements": "str", "default": []},
}

JOB = Job(
    function="limani.seed.task:node_image",
    argument_spec={
        "state": {"type": "str", "choices": ["present", "absent", "pruned"], "default": "present"},
        # Elements are names or dictionaries; _images.finish checks the dictionaries against these options.
        "images": {"type": "list", "elements": "raw", "options": _images.IMAGE},
        "registries": {"type": "list", "elements": "dict", "default": [], "options": REGISTRY},
        "pull_secrets": {"type": "list", "elements": "dict", "default": [], "options": PULL_SECRET, "no_log": False},
        "auth_file": {"type": "path", "fallback": (env_fallback, ["REGISTRY_AUTH_FILE"])},
        "pin": {"type": "bool"},
        "label_nodes": {"type": "bool", "default": False},
        "force": {"type": "bool", "default": False},
        "prune": {"type": "dict", "options": PRUNE},
        "min_success": {"type": "str", "default": "100%"},
        "rate": {"type": "bytes"},
        "engine": {"type": "str", "choices": ["auto", "containerd", "docker"], "default": "auto"},
        **_options.nodes(),
        "timeout": {"type": "int", "default": 1800},
        **_options.cluster(),
    },
    rules={
        **_options.NODES_RULES,
        "required_if": [
            ("state", "present", ["images"]),
            ("state", "absent", ["images"]),
            ("state", "pruned", ["prune"]),
        ],
    },
    prepare=_images.finish,
)


def main() -> None:
    run_module(JOB)


if __name__ == "__main__":
    main()
