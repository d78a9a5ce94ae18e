# Brimful. `make help` lists the targets.

CARGO ?= cargo
TOOLS := .tools
PYTHON := $(TOOLS)/venv/bin/python
# Tests on a running Karpenter mostly wait for its clocks, so more run at a time than there are cores.
TEST_THREADS ?= 8
ROUNDS ?= 20
MINUTES ?= 10
SEEDS ?= 1
ROWS ?= 10000000
STYLE ?= legacy
MAKE_OF_FILES ?= arrow
# Of `make bench`: `s3` for what is read from an S3 server alone, and the links to it: milliseconds, Gbit/s (0: no limit).
ONLY ?= all
DELAY ?= 0
GBIT ?= 0
# The demo needs neither AWS nor a cluster, so it is built with neither, which takes a few minutes from nothing. CI runs
# the binary that its tests were built with (DEMO_BUILD=true DEMO=target/debug/brimful).
DEMO_BUILD ?= $(CARGO) build --locked --quiet --no-default-features --features demo --profile demo
DEMO ?= $(or $(CARGO_TARGET_DIR),target)/demo/brimful
# Tests talk to loopback only, and never to an instance metadata service or a proxy.
export AWS_EC2_METADATA_DISABLED := true
export NO_PROXY := 127.0.0.1,localhost
export no_proxy := 127.0.0.1,localhost

.DEFAULT_GOAL := help
.PHONY: help demo test test-fast e2e-long rewrite-long test-tools fmt lint audit spell fixtures picture bench bench-build bench-policy control build clean

## help: print this list
help:
	@sed -n 's/^## //p' $(MAKEFILE_LIST) | awk -F': ' '{ printf "  %-12s %s\n", $$1, $$2 }'

need-cargo:
	@command -v $(CARGO) >/dev/null || { echo "missing: cargo (install Rust 1.95 with rustup)"; exit 1; }

## demo: run the main job on the bundled fixtures, without AWS and without a cluster
demo: need-cargo
	@echo "building the demo: some minutes the first time" >&2
	@$(DEMO_BUILD)
	@$(DEMO) demo

## test: run every test, on real servers; sets up what they need
test: need-cargo test-tools
	$(CARGO) test --locked --workspace --lib --bins --tests -- --test-threads=$(TEST_THREADS)

## test-fast: run the tests that need no servers
test-fast: need-cargo
	$(CARGO) test --locked --workspace --lib --bins
	$(CARGO) test --locked --test it -- cli:: traps::

## e2e-long: run the closed loop on a running Karpenter again and again (ROUNDS=20: about 90 minutes)
e2e-long: need-cargo test-tools
	BRIMFUL_E2E_ROUNDS=$(ROUNDS) $(CARGO) test --locked --test it -- karpenter::closed_loop --nocapture

## rewrite-long: read reports while they are rewritten, for MINUTES=10, and print how often
rewrite-long: need-cargo test-tools
	BRIMFUL_REWRITE_MINUTES=$(MINUTES) $(CARGO) test --locked --test it -- s3_rewriting::a_report --nocapture

## test-tools: install the servers and the oracle that tests need, below .tools
test-tools:
	@tests/tools/setup.sh

## fmt: format the code
fmt:
	$(CARGO) fmt

## lint: check format and lints; warnings are errors
lint: need-cargo
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	$(CARGO) clippy --locked --no-default-features --features demo --lib --bins -- -D warnings

## audit: check dependencies' licences, bans and sources, and advisories where their database can be had
audit: need-cargo
	@tests/tools/setup.sh venv
	@tests/tools/audit.sh

## spell: check spelling in code and documents
spell:
	@tests/tools/setup.sh venv
	@$(TOOLS)/venv/bin/codespell

## fixtures: make the bundled fixtures again (same bytes)
fixtures: test-tools
	$(PYTHON) fixtures/generator/generate.py

ON_FIXTURES = --cur fixtures/cur/legacy --nodepools fixtures/nodepools.yaml --nodes fixtures/nodes.yaml --now 2026-11-21T18:00:00Z

## picture: draw the documents' pictures anew: `brimful plan` on terminals of 80, 110 and 160 columns, and the page
picture: need-cargo test-tools
	$(CARGO) build --locked --quiet --bin brimful
	for columns in 80 110 160; do $(PYTHON) docs/images/picture.py $$columns docs/images/plan-$$columns.svg \
		$(or $(CARGO_TARGET_DIR),target)/debug/brimful plan $(ON_FIXTURES) || exit; done
	mkdir -p target/page/docs
	$(or $(CARGO_TARGET_DIR),target)/debug/brimful report --quiet $(ON_FIXTURES) --html target/page/docs/page.html
	NODE_PATH=$(TOOLS)/browser/node_modules node tests/tools/browser/look.js $(TOOLS)/bin/chromium \
		target/page/docs/page.html target/page/docs >target/page/docs/seen.json
	cp target/page/docs/light-top.png docs/images/page-light.png
	cp target/page/docs/dark-course.png docs/images/page-dark.png

## build: build the release binary
build: need-cargo
	$(CARGO) build --locked --release

## bench: time the scan and the ledger on ROWS=10000000 rows beside query engines, and plan on the fixtures
bench: test-tools build
	$(CARGO) build --locked --release --quiet --example questions
	$(PYTHON) -m pip install --quiet --disable-pip-version-check -r benches/requirements.txt
	PYTHON=$(PYTHON) BRIMFUL=target/release/brimful QUESTIONS=target/release/examples/questions \
		benches/run.sh --rows $(ROWS) --style $(STYLE) --make $(MAKE_OF_FILES) --only $(ONLY) --delay $(DELAY) --gbit $(GBIT)

## bench-build: measure what building takes: crates by room, a rule edited to its tests, the release binary (about 15 minutes)
bench-build: need-cargo
	@benches/build.sh

## bench-policy: time a plan of 50 and 500 NodePools with 500 and 5000 Nodes, all grips
bench-policy: need-cargo
	@$(CARGO) bench --locked --quiet -p brimful-policy --bench plan

## control: simulate months of every policy, and print the tables of docs/control.md (SEEDS=1)
control: need-cargo
	@$(CARGO) bench --locked --quiet -p brimful-study --bench control -- --seeds $(SEEDS)

## clean: remove what was built and installed
clean:
	rm -rf target $(TOOLS)
