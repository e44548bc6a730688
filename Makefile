# Two commands do everything: `make reproduce` and `make test`. Each sets up what it needs first.

PYTHON ?= $(shell command -v python3.11 || echo python3)
WORKERS ?= 2
SEEDS ?= 1 2 3
OUT ?= runs/reproduce
FIGURES ?= figures
RUN = .venv/bin/python -m core run

.PHONY: help reproduce digits-table test check clean

help:
	@echo "make reproduce   redraw the paper's figure 2, compare PBT with random search on real images"
	@echo "make test        run the tests"
	@echo "make check       lint, formatting, types"

.venv/installed: pyproject.toml constraints.txt setup.sh
	@sh setup.sh "$(PYTHON)"

reproduce: .venv/installed
	@for preset in pbt explore_only exploit_only grid; do \
	    $(RUN) tasks.toy.presets:figure_2_$$preset --out "$(OUT)/figure_2_$$preset" || exit; \
	done
	@for seed in $(SEEDS); do for preset in digits digits_random_search; do \
	    $(RUN) tasks.gan.presets:$$preset --seed $$seed --workers $(WORKERS) --out "$(OUT)/$$preset-$$seed" || exit; \
	done; done
	@.venv/bin/python -m analysis figures "$(OUT)"/* --out "$(FIGURES)"
	@.venv/bin/python -m analysis compare "$(OUT)"/digits-[0-9]* --against "$(OUT)"/digits_random_search-* --out "$(FIGURES)"

# The table of tasks/gan/README.md: about an hour on two cores; interrupted, it goes on.
ARMS = digits digits_random_search digits_narrow digits_narrow_random_search digits_fixed
TABLE = runs/digits_table
digits-table: .venv/installed
	@for seed in 101 102; do \
	    $(RUN) tasks.gan.presets:digits_sweep --seed $$seed --workers $(WORKERS) --out "$(TABLE)/digits_sweep-$$seed" || exit; \
	done
	@for seed in 1 2 3 4 5 6 7 8 9 10 11 12; do for preset in $(ARMS); do \
	    $(RUN) tasks.gan.presets:$$preset --seed $$seed --workers $(WORKERS) --out "$(TABLE)/$$preset-$$seed" || exit; \
	done; done
	@.venv/bin/python -m analysis members "$(TABLE)"/digits_sweep-* --out "$(TABLE)/tables"
	@for pair in digits:digits_random_search digits_narrow:digits_narrow_random_search digits:digits_fixed digits_narrow:digits_fixed; do \
	    .venv/bin/python -m analysis compare "$(TABLE)"/$${pair%:*}-[0-9]* --against "$(TABLE)"/$${pair#*:}-[0-9]* --out "$(TABLE)/tables" || exit; \
	done

test: .venv/installed
	@.venv/bin/python -m pytest -q

check: .venv/installed
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis
