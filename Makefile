# Two commands do everything: `make reproduce` and `make test`. Each sets up what it needs first.

PYTHON ?= $(shell command -v python3.11 || echo python3)
WORKERS ?= 2
SEEDS ?= 1 2 3
FEW ?= 1
OUT ?= runs/reproduce
FIGURES ?= figures
RUN = .venv/bin/python -m core run
TRANSLATES = .venv/bin/python -c 'import tasks.nmt.fairseq_compat' # fairseq may not have compiled

.PHONY: help reproduce digits-tables test check clean

help:
	@echo "make reproduce       redraw the paper's figure 2, compare PBT with random search on images, sentences and a cart and pole"
	@echo "make test            run the tests"
	@echo "make check           lint, formatting, types"
	@echo "make digits-tables   the tables of tasks/gan/README.md: hours"

.venv/installed: pyproject.toml constraints.txt setup.sh $(wildcard tasks/*/task.toml)
	@sh setup.sh "$(PYTHON)"

reproduce: .venv/installed
	@test -e "$(OUT)" -o ! -e "$(FIGURES)" || { \
	    echo "$(FIGURES) is there, of runs that are not in $(OUT), and figures of others do not replace it: remove it, or make reproduce FIGURES=another" >&2; exit 1; }
	@for preset in pbt explore_only exploit_only grid; do \
	    $(RUN) tasks.toy.presets:figure_2_$$preset --out "$(OUT)/figure_2_$$preset" || exit; \
	done
	@for seed in $(SEEDS); do for preset in digits digits_random_search; do \
	    $(RUN) tasks.gan.presets:$$preset --seed $$seed --workers $(WORKERS) --out "$(OUT)/$$preset-$$seed" || exit; \
	done; done
	@! $(TRANSLATES) || for seed in $(FEW); do for preset in small small_random_search; do \
	    $(RUN) tasks.nmt.presets:$$preset --seed $$seed --workers $(WORKERS) --out "$(OUT)/translation_$$preset-$$seed" || exit; \
	done; done
	@for seed in $(FEW); do for preset in cart_pole cart_pole_random_search; do \
	    $(RUN) tasks.rl.presets:$$preset --seed $$seed --workers $(WORKERS) --out "$(OUT)/$$preset-$$seed" || exit; \
	done; done
	@.venv/bin/python -m analysis figures "$(OUT)"/* --out "$(FIGURES)"
	@for task in digits cart_pole $$(! $(TRANSLATES) || echo translation_small); do \
	    .venv/bin/python -m analysis compare "$(OUT)"/$$task-[0-9]* --against "$(OUT)"/$${task}_random_search-* --out "$(FIGURES)/$$task" || exit; \
	done
	@echo; .venv/bin/python -m tasks.gan.agreement "$(OUT)"

# The tables of tasks/gan/README.md: hours on two cores; interrupted, they go on.
TABLES = runs/digits_tables
SWEEPS = sweep sweep_exponential sweep_linear long_sweep long_sweep_linear
STUDIES = table_4 table_4_narrow table_4_long table_4_convolutional
digits-tables: .venv/installed
	@for seed in 101 102; do for sweep in $(SWEEPS); do \
	    $(RUN) tasks.gan.presets:digits_$$sweep --seed $$seed --workers $(WORKERS) --out "$(TABLES)/sweeps/$$sweep-$$seed" || exit; \
	done; done
	@.venv/bin/python -m analysis members "$(TABLES)"/sweeps/* --out "$(TABLES)/tables"
	@for study in $(STUDIES); do \
	    .venv/bin/python -m core study tasks.gan.presets:digits_$$study --workers $(WORKERS) --out "$(TABLES)/$$study" || exit; \
	    .venv/bin/python -m analysis ablation "$(TABLES)/$$study" --out "$(TABLES)/tables/$$study" || exit; \
	done
	@.venv/bin/python -m analysis tables "$(TABLES)"/table_4/*/[0-9]* --out "$(TABLES)/tables"

test: .venv/installed
	@.venv/bin/python -m pytest -q -n $(WORKERS) --dist worksteal

check: .venv/installed
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis
