PYTHON ?= $(shell command -v python3.11 || command -v python3)
# Where pip finds torch without CUDA; on Linux the package index itself has only the build with it.
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu

BIN := .venv/bin
# A file's tests share what is slow to make. Threads in a process on every core only wait for each other.
ON_ALL_CORES := --numprocesses logical --maxprocesses 4 --dist loadfile
PIP := $(BIN)/pip --disable-pip-version-check install --quiet --constraint constraints.txt

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: $(BIN)/likeness ## install, start the service, draw and verify the example photo
	$(BIN)/python demo/run.py

.PHONY: serve
serve: $(BIN)/likeness ## start the service on port 8000
	$(BIN)/likeness serve

.PHONY: test
test: export OMP_NUM_THREADS = 1
test: export OPENBLAS_NUM_THREADS = 1
test: .venv/training ## install all that the tests need (torch too), run them
	$(BIN)/python -m pytest $(ON_ALL_CORES)

.PHONY: test-full
test-full: .venv/training ## the tests that take minutes too
	$(BIN)/python -m pytest -m ""

.PHONY: lint
lint: .venv/training ## style, and strict types of service/ and export/
	$(BIN)/ruff check .
	$(BIN)/mypy

.PHONY: bench
bench: .venv/dev ## measure the service beside a peer and the raw loop, into benchmarks/results/: 20 minutes
	$(BIN)/python -m benchmarks.compare --quick

.PHONY: bench-full
bench-full: .venv/dev ## beside all peers, in hours; goes on where it was interrupted
	$(BIN)/python -m benchmarks.compare

$(BIN)/likeness: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(PIP) --editable '.[cpu,demo]'
	@touch $@

.venv/dev: $(BIN)/likeness
	$(PIP) --editable '.[dev]'
	@touch $@

.venv/training: .venv/dev
	$(PIP) --extra-index-url $(TORCH_INDEX) --retries 1 --no-deps torch
	$(PIP) --editable '.[dev,training]'
	@touch $@
