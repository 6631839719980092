# `make run` and `make test` are all a newcomer needs; each does its own set-up.
CARGO ?= cargo
BIN := target/release/bartizan
# Tools of `make lint` and servers of the tests go here, not into the system's Python.
TOOLS := target/tools
export PATH := $(CURDIR)/$(TOOLS)/bin:$(PATH)

.PHONY: run build ui test e2e lint licenses bench fuzz docs setup tools senders clean

## Build and start Bartizan with its embedded default on http://127.0.0.1:9090
run: build
	$(BIN) up

build: setup ui
	$(CARGO) build --release --bin bartizan

## The screens, which the binary has in it when they are built before it
ui: ui/dist/index.html

UI_SOURCES := $(shell find ui/src ui/build ui/public -type f 2>/dev/null) \
  ui/index.html ui/package-lock.json ui/tsconfig.json ui/vite.config.ts
ui/dist/index.html: $(UI_SOURCES)
	scripts/setup-ui $(TOOLS)
	cd ui && npm run build

## Every test, against real peers where there are any
test: setup senders ui
	$(CARGO) test --workspace --no-fail-fast
	cd ui && npm test

## Journeys through the screens with a real server and a real browser; pictures under ui/e2e/screenshots
e2e: setup ui
	scripts/setup-ui $(TOOLS) browser
	$(CARGO) build --bin bartizan
	cd ui && BARTIZAN_BIN=target/debug/bartizan npm run e2e

## Formatting, lints, licences as declared, unused dependencies, spelling
lint: setup tools
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	scripts/check-licenses
	python3 dashboards/build.py --check
	cargo-machete
	typos
	scripts/setup-ui $(TOOLS)
	cd ui && npm run lint

## The texts of all licences as well (builds cargo-deny, which takes a while)
licenses: setup
	command -v cargo-deny >/dev/null || $(CARGO) install cargo-deny --locked --root $(TOOLS)
	cargo-deny check bans licenses sources

## Compare with the real prometheus, victoria-metrics and prometheus-alertmanager; results under bench/runs
bench: build
	$(CARGO) build --release --bin bench
	target/release/bench start --out bench/runs
	target/release/bench live --out bench/runs
	target/release/bench history --out bench/runs
	target/release/bench receive --out bench/runs
	target/release/bench send --programs prometheus,bartizan --out bench/runs
	target/release/bench rules --programs prometheus,bartizan --out bench/runs
	target/release/bench alerts --out bench/runs

## A short run of every fuzz target (needs a nightly toolchain)
FUZZ_SECONDS ?= 20
fuzz: setup
	command -v cargo-fuzz >/dev/null || $(CARGO) install cargo-fuzz --locked
	cd fuzz && for target in $$($(CARGO) +nightly fuzz list); do \
	  $(CARGO) +nightly fuzz run $$target -- -max_total_time=$(FUZZ_SECONDS) -rss_limit_mb=2048 || exit 1; done

## Regenerate the pages that are derived from code
docs:
	python3 dashboards/build.py
	$(CARGO) run -p config --example reference

setup:
	@scripts/setup

tools:
	@scripts/setup-tools $(TOOLS) lint

senders:
	@scripts/setup-tools $(TOOLS) test

clean:
	$(CARGO) clean
