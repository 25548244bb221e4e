# Copyright (c) The Limani authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""PRIVATE: may change at any time. The version of this collection (galaxy.yml says the same; a test holds that)."""

from __future__ import annotations

VERSION = "0.1.0"
