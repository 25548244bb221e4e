"""Lab clusters on this machine, behind one interface (:mod:`limani.cluster.backend`)."""
