#!/usr/bin/python
# Copyright (c) The Limani authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: lab_lesson
short_description: Start, solve, break or reset a lesson of the learning lab
version_added: 0.1.0
author:
  - The Limani authors (!UNKNOWN)
description:
  - Brings a lesson of the learning lab into a state. What the lesson needs, a Docker daemon or a cluster, is made or started.
  - The lab changes nothing outside of what it made itself. It refuses to start over objects that have the names a lesson uses.
  - One lesson is started at a time; starting another one removes what the first one made, but not the learner's files.
extends_documentation_fragment:
  - limani.nodes._attributes
  - limani.nodes._attributes.changes
attributes:
  idempotent:
    support: partial
    details:
      - O(state=reset) always begins anew and says so; all other states are idempotent.
options:
  lesson:
    description:
      - Name or number of the lesson.
    type: str
    required: true
  state:
    description:
      - V(started) starts the lesson unless it is started, solved or not.
      - V(solved) does what is still missing, so that all its checks pass.
      - V(broken) puts a fault into it, after solving it if needed.
      - V(reset) brings it back to its beginning.
      - V(absent) removes what belongs to it.
    type: str
    choices: [started, solved, broken, reset, absent]
    default: started
  break_id:
    description:
      - Which fault to put in. Without this option the first one that has not been mended yet.
    type: str
  backend:
    description:
      - What a cluster for the lab is made with, if there is none yet. Without this option V(native).
    type: str
    choices: [native, kind, minikube]
  docker:
    description:
      - The Docker daemon to use, as in E(DOCKER_HOST). Without this option that of the machine, else one of the lab's own.
    type: str
  lang:
    description:
      - Language of the texts. Without this option that of the environment (E(LIMANI_LANG), E(LANG)).
    type: str
    choices: [en, el]
  home:
    description:
      - Folder with the state of the lab. Without this option that of E(LIMANI_LAB_HOME), else C(~/.local/state/limani/lab).
    type: path
requirements:
  - limani (Python package of the same version as this collection, where the task runs) with its extra C(learn)
  - root for a cluster with the backend V(native) and for a Docker daemon of the lab's own
seealso:
  - module: limani.nodes.lab_lesson_info
  - module: limani.nodes.lab_cluster
"""

EXAMPLES = r"""
- name: Start the first lesson
  limani.nodes.lab_lesson:
    lesson: first-success

- name: Solve it, told in Greek
  limani.nodes.lab_lesson:
    lesson: first-success
    state: solved
    lang: el

- name: Break it
  limani.nodes.lab_lesson:
    lesson: first-success
    state: broken
  register: broken

- name: Say what a colleague reports
  ansible.builtin.debug:
    msg: "{{ broken.break.story | default('It is broken already.') }}"

- name: Remove it
  limani.nodes.lab_lesson:
    lesson: first-success
    state: absent
"""

RETURN = r"""
lesson:
  description: Name of the lesson.
  returned: success
  type: str
  sample: pods
state:
  description: The state it is in, one of absent, started, solved and broken.
  returned: success
  type: str
  sample: started
break:
  description: The fault that was put in; empty if none was.
  returned: success
  type: dict
  sample:
    lesson: pods
    id: image-pull
    title: The page is gone
    story: Since the last change nobody sees the page any more.
seconds:
  description: How long it took.
  returned: success
  type: float
  sample: 1.8
workspace:
  description: The folder the learner works in; empty when the lesson is not started.
  returned: success
  type: str
  sample: /home/learner/.local/state/limani/lab/work/pods
namespace:
  description: The namespace of the lesson in the cluster; empty for lessons without one.
  returned: success
  type: str
  sample: pods
environment:
  description:
    - Variables with which C(kubectl) and C(docker) use the lab, for the C(environment) keyword of tasks.
    - Empty when the lesson is not started.
  returned: success
  type: dict
  sample: {KUBECONFIG: /home/learner/.local/state/limani/lab/kubeconfig}
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
    code: lesson_unknown
    message: There is no lesson 'pod'. The nearest is pods.
    hint: limani lab list shows all lessons.
    fields: {lesson: pod}
"""

from ansible_collections.limani.nodes.plugins.module_utils._job import Job, run_module

JOB = Job(
    function="limani.lab.task:lab_lesson",
    argument_spec={
        "lesson": {"type": "str", "required": True},
        "state": {"type": "str", "choices": ["started", "solved", "broken", "reset", "absent"], "default": "started"},
        "break_id": {"type": "str"},
        "backend": {"type": "str", "choices": ["native", "kind", "minikube"]},
        "docker": {"type": "str"},
        "lang": {"type": "str", "choices": ["en", "el"]},
        "home": {"type": "path"},
    },
)


def main() -> None:
    run_module(JOB)


if __name__ == "__main__":
    main()
