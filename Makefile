# benchdock: thin targets over the `benchdock` command. `make` without a target lists them.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# Any Python >= 3.11 (the first that .ci/find-python finds); everything else comes from the lock
# files into .venv. For `make bench` and `make gpu-check` PYTHON is an environment with the framework instead (--python).
PYTHON ?=
SETUP_PYTHON = $(if $(filter bench gpu-check,$(MAKECMDGOALS)),,$(PYTHON))
VENV := .venv
BENCHDOCK := $(VENV)/bin/benchdock

MODEL ?= resnet50
FRAMEWORK ?= pytorch
PHASE ?=
DTYPE ?=
BATCH ?=
GPUS ?=
DEVICES ?=
STEPS ?=
DATA ?=
RUNTIME ?=
IMAGE ?=
SOURCE ?=
SUITE ?=
ARGS ?=
# Other programs give variables of these names a meaning of their own: only `make ENV=...` counts.
GIVEN = $(if $(filter command line,$(origin $(1))),$($(1)))
COUNT ?= 500000
EXAMPLES ?= 500
RUNS ?= 1000000

.PHONY: help setup bench sweep nightly test unit coverage explore lint format type fuzz images prune-images horovod-ranks parity mutants releases programs releases-page base-images engine simulations stress slurm-faults slurm-overhead bench-self defaults bench-store bench-data bench-files bench-readers bench-report bench-monitor quiet-runs gpu-check clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z%-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo "  make bench MODEL=vgg19 FRAMEWORK=pytorch [PHASE= DTYPE= BATCH= GPUS= DEVICES= STEPS= DATA= RUNTIME= IMAGE= SOURCE= ENV='A=1 B=2' PREFIX= NETWORK= PYTHON= ARGS=]"
	@echo "  make sweep MODEL=vgg16,alexnet FRAMEWORK=pytorch [PHASE= DTYPE= BATCH=32,64 DEVICES= GPUS= STEPS= RUNTIME= ARGS=]"
	@echo "  make nightly SUITE=nightly.yaml [ARGS='--budget 5h']"
	@echo "  make parity [MODEL= FRAMEWORK= DTYPE= GPUS= RUNTIME= IMAGE= ARGS=]"

setup: $(VENV)/.setup ## make the virtual environment from the lock file

$(VENV)/.setup: requirements.lock pyproject.toml
	@python=$$(.ci/find-python "$(SETUP_PYTHON)") && (set -x; "$$python" -m venv $(VENV))
	$(VENV)/bin/python -m pip install --quiet --require-hashes -r requirements.lock
	$(VENV)/bin/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@# Bytecode now: where PYTHONDONTWRITEBYTECODE is set, each start would compile our modules again.
	$(VENV)/bin/python -m compileall -q orchestrator backends
	@touch $@

$(VENV)/.setup-dev: $(VENV)/.setup requirements-dev.lock
	$(VENV)/bin/python -m pip install --quiet --require-hashes -r requirements-dev.lock
	@touch $@

# Values reach the command through the environment, so that no shell reads what a user typed;
# only ARGS is split into shell words.
bench: export BENCH_MODEL := $(MODEL)
bench: export BENCH_FRAMEWORK := $(FRAMEWORK)
bench: export BENCH_PHASE := $(PHASE)
bench: export BENCH_DTYPE := $(DTYPE)
bench: export BENCH_BATCH := $(BATCH)
bench: export BENCH_GPUS := $(GPUS)
bench: export BENCH_DEVICES := $(call GIVEN,DEVICES)
bench: export BENCH_STEPS := $(STEPS)
bench: export BENCH_DATA := $(DATA)
bench: export BENCH_RUNTIME := $(RUNTIME)
bench: export BENCH_IMAGE := $(IMAGE)
bench: export BENCH_SOURCE := $(SOURCE)
bench: export BENCH_ENV := $(call GIVEN,ENV)
bench: export BENCH_PREFIX := $(call GIVEN,PREFIX)
bench: export BENCH_NETWORK := $(call GIVEN,NETWORK)
bench: export BENCH_PYTHON := $(call GIVEN,PYTHON)
bench: setup ## run one benchmark: make bench MODEL=resnet50 FRAMEWORK=pytorch
	@read -r -a variables <<<"$$BENCH_ENV"; $(BENCHDOCK) run --framework="$$BENCH_FRAMEWORK" \
		$${BENCH_PHASE:+--phase="$$BENCH_PHASE"} $${BENCH_DTYPE:+--dtype="$$BENCH_DTYPE"} \
		$${BENCH_BATCH:+--batch="$$BENCH_BATCH"} $${BENCH_GPUS:+--gpus="$$BENCH_GPUS"} \
		$${BENCH_DEVICES:+--devices="$$BENCH_DEVICES"} \
		$${BENCH_STEPS:+--steps="$$BENCH_STEPS"} $${BENCH_DATA:+--data="$$BENCH_DATA"} \
		$${BENCH_RUNTIME:+--runtime="$$BENCH_RUNTIME"} $${BENCH_IMAGE:+--image="$$BENCH_IMAGE"} \
		$${BENCH_SOURCE:+--source="$$BENCH_SOURCE"} $${BENCH_PREFIX:+--prefix="$$BENCH_PREFIX"} \
		$${BENCH_NETWORK:+--network="$$BENCH_NETWORK"} \
		$${BENCH_PYTHON:+--python="$$BENCH_PYTHON"} "$${variables[@]/#/--env=}" $(ARGS) -- "$$BENCH_MODEL"

# Lists such as MODEL=vgg16,alexnet are combined; what is not given is left to benchdock.
sweep: export SWEEP_MODEL := $(MODEL)
sweep: export SWEEP_FRAMEWORK := $(FRAMEWORK)
sweep: export SWEEP_PHASE := $(PHASE)
sweep: export SWEEP_DTYPE := $(DTYPE)
sweep: export SWEEP_BATCH := $(BATCH)
sweep: export SWEEP_DEVICES := $(call GIVEN,DEVICES)
sweep: export SWEEP_GPUS := $(GPUS)
sweep: export SWEEP_STEPS := $(STEPS)
sweep: export SWEEP_RUNTIME := $(RUNTIME)
sweep: setup ## run all combinations: make sweep MODEL=vgg16,alexnet BATCH=32,64 FRAMEWORK=pytorch
	@$(BENCHDOCK) suite --framework="$$SWEEP_FRAMEWORK" --matrix=model="$$SWEEP_MODEL" \
		$${SWEEP_PHASE:+--matrix=phase="$$SWEEP_PHASE"} \
		$${SWEEP_DTYPE:+--matrix=dtype="$$SWEEP_DTYPE"} \
		$${SWEEP_BATCH:+--matrix=batch="$$SWEEP_BATCH"} \
		$${SWEEP_DEVICES:+--matrix=devices="$$SWEEP_DEVICES"} \
		$${SWEEP_GPUS:+--set=gpus="$$SWEEP_GPUS"} $${SWEEP_STEPS:+--set=steps="$$SWEEP_STEPS"} \
		$${SWEEP_RUNTIME:+--set=runtime="$$SWEEP_RUNTIME"} $(ARGS)

nightly: export NIGHTLY_SUITE := $(SUITE)
nightly: setup ## run a night of a suite now: make nightly SUITE=examples/cpu-laptop.yaml
	@$(BENCHDOCK) nightly run --always $(ARGS) -- "$$NIGHTLY_SUITE"

# Bytecode of the tests halves the time in which pytest collects them.
test: export PYTHONDONTWRITEBYTECODE :=
test: $(VENV)/.setup-dev lint type ## run every test this machine can run; says what it skips and why
	$(VENV)/bin/python -m pytest -n auto tests/unit
	@# tests/parity needs the frameworks: tests/engine runs it in their images.
	$(VENV)/bin/python -m pytest --durations=20 tests --ignore tests/unit --ignore tests/parity

unit: export PYTHONDONTWRITEBYTECODE :=
unit: $(VENV)/.setup-dev ## the unit tests without the slow ones, some 90 s on two cores
	$(VENV)/bin/python -m pytest -n auto -m "not slow" tests/unit

coverage: export PYTHONDONTWRITEBYTECODE :=
coverage: $(VENV)/.setup-dev ## branch coverage of each package by the unit tests, which must be 80 % (all: 90 %)
	$(VENV)/bin/coverage erase
	$(VENV)/bin/coverage run -m pytest -n auto tests/unit
	$(VENV)/bin/coverage combine --quiet
	$(VENV)/bin/python -m tests.covered

explore: export EXAMPLES := $(EXAMPLES)
explore: $(VENV)/.setup-dev ## property tests with new random examples: make explore EXAMPLES=1000
	@echo "After a failure, paste its @reproduce_failure line, or its example as @example(...)," \
		"above the test."
	$(VENV)/bin/python -m pytest -n auto -m hypothesis --hypothesis-profile=explore tests/unit

lint: $(VENV)/.setup-dev ## ruff, import rules, Python 3.5 for in-image code, shell scripts, English
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/lint-imports
	$(VENV)/bin/vermin --target=3.5- --no-tips --violations --exclude-regex '\.pyi$$' backends
	$(VENV)/bin/shellcheck .ci/run .ci/find-python
	$(VENV)/bin/python .ci/check-english

format: $(VENV)/.setup-dev ## reformat the code
	$(VENV)/bin/ruff format .
	$(VENV)/bin/ruff check --fix .

type: $(VENV)/.setup-dev ## mypy: strict for the host code, function bodies of backends and tests
	$(VENV)/bin/mypy
	$(VENV)/bin/mypy --config-file tests/mypy.ini

images: setup ## build every CPU image but horovod-cpu, which compiles for minutes
	$(BENCHDOCK) images build

image-%: setup ## build one image: make image-pytorch-gpu
	$(BENCHDOCK) images build $*

prune-images: setup ## remove images of benchdock that nothing needs any more: make prune-images ARGS=--dry-run
	$(BENCHDOCK) images prune $(ARGS)

horovod-ranks: $(VENV)/.setup-dev ## two ranks of Horovod in the image horovod-cpu, compiled first, and four on two nodes
	$(BENCHDOCK) images build horovod-cpu
	$(BENCHDOCK) run two_ranks -f custom --runtime docker --gpus none --image horovod-cpu \
		--source tests/horovod --pattern 'all ranks: (\S+) samples/s' --unit samples/s --command \
		'horovodrun --gloo --network-interface lo -np 2 -H localhost:2 python3 {source}/ranks.py'
	$(VENV)/bin/python -m pytest -q -m "" tests/engine/test_slurm.py -k horovod

base-images: setup ## make the base images from Debian's packages, where no registry answers
	$(BENCHDOCK) images bootstrap

parity: export PARITY_MODEL := $(call GIVEN,MODEL)
parity: export PARITY_FRAMEWORK := $(call GIVEN,FRAMEWORK)
parity: export PARITY_DTYPE := $(DTYPE)
parity: export PARITY_GPUS := $(GPUS)
parity: export PARITY_RUNTIME := $(RUNTIME)
parity: export PARITY_IMAGE := $(IMAGE)
parity: setup ## prove that every framework computes the same networks
	@$(BENCHDOCK) parity $${PARITY_FRAMEWORK:+--framework="$$PARITY_FRAMEWORK"} \
		$${PARITY_DTYPE:+--dtype="$$PARITY_DTYPE"} $${PARITY_GPUS:+--gpus="$$PARITY_GPUS"} \
		$${PARITY_RUNTIME:+--runtime="$$PARITY_RUNTIME"} \
		$${PARITY_IMAGE:+--image="$$PARITY_IMAGE"} $(ARGS) $${PARITY_MODEL:+-- "$$PARITY_MODEL"}

engine: setup ## say whether a container engine answers, and how to start one
	$(BENCHDOCK) doctor

mutants: $(VENV)/.setup-dev ## deliberate errors in the backends, all of which parity must find
	$(VENV)/bin/python -m tests.mutants $(FRAMEWORKS)

releases: $(VENV)/.setup-dev ## old releases of the frameworks, parity and jobs: RELEASES=pytorch-1.0.1
	$(VENV)/bin/python -m tests.releases $(RELEASES)

releases-page: $(VENV)/.setup-dev ## write docs/releases.md again from what `make releases` saw
	$(VENV)/bin/python -m tests.releases --page

programs: $(VENV)/.setup-dev ## programs of others in old releases: BENCHDOCK_UPSTREAM=CLONES PROGRAMS=nvcnn
	BENCHDOCK_UPSTREAM=$(BENCHDOCK_UPSTREAM) $(VENV)/bin/python -m tests.releases.programs $(PROGRAMS)

simulations: $(VENV)/.setup-dev ## print how often intervals cover and comparisons err, the long form
	$(VENV)/bin/python -m tests.simulations

fuzz: $(VENV)/.setup-dev ## look for invented figures in 500,000 mutated logs, some 10 minutes: make fuzz COUNT=1000
	$(VENV)/bin/python -m tests.fuzz $(COUNT)

stress: $(VENV)/.setup-dev ## attack the command for long: arguments, wrong answers, kills
	$(VENV)/bin/python -m tests.stress $(ARGS)

slurm-faults: $(VENV)/.setup-dev ## break a Slurm cluster of virtual nodes during sessions; needs root, slurm-wlm and munge
	$(VENV)/bin/python -m tests.slurm $(ARGS)

gpu-check: export CHECK_PYTHON := $(call GIVEN,PYTHON)
gpu-check: setup ## try all that needs a GPU, in 8 minutes, without engine or network: PYTHON=PATH of one with PyTorch
	@$(VENV)/bin/python -m tests.gpu_check $${CHECK_PYTHON:+--python="$$CHECK_PYTHON"} $(ARGS)

slurm-overhead: $(VENV)/.setup-dev ## measure what a task of Slurm takes beside its program; needs what slurm-faults needs
	$(VENV)/bin/python -m tests.slurm.overhead $(ARGS)

bench-self: $(VENV)/.setup-dev ## measure benchdock itself, in pairs
	$(VENV)/bin/python -m tests.bench

defaults: export MODELS := $(if $(filter command line,$(origin MODELS)),$(MODELS),resnet50)
defaults: $(VENV)/.setup-dev ## are the default options the fastest here? it resumes: make defaults MODELS="vgg16 alexnet"
	$(VENV)/bin/python -m tests.bench.defaults $$MODELS

bench-monitor: $(VENV)/.setup-dev ## CPU time of the monitor per GPU, over the stand-in of NVML
	$(VENV)/bin/python -m tests.bench.monitor_cost stub

quiet-runs: export RUNS := $(if $(filter command line,$(origin RUNS)),$(RUNS),200)
quiet-runs: $(VENV)/.setup-dev ## how often a quiet CPU run gets a false verdict: make quiet-runs RUNS=200 ARGS=
	$(VENV)/bin/python -m tests.bench.quiet_runs $$RUNS $(ARGS)

bench-data: $(VENV)/.setup-dev ## CPU time of data convert beside bare loops, some 5 minutes: make bench-data ARGS=tfrecord
	$(VENV)/bin/python -m tests.bench.conversion $(ARGS)

bench-files: export FILES := $(if $(filter command line,$(origin FILES)),$(FILES),1000000)
bench-files: $(VENV)/.setup-dev ## memory of data check with 1,000,000 files, some 5 minutes: make bench-files FILES=20000
	$(VENV)/bin/python -m tests.bench.many_files $$FILES

bench-readers: $(VENV)/.setup-dev ## CPU time of our readers beside pipelines written by hand, some 10 minutes: make bench-readers ARGS=mxnet
	$(VENV)/bin/python -m tests.bench.readers $(ARGS)

bench-report: $(VENV)/.setup-dev ## measure reports: 40 and 1,000 series x 180 nights
	$(VENV)/bin/python -m tests.bench.report

bench-store: $(VENV)/.setup-dev ## measure the database of results, RUNS=1000000 takes some 10 minutes
	$(VENV)/bin/python -m tests.bench.store $(RUNS)

clean: ## remove the virtual environment and caches; results are kept
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage*
	find . -name __pycache__ -prune -exec rm -rf {} +
