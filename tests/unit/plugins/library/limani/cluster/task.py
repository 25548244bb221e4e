"""Scripted tasks of this room."""

from limani.scripted import scripted

lab_cluster = scripted("lab_cluster")
lab_cluster_info = scripted("lab_cluster_info")
