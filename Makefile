PYTHON ?= python3
BIN = .venv/bin

.PHONY: demo studio test lint wheel extra container docs bench

# The photo comes with scikit-image: "camera", a man behind a film camera.
demo: .venv/demo
	@mkdir -p demo
	$(BIN)/posetalk locate "$$($(BIN)/python -c 'import skimage; print(skimage.__path__[0])')/data/camera.png" \
	    --box 0,60,345,452 --skeleton coco17 --ask "chin" \
	    --ask "back of the neck" --ask "right shoulder blade: the flat bone of the upper back" \
	    --json demo/pose.json --draw demo/pose.png
	@echo "The picture is demo/pose.png, the numbers are demo/pose.json."

# The page at http://127.0.0.1:8000, until Ctrl-C. STUDIO='--port 8080' is passed on.
studio: .venv/serve
	$(BIN)/posetalk serve $(STUDIO)

test: .venv/dev
	$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder $(PYTEST)

# About 40 minutes on two cores, ten of them at the size 1b, and 20 GB; the tables as JSON go to benchmarks/out. Scoring needs COCO's val2017 labels.
bench: .venv/dev
	for one in locate limit crowd engine training; do $(BIN)/python -m benchmarks.$$one || exit; done
	test -z "$(ANNOTATIONS)" || $(BIN)/python -m benchmarks.scoring --annotations "$(ANNOTATIONS)"

# The wheel as a user gets it, without extras, outside the checkout: every command works or names its extra.
wheel: .venv/dev
	.ci/wheel $(BIN)/python

# The wheel with one extra: what the extra is for works. EXTRA is model, train, quantize, tune, write, export, scale,
# serve or onnx.
extra:
	.ci/extra $(PYTHON) $(EXTRA)

# The Dockerfile's steps in a fresh environment, without a container engine.
container:
	.ci/container $(PYTHON)

# The site, in site/. Parts of its pages are made from the code.
docs: .venv/docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "The site is in site/; open site/index.html, or run $(BIN)/mkdocs serve."

lint: .venv/dev
	$(BIN)/ruff check src tests runs benchmarks docs examples
	$(BIN)/ruff format --check src tests runs benchmarks docs examples
	$(BIN)/mypy
	$(BIN)/mypy --strict --config-file= --cache-dir=.mypy_cache/user tests/user_script.py

.venv/%: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install -q -c constraints.txt -e '.[$*]'
	touch $@
