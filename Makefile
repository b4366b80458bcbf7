# Two commands on a fresh machine: `make demo` and `make test`. They need Python 3.11 or newer.
VENV ?= .venv
PYTHON ?= python3
HC_DATA_DIR ?= $(CURDIR)/data
DAGSTER_HOME ?= $(HC_DATA_DIR)/dagster
PORT ?= 3000
BUILT_FROM = pyproject.toml constraints.txt $(wildcard build_support/*.py hc_assets/*/native/* hc_assets/*/*/native/* hc_assets/*/*/*/native/*)
FILES ?= 100000
SECONDS ?= 600
COUNT ?= 20000
SEED ?= $(shell date +%Y%m%d)
BIN = $(VENV)/bin

export HC_DATA_DIR DAGSTER_HOME
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: help demo test faults fuzz fuzz-native sanitize judge judge-dicom audit ui format docs docs-screenshots snapshot clean

help:
	@echo "make demo    sample data, every asset, the check report"
	@echo "make test    linters, types and every test"
	@echo "make faults  kill at every place that writes, and all other faults; SEED (today's date) orders"
	@echo "make fuzz    damaged DICOM files, FILES=100000 of them from SEED (today's date)"
	@echo "make fuzz-native  libFuzzer with sanitizers on each compiled library, for SECONDS (600) each"
	@echo "make sanitize     the compiled code under the sanitizers of addresses and undefined behaviour"
	@echo "make judge   COUNT (20000) resources before HL7's engine in Java: docs/validator-score.md"
	@echo "make judge-dicom  COUNT (20000) damaged DICOM files before three other readers: docs/dicom-readers.md"
	@echo "make audit   bandit, and known vulnerabilities of what is installed"
	@echo "make ui      the Dagster UI on the demo's data, at http://127.0.0.1:$(PORT)"
	@echo "make format  format the code"
	@echo "make docs    regenerate the data dictionary, the table of limits and the extensions' definitions"
	@echo "make docs-screenshots   retake the pictures of the docs, in a headless Chromium"
	@echo "make snapshot  record the assets and checks as they are now, for review"
	@echo "make clean   remove the virtual environment and the demo's data"

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "hc_assets needs Python 3.11 or newer; set it with PYTHON=..."; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2> /dev/null \
		|| { echo "$(PYTHON) can't make virtual environments; on Debian: apt install python3-venv"; exit 1; }
	@echo "==> making a virtual environment in $(VENV)"
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(BUILT_FROM) | $(BIN)/python
	@echo "==> installing hc_assets (a minute or two)"
	@$(BIN)/python -m pip install --quiet -c constraints.txt --editable .
	@touch $@

$(VENV)/.installed-dev: $(BUILT_FROM) | $(BIN)/python
	@echo "==> installing hc_assets and what its tests need (a minute or two)"
	@$(BIN)/python -m pip install --quiet -c constraints.txt --editable '.[dev]'
	@touch $@ $(VENV)/.installed

demo: $(VENV)/.installed
	@$(BIN)/hc-assets demo

test: $(VENV)/.installed-dev
	@echo "==> ruff"
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@echo "==> mypy"
	@$(BIN)/mypy
	@echo "==> pytest"
	@TMPDIR=$(TEST_FOLDER) $(BIN)/pytest -n auto -o tmp_path_retention_policy=failed

# Tests write much and keep nothing: a disk in memory takes it where it has the room (KiB).
TEST_FOLDER ?= $(shell test "$$(df -Pk /dev/shm 2> /dev/null | awk 'END {print $$4}')" -gt 8000000 2> /dev/null \
	&& echo /dev/shm || echo "$${TMPDIR:-/tmp}")

# A killed process leaves the same on any disk: where there is one in memory, copies cost least there.
FAULTS_FOLDER ?= $(firstword $(wildcard /dev/shm) $(wildcard /tmp))

faults: $(VENV)/.installed-dev
	@echo "==> every fault, from seed $(SEED)"
	@HC_FAULT_SEED=$(SEED) TMPDIR=$(FAULTS_FOLDER) $(BIN)/pytest -m "not sanitized" \
		-o tmp_path_retention_policy=failed --durations=0 hc_assets_tests/faults
	@echo "==> every case of what is otherwise sampled"
	@TMPDIR=$(FAULTS_FOLDER) $(BIN)/pytest -m exhaustive -o tmp_path_retention_policy=failed \
		--ignore hc_assets_tests/faults

fuzz: $(VENV)/.installed-dev
	@echo "==> $(FILES) damaged files from seed $(SEED)"
	@HC_FUZZ_FILES=$(FILES) HC_FUZZ_SEED=$(SEED) $(BIN)/pytest -n 2 \
		hc_assets_tests/imaging/headers/test_mutated_files.py

sanitize: $(VENV)/.installed-dev
	@echo "==> compiled code with the sanitizers of addresses and of undefined behaviour"
	@$(BIN)/pytest -n 2 -m sanitized

fuzz-native: $(VENV)/.installed-dev
	@echo "==> libFuzzer for $(SECONDS) s on each compiled library"
	@$(BIN)/python -m hc_assets_tests.native_fuzzing $(SECONDS)

# Needs Java and Maven, and HC_R4_PACKAGE; its own seed, so that the same resources are judged.
judge: $(VENV)/.installed-dev
	@echo "==> $(COUNT) resources before both judges"
	@mkdir -p build
	@$(BIN)/python -m benchmarks.oracles.hl7.compare judge --count $(COUNT) --out build/judged.ndjson
	@$(BIN)/python -m benchmarks.oracles.hl7.compare score build/judged.ndjson

# DCMTK where it is installed; without it only pydicom and GDCM can agree.
judge-dicom: $(VENV)/.installed-dev
	@echo "==> every DICOM file, and $(COUNT) damaged ones, before DCMTK, GDCM and pydicom"
	@mkdir -p build
	@rm -f build/dicom-files.ndjson build/dicom-mutants.ndjson
	@$(BIN)/python -m benchmarks.oracles.dicom.run files --out build/dicom-files.ndjson
	@$(BIN)/python -m benchmarks.oracles.dicom.run mutants --count $(COUNT) --out build/dicom-mutants.ndjson
	@$(BIN)/python -m benchmarks.oracles.dicom.run score build/dicom-files.ndjson build/dicom-mutants.ndjson

audit: | $(BIN)/python
	@echo "==> bandit, and advisories on what is pinned"
	@$(BIN)/python build_support/audit.py $(VENV)-audit

ui: $(VENV)/.installed
	@test -f $(DAGSTER_HOME)/dagster.yaml || $(MAKE) demo
	@echo "==> the Dagster UI: http://127.0.0.1:$(PORT) (Ctrl-C stops it)"
	@$(BIN)/dagster dev --module-name hc_assets.definitions --host 127.0.0.1 --port $(PORT)

format: $(VENV)/.installed-dev
	@$(BIN)/ruff check --fix . && $(BIN)/ruff format .

docs: $(VENV)/.installed
	@$(BIN)/python -m hc_assets.reports.data_dictionary docs/data-dictionary.md
	@$(BIN)/python -m hc_assets.fhir.enrichment.significance.limits_page docs/reference-limits.md
	@$(BIN)/python -m hc_assets.fhir.enrichment.extension_definitions docs/fhir

docs-screenshots: $(VENV)/.installed-dev
	@HC_DOCS_IMAGES=$(CURDIR)/docs/images $(BIN)/pytest -q hc_assets_tests/browser

snapshot: $(VENV)/.installed-dev
	@$(BIN)/python -m hc_assets_tests.test_definitions

clean:
	rm -rf $(VENV) $(VENV)-audit data/landing data/batches data/lake data/exports data/dagster data/search data/warehouse.*
