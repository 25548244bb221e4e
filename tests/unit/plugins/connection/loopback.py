"""The local machine under another name, so that action plugins take it for a host that is not the controller."""

from __future__ import annotations

from ansible.plugins.connection.local import Connection as Local

DOCUMENTATION = """
name: loopback
short_description: the local machine, not recognised as such
description: the local machine, not recognised as such
options: {}
"""


class Connection(Local):
    transport = "loopback"
