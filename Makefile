# Everything here works on a machine with Python 3.11+, a C compiler and make. PYTHON=... chooses the interpreter.

SHELL := bash
PY := .venv/bin/python

.PHONY: help setup system demo test bench lint docs asan clean

help:  ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-7s %s\n", $$1, $$2 }' Makefile

setup:  ## create .venv, compile, install; does nothing when nothing changed
	@PYTHON='$(PYTHON)' scripts/setup.sh

system:  ## install what the tests need from Debian: Erlang, Elixir, tmux, iproute2, a compiler
	@PYTHON='$(PYTHON)' scripts/system_packages.sh

demo: setup  ## three nodes that find each other; a real Erlang node joins if erl is installed
	@$(PY) examples/mesh/demo.py

test: system  ## system packages, setup, lint, all tests
	@$(MAKE) --no-print-directory lint
	@$(PY) -m pytest $(ARGS)

bench: setup  ## table beside Erlang, and build/bench.json; ARGS="--quick" or ARGS="--only ping-pong"
	@$(PY) benchmarks/run.py $(ARGS)

lint: setup  ## ruff and mypy --strict
	@$(PY) -m ruff check .
	@$(PY) -m mypy

docs: setup  ## check the documentation's links and the names it uses
	@$(PY) scripts/check_docs.py

asan: setup  ## decoders under AddressSanitizer
	@scripts/asan.sh

clean:  ## remove everything that was built, .venv included
	rm -rf .venv build *.egg-info src/*.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find src tests benchmarks examples scripts -name __pycache__ -type d -prune -exec rm -rf {} +
	find src -name '*.so' -delete
