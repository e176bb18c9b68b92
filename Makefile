PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python

.PHONY: demo types test test-host bench names clean

$(VENV)/installed: pyproject.toml requirements.txt
	test -x $(RUN) || $(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --upgrade pip
	$(RUN) -m pip install --quiet --editable ".[standalone,workflows]"
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

# After a node, an input or an output was added: its texts and its public names.
names: $(VENV)/installed
	$(RUN) -c "from trilemma.tests import test_structure, test_locales; test_structure.write_public_names(); test_locales.write()"

clean:
	rm -rf $(VENV) output
