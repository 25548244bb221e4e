"""``limani lab serve``: a lesson, a real shell and a live picture in the browser, for this machine only.

``gate`` decides who gets in, ``app`` answers, ``desk`` speaks with the lab, ``terminal`` keeps the shell, ``sources``
and ``feed`` make the live picture, ``render`` the lesson's HTML.
"""
