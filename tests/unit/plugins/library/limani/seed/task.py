"""Scripted tasks of this room."""

from limani.scripted import scripted

node_image = scripted("node_image")
node_image_info = scripted("node_image_info")
