# The two that matter: `make demo` and `make test`. Each sets up what it needs.

ARGS ?=
# Labelled series, for `eval` and for the tests of its measures.
DATA ?= ../shared/data
CARGO ?= cargo
export INSTA_UPDATE ?= no

.PHONY: help demo test plugins bench eval lint

help:
	@echo 'make demo [ARGS=--once]   two weeks of a made-up system, seven incidents, and what anomd finds'
	@echo 'make test                 all tests'
	@echo 'make plugins              builds the components into plugins/dist'
	@echo 'make bench                store, sandbox and detectors, as ratios'
	@echo 'make eval [DATA=FOLDER]    how good the detectors are on labelled series'
	@echo 'make lint                 formatting and clippy'

plugins:
	@plugins/build

demo: plugins
	@$(CARGO) run --quiet -p anomd -- demo $(ARGS)

test: plugins
	@tests/run

# Our own crate is optimised here, and only here; its dependencies are those of every build.
bench: plugins
	@cd plugins && $(CARGO) build --quiet --release -p robust --example native
	@$(CARGO) run --quiet -p anomd --config profile.dev.package.anomd.opt-level=3 \
		--config profile.dev.package.anomd.debug-assertions=false \
		-- bench --native plugins/target/release/examples/native --evil plugins/dist/test --data target $(ARGS)

eval: plugins
	@if [ -d "$(DATA)" ]; then $(CARGO) run --quiet -p anomd -- eval "$(DATA)" $(ARGS); \
	else echo "skipped: there is no $(DATA)"; fi

lint:
	$(CARGO) fmt --all --check
	cd plugins && $(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	cd plugins && $(CARGO) clippy --workspace -- -D warnings
