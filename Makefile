# `make demo` shows it; `make test` checks it. Both make .venv first, from the locked dependencies.
PYTHON ?= python3
BIN := .venv/bin
# A target that failed is not there: `python3 -m venv` leaves a .venv/bin/python behind where Debian's python3-venv is missing.
.DELETE_ON_ERROR:

.PHONY: demo test calibrate lint lock clean

demo: .venv/installed
	$(BIN)/unblur demo

test: .venv/installed-dev
	$(BIN)/pytest -n auto --maxprocesses 4 --dist loadscope --durations 10

# What is chosen on val by a trained network: run it again whenever models/weights/deblur.onnx changes
# (docs/design/deblurring.md, "Choosing again").
DATA ?= ../shared/data
calibrate: .venv/installed-dev
	$(BIN)/python -m benchmarks.restoration_fusion --data $(DATA)
	$(BIN)/python -m benchmarks.threshold --data $(DATA)
	$(BIN)/python -m benchmarks.restoration_similarity --data $(DATA) --table track --every 10
	$(BIN)/unblur evaluate restore --data $(DATA) --split val --condition none --out out/gate

lint: .venv/installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(None if (3, 11) <= sys.version_info < (3, 15) else "unblur needs Python 3.11 to 3.14; set PYTHON=...")'
	$(PYTHON) -m venv .venv

# Without --no-compile the same packages take 120 MB more; Python compiles what it really imports.
.venv/installed: requirements/base.lock pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --no-compile --require-hashes -r requirements/base.lock
	$(BIN)/python -m pip install --no-compile --no-deps -e .
	touch $@

.venv/installed-dev: requirements/dev.lock .venv/installed
	$(BIN)/python -m pip install --no-compile --require-hashes -r requirements/dev.lock
	touch $@

# Needs uv; the lock files are for every platform and Python from 3.11 on.
lock:
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url pyproject.toml -o requirements/base.lock
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url pyproject.toml --extra dev -c requirements/base.lock -o requirements/dev.lock
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url pyproject.toml --extra dev --extra facenet --extra cuda --extra train -c requirements/dev.lock -o requirements/torch.lock
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url pyproject.toml --extra dev --extra openvino --extra tensorrt -c requirements/dev.lock -o requirements/tensorrt.lock

clean:
	rm -rf .venv .venv-torch .venv-tensorrt out build dist
