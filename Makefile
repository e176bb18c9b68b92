PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python

.PHONY: demo test test-host bench clean

$(VENV)/installed: pyproject.toml requirements.txt
	test -x $(RUN) || $(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --upgrade pip
	$(RUN) -m pip install --quiet ".[standalone,workflows]"
	touch $@

demo: $(VENV)/installed
	$(RUN) headless.py example_workflows/api/grounded_inpaint.json --output output
	@echo "The pictures of every stage are in output/"

test: $(VENV)/installed
	$(VENV)/bin/ruff check .
	$(RUN) -m pytest -m "not host"

test-host: $(VENV)/installed
	$(RUN) -m pytest -m host

bench: $(VENV)/installed
	$(RUN) -m tests.benchmarks

clean:
	rm -rf $(VENV) output
