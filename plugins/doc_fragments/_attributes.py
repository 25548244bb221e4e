# Copyright (c) The Limani authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """PRIVATE: may change at any time. What the modules can do, so that no two describe it differently."""

    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Can run in C(check_mode) and return what it would change, without changing anything.
  diff_mode:
    description: Returns what has changed, or in C(check_mode) would change, when in diff mode.
  idempotent:
    description: A second run with the same options and an unchanged world changes nothing and reports so.
  async:
    description: Can be run with the C(async) keyword.
"""

    CHANGES = r"""
options: {}
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
  async:
    support: full
"""

    INFO = r"""
options: {}
attributes:
  check_mode:
    support: full
    details:
      - This action changes nothing.
  diff_mode:
    support: N/A
    details:
      - This action changes nothing.
  idempotent:
    support: full
    details:
      - This action changes nothing.
  async:
    support: full
"""

    GROUP = r"""
options: {}
attributes:
  action_group:
    description: Use C(group/limani.nodes.cluster) in C(module_defaults) to set defaults for all modules that speak to a cluster.
    support: full
    membership:
      - limani.nodes.cluster
"""
