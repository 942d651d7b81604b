# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# The one entry. Each target is a few lines; the work is done in dev/.
# Made on this machine and kept: ~/.cache/hypersdk-hyper2kvm (HYPER2KVM_TEST_CACHE
# names another place). Made in the checkout: .build.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.NOTPARALLEL:

export ANSIBLE_CORE PYTHON HYPER2KVM_TEST_CACHE

.PHONY: help
help: ## Show the targets
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20
	@echo "  ANSIBLE_CORE=2.19 or 2.21 and PYTHON=/path/to/python3 choose the controller's versions"

.PHONY: controller
controller:
	@dev/setup packages controller

.PHONY: install
install: controller ## Build the collection and install it into .build/collections
	@dev/install

.PHONY: build
build: install ## Build the artefact: .build/artefact/*.tar.gz
	@ls .build/artefact/*.tar.gz

.PHONY: setup
setup: install ## Make all that tests and demo need (in the cache)
	@dev/setup peers conversion-host simulator guest

.PHONY: test
test: install ## Every test and every lint
	@dev/stages.py

.PHONY: lint
lint: install ## ansible-lint, mypy, ruff, yamllint, antsibull, reuse, shellcheck, gofmt
	@dev/lint

.PHONY: sanity
sanity: install ## ansible-test sanity
	@dev/sanity

.PHONY: unit
unit: install ## The quick tests
	@dev/unit

.PHONY: integration
integration: install ## ansible-test integration, against the simulator
	@dev/setup conversion-host simulator
	@dev/integration

.PHONY: molecule
molecule: install ## The role's molecule scenario, against the simulator
	@dev/setup conversion-host simulator
	@dev/molecule

.PHONY: system
system: setup ## Tests with real programs, but for the whole way
	@dev/system
	@dev/emulated

.PHONY: e2e
e2e: setup ## A real guest the whole way, and the proof that the check means something
	@dev/e2e

.PHONY: test-guests
test-guests: install ## Every real guest before and after, into docs/guests.md (GUESTS="--guest debian-lvm")
	@dev/setup conversion-host
	@dev/guests $(GUESTS)

.PHONY: test-hosts
test-hosts: install ## The role conversion_host on a bare Debian 12 and 13: ten minutes each
	@dev/molecule-debian bookworm
	@dev/molecule-debian trixie

.PHONY: demo
demo: install ## Migrate a real guest from a simulated vCenter to KVM and show it
	@dev/demo

.PHONY: bench
bench: install ## Compare exporters: ours, govc, community.vmware, curl (BENCH="--size 1G --rounds 3")
	@dev/setup peers simulator
	@dev/bench $(BENCH)

.PHONY: clean
clean: ## Remove what was made in the checkout; the cache stays
	rm -rf .build tests/output
