# make demo, make test: all that a fresh machine needs is Python 3.11 or newer and make.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test browser check clean

demo: .venv/installed
	$(BIN)/ecosel select data/young2019.csv --by dataset --no-joint --preset paper
	$(BIN)/ecosel select data/digits_mlp.csv
	$(BIN)/ecosel report data/young2019.csv --by dataset --preset paper --force -o demo-report.html

test: .venv/installed-test browser
	$(BIN)/python -m pytest

# The page of `ecosel report` is tested in a real browser.
browser:
	@if command -v chromium chromium-browser google-chrome >/dev/null; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get update -qq && apt-get install -qq -y --no-install-recommends chromium fonts-dejavu-core; \
	else echo "no chromium here: the tests of the report in a browser are skipped; install the package chromium for them"; fi

check: .venv/installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean:
	rm -rf .venv build dist

.venv/installed: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	touch $@

.venv/installed-test: .venv/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --group test --group check
	touch $@
