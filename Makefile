# The repository's commands. Each sets up what it needs by itself; a second run is fast.
#   make demo   start a real cluster, seed images onto its nodes, run a pod of each
#   make lab    learn Docker and Kubernetes: the first lesson
#   make test   all tests and linters
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON := .venv/bin/python
# Where it is set, every one of hundreds of commands would compile Limani anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help
help:  ## Show what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

.PHONY: setup
setup:  ## Install what is needed: system packages (as root on Debian and Ubuntu), .venv
	@scripts/setup.sh

.PHONY: setup-tests
setup-tests:
	@scripts/setup.sh --tests

.PHONY: lab
lab:  ## Learn Docker and Kubernetes: set up what the first lesson needs, start it, say what to type
	@scripts/lab.sh

.PHONY: lab-bundle
lab-bundle:  ## The images of the lessons in one file, with digests, into BUNDLE (dist)
	@scripts/setup.sh --lab
	@$(PYTHON) scripts/lab_places.py bundle $(or $(BUNDLE),dist)

.PHONY: demo
demo: setup  ## A real three-node cluster, images seeded onto it, a pod of each on every node
	@$(PYTHON) scripts/demo.py

.PHONY: test
test: setup-tests  ## Everything CI runs: linters, unit tests, tests on a real cluster, molecule
	@$(PYTHON) scripts/test.py $(PARTS)

.PHONY: unit
unit: setup  ## Unit tests only
	@$(PYTHON) scripts/test.py unit

.PHONY: test-lab
test-lab: setup-tests  ## Every lesson on a real daemon and a real cluster: all claims about it (part of make test)
	@$(PYTHON) scripts/test.py prepare lab

.PHONY: test-kind
test-kind: setup-tests  ## The kind backend on a real kind cluster (part of make test)
	@scripts/test-kind.sh

.PHONY: lint
lint: setup  ## Linters only
	@scripts/lint.sh

.PHONY: bench
bench: setup  ## Measure speed against its limits; writes docs/en/benchmarks.md
	@$(PYTHON) -m bench

.PHONY: agent-image
agent-image: setup  ## Build the agent's image; prints the archive's path
	@$(PYTHON) -m images.agent.build

.PHONY: demo-images
demo-images: setup  ## Build the images the demo seeds; prints the archive's path
	@$(PYTHON) -m images.demo.build

.PHONY: site
site: setup  ## Build the documentation in both languages into site/
	@$(PYTHON) -m docs.build

.PHONY: test-site
test-site: setup-tests  ## The site in a real browser: accessibility, search, no outside requests (part of make test)
	@$(PYTHON) scripts/test.py site

.PHONY: clean
clean:  ## Delete all lab clusters and the learning lab; nothing of them stays
	@scripts/clean.sh

.PHONY: distclean
distclean: clean  ## Also remove .venv, build results and Limani's caches
	@scripts/clean.sh --caches
