"""Scripted tasks of this room."""

from limani.scripted import scripted

node_agent = scripted("node_agent")
node_agent_info = scripted("node_agent_info")
