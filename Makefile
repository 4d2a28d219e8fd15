# make demo, make test: a fresh machine needs only Python 3.11 or newer and make.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test browser compiler check fuzz clean

# Search for networks that read shifted digits: 200 at random and 200 by evolution. Compare what both finally choose,
# retrained and tested once. `tests/benchmarks/README.md` has the figures of 20 seeds: evolution wins.
SEED := 1
SEARCH := --dataset demo/shifted-digits --births 200 --max-epochs 3 --limit flops=2e5 --seed $(SEED) --reproducible 4 --final 1 --plain
demo: .venv/installed
	rm -rf demo && mkdir demo
	$(BIN)/python data/shifted_digits.py demo/shifted-digits
	$(BIN)/ecosel evolve $(SEARCH) --archive demo/random.db --population 200 --measure none
	$(BIN)/ecosel evolve $(SEARCH) --archive demo/evolved.db --population 16
	$(BIN)/ecosel select demo/evolved.db --no-pairs
	$(BIN)/ecosel report demo/random.db demo/evolved.db --by source --maximize accuracy --minimize parameters \
		--label candidate_id --label test_accuracy -o demo/report.html
	@$(BIN)/python -m evolver.run.winners.comparison demo/random.db demo/evolved.db
	@echo "Report: $(CURDIR)/demo/report.html"

test: .venv/installed-test browser compiler
	$(BIN)/python -m pytest

# The page of `ecosel report` is tested in real browsers.
browser:
	@if command -v chromium chromium-browser google-chrome >/dev/null && command -v firefox-esr firefox >/dev/null; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get update -qq && apt-get install -qq -y --no-install-recommends chromium firefox-esr fonts-dejavu-core; \
	else echo "skipping tests of the report in missing browsers; to run them, install the packages chromium and firefox-esr"; fi

# Compiled models, and the stand-in for NVIDIA's library, need a compiler.
compiler:
	@if command -v gcc >/dev/null && command -v g++ >/dev/null; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get update -qq && apt-get install -qq -y --no-install-recommends g++; \
	else echo "no C++ compiler: tests of compiled models and of NVML will be skipped; install g++ to run them"; fi

check: .venv/installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python -m build --no-isolation --outdir build/dist . >/dev/null
	$(BIN)/twine check --strict build/dist/*

# Look for files that break a reader: every target for FUZZ_SECONDS. Findings are kept in tests/fuzz/corpus.
FUZZ_SECONDS ?= 60
fuzz: .venv/installed-test
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --group fuzz
	status=0; for target in $$($(BIN)/python -c "from tests.fuzz.targets import TARGETS; print(*TARGETS)"); do \
		$(BIN)/python -m tests.fuzz $$target --seconds $(FUZZ_SECONDS) || status=1; done; exit $$status

clean:
	rm -rf .venv build dist demo

.venv/installed: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[torch]'
	touch $@

.venv/installed-test: .venv/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --group test --group check
	touch $@
