#!/usr/bin/python
# Copyright (c) The Limani authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: lab_lesson_info
short_description: Look at a lesson of the learning lab and run its checks
version_added: 0.1.0
author:
  - The Limani authors (!UNKNOWN)
description:
  - Tells whether a lesson is started, where it is worked on, and what its checks say.
  - All checks of a lesson run at once, in one process.
extends_documentation_fragment:
  - limani.nodes._attributes
  - limani.nodes._attributes.info
options:
  lesson:
    description:
      - Name or number of the lesson. Without this option the current one.
    type: str
  checks:
    description:
      - Whether to run the checks.
    type: bool
    default: true
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
seealso:
  - module: limani.nodes.lab_lesson
"""

EXAMPLES = r"""
- name: How is the lesson?
  limani.nodes.lab_lesson_info:
    lesson: pods
  register: lab

- name: Use kubectl as a learner does
  ansible.builtin.command:
    cmd: kubectl apply -f pod.yaml
    chdir: "{{ lab.workspace | default(omit, true) }}"
  environment: "{{ lab.environment }}"
  register: applied
  changed_when: "'unchanged' not in applied.stdout"
  when: lab.started

- name: What does not pass yet?
  ansible.builtin.debug:
    msg: "{{ lab.checks | rejectattr('status', 'equalto', 'pass') | map(attribute='title') }}"
"""

RETURN = r"""
lesson:
  description: Name of the lesson.
  returned: success
  type: str
  sample: pods
title:
  description: Its title.
  returned: success
  type: str
  sample: Pods
started:
  description: Whether it is started.
  returned: success
  type: bool
  sample: true
passed:
  description: Whether all checks pass. V(false) when they were not run.
  returned: success
  type: bool
  sample: false
checks:
  description: What the checks say; empty when they were not run.
  returned: success
  type: list
  elements: dict
  contains:
    id:
      description: Name of the check.
      returned: always
      type: str
    status:
      description: One of pass, fail, blocked (another check must pass first) and unknown (it could not be looked at).
      returned: always
      type: str
    title:
      description: What is checked.
      returned: always
      type: str
    found:
      description: What was found.
      returned: always
      type: str
    wanted:
      description: What was wanted.
      returned: always
      type: str
    why:
      description: Why it matters, or what this means; empty for a check that passes.
      returned: always
      type: str
    next:
      description: What to do next; empty for a check that passes.
      returned: always
      type: str
    cause:
      description: Name of the cause, where one was recognised.
      returned: when a cause was recognised
      type: str
    evidence:
      description: Facts for programs.
      returned: always
      type: dict
  sample:
    - id: pod-ready
      status: fail
      title: The Pod web is Ready
      found: the Pod web waits with ImagePullBackOff
      wanted: the Pod web is Ready
      why: The image does not exist under that name.
      next: Correct the name of the image and apply the file again.
      cause: image-pull
      evidence: {}
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
    function="limani.lab.task:lab_lesson_info",
    argument_spec={
        "lesson": {"type": "str"},
        "checks": {"type": "bool", "default": True},
        "lang": {"type": "str", "choices": ["en", "el"]},
        "home": {"type": "path"},
    },
    reads=True,
)


def main() -> None:
    run_module(JOB)


if __name__ == "__main__":
    main()
