PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
SITE = $$($(RUN) -c "import sysconfig; print(sysconfig.get_path('purelib'))")

.PHONY: demo types hooks test test-host bench names clean

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

types: $(VENV)/installed
	$(RUN) -m basedpyright

test: $(VENV)/installed
	$(VENV)/bin/ruff check .
	$(RUN) -m pytest -m "not host"

test-host: $(VENV)/installed
	$(RUN) -m pip install --quiet --editable ".[page]"
	$(RUN) -m pytest -m host

bench: $(VENV)/installed
	$(RUN) -m tests.benchmarks

hooks: $(VENV)/installed
	$(RUN) -m pip install --quiet pre-commit
	$(VENV)/bin/pre-commit install --hook-type pre-commit --hook-type pre-push

# After a node, an input or an output was added: its texts and its public names.
names: $(VENV)/installed
	$(RUN) -c "from trilemma.tests import test_structure, test_locales; test_structure.write_public_names(); test_locales.write()"

clean:
	rm -rf $(VENV) output
