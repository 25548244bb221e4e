# Copyright (c) The Limani authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs the module of the same name in the controller's process; see plugin_utils/_action.py."""

from __future__ import annotations

from ansible_collections.limani.nodes.plugins.modules.lab_lesson_info import JOB as MODULE_JOB
from ansible_collections.limani.nodes.plugins.plugin_utils._action import JobAction


class ActionModule(JobAction):
    JOB = MODULE_JOB
