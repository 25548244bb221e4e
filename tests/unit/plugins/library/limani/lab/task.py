"""Scripted tasks of this room."""

from limani.scripted import scripted

lab_lesson = scripted("lab_lesson")
lab_lesson_info = scripted("lab_lesson_info")
