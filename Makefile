# The two that matter: `make demo` and `make test`. Each sets up what it needs.

ARGS ?=
# Labelled series, for `eval` and for the tests of its measures.
DATA ?= ../shared/data
CARGO ?= cargo
export INSTA_UPDATE ?= no

.PHONY: help demo demo-seeds test hours plugins audit bench cost parity eval generated lint vendor

help:
	@echo 'make demo [ARGS=--once]   two weeks of a made-up system, seven incidents, and what anomd finds'
	@echo 'make test                 all tests'
	@echo 'make hours [ARGS="9 10"]  those tests that have a clock, at each hour of a day (needs faketime)'
	@echo 'make audit                dependencies that are known to be vulnerable (ANOMD_ADVISORY_DB=FOLDER without a network)'
	@echo 'make plugins              builds the components into plugins/dist'
	@echo 'make bench                store, sandbox and detectors, as ratios'
	@echo 'make cost                 detection beside Anomstack on PyOD and beside native code, as ratios'
	@echo 'make parity [DATA=FOLDER] the tabular detectors beside PyOD on ADBench'
	@echo 'make eval [DATA=FOLDER]    how good the detectors are on labelled series'
	@echo 'make generated            the same on series that are made up: silence, incidents, seasons'
	@echo 'make demo-seeds           the demo over ten histories'
	@echo 'make vendor               brings what pages load of others out of npm'
	@echo 'make lint                 formatting and clippy'

plugins:
	@plugins/build

demo: plugins
	@$(CARGO) run --quiet -p anomd -- demo $(ARGS)

test: plugins
	@tests/run

hours: plugins
	@tests/hours $(ARGS)

audit:
	@tests/audit

# Our own crate is optimised here, and only here; its dependencies are those of every build.
OPTIMISED = --config profile.dev.package.anomd.opt-level=3 --config profile.dev.package.anomd.debug-assertions=false
NATIVE = plugins/target/release/examples/native

bench: plugins
	@cd plugins && $(CARGO) build --quiet --release -p robust --example native
	@rm -rf target/paint
	@$(CARGO) run --quiet -p anomd $(OPTIMISED) -- bench --native $(NATIVE) --evil plugins/dist/test --data target --keep target/paint $(ARGS)
	@tests/paint target/paint

cost: plugins
	@cd plugins && $(CARGO) build --quiet --release -p robust --example native
	@$(CARGO) build --quiet -p anomd $(OPTIMISED)
	@python3 tests/cost/cost.py target/debug/anomd $(NATIVE) $(ARGS)

parity: plugins
	@$(CARGO) test --quiet -p anomd --test tabular -- --nocapture

eval: plugins
	@if [ -d "$(DATA)" ]; then $(CARGO) run --quiet -p anomd -- eval "$(DATA)" $(ARGS); \
	else echo "skipped: there is no $(DATA)"; fi

# What a user sees of a detector: that it is silent, finds incidents, and knows the day. Each fails
# where the default detector is worse than we promise.
SEED ?= 101
generated: plugins
	@$(CARGO) build --quiet -p anomd
	@target/debug/anomd eval generated:silence --seed $(SEED) $(ARGS) \
		--max alerts_a_day@0.7=0.05 --max alerts_a_day@0.8=0.03
	@target/debug/anomd eval generated:incidents --seed $(SEED) $(ARGS) --min recall@0.7=0.8
	@target/debug/anomd eval generated:season --seed $(SEED) $(ARGS) --min season_found=0.9 --max season_false=0.05

demo-seeds: plugins
	@$(CARGO) run --quiet -p anomd -- demo --seeds 1-10 --out target/demo-seeds \
		--min-found 65 --max-others 1 --min-foretold 24 $(ARGS)

# What pages load of others, out of npm as host/assets/vendor/package-lock.json pins it.
vendor:
	@tests/vendor $(ARGS)

lint:
	$(CARGO) fmt --all --check
	cd plugins && $(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	cd plugins && $(CARGO) clippy --workspace --all-targets -- -D warnings
