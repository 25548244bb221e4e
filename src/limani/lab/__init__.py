"""The learning lab: lessons on a real Docker daemon and a real cluster, with checks that say what they found.

``lab.Lab`` is the one door for the command, the modules and the web terminal. A lesson is a folder of ``labs/``
(``lesson.py`` its model, ``schema.py`` its strict reading, ``library.py`` where lessons are found); ``probes`` answer
its checks about a ``world.World``; ``place`` makes the daemon and the cluster.
"""
