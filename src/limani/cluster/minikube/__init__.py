"""Clusters made by minikube with its Docker driver, by its command only: no other part of it is relied on."""
