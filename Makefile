PYTHON ?= python3
BIN = .venv/bin

.PHONY: test lint

.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install -q -c constraints.txt -e '.[dev]'
	touch $@

test: .venv/ready
	$(BIN)/pytest $(PYTEST)

lint: .venv/ready
	$(BIN)/ruff check src tests runs
	$(BIN)/ruff format --check src tests runs
	$(BIN)/mypy
