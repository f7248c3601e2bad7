# Two commands on a fresh machine: `make run` and `make test`. Each installs what it needs into .venv first.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
TORCH  ?= torch==2.13.0
READY  := $(VENV)/.ready

.PHONY: run test check slow nightly docs install clean

# Trains DeVAE on dSprites (drawn, no file needed), scores it, writes the page. This is no published setting: a dense
# network, 4,000 steps and three times the weight on the narrow space show position and scale within minutes on two cores.
run: install
	$(BIN)/unweave train devae --data dsprites --betas 1 60 --scale 3 --network mlp --hidden 512 512 \
		--steps 4000 --batch 64 --lr 1e-3 --out runs
	$(BIN)/unweave score last --out runs
	$(BIN)/unweave report last --runs runs --out runs/report.html
	@printf '\nThree things to do next:\n'
	@printf '  open the page        $(BIN)/python -m webbrowser "file://$(CURDIR)/runs/report.html"\n'
	@printf '  move its latents     $(BIN)/unweave explore last --open\n'
	@printf '  try your own folder  $(BIN)/unweave fit ./docs/images --minutes 1 --out runs/fit\n'
	@printf '                       (with your folder of pictures in place of ./docs/images, and more minutes)\n'

test: install
	$(BIN)/python -m pytest -n auto --dist loadfile

slow: install
	$(BIN)/python -m pytest -m slow

# Every study of the papers at smoke scale, each within half a minute: trainings of some steps through every code path.
nightly: install
	for name in $$($(BIN)/python -c "import unweave; print(*unweave.STUDIES)"); do \
		$(BIN)/unweave study $$name --scale smoke --out runs/nightly || exit 1; \
	done

check: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

# The documentation as a site, in site/; a warning is a failure.
docs: install
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict
	@printf '\nopen it:  $(BIN)/python -m webbrowser "file://$(CURDIR)/site/index.html"\n'

install: $(READY)

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12) and "unweave needs Python 3.11 or 3.12, this is " + sys.version)'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt $(TORCH) -e '.[all,dev]'
	touch $(READY)

clean:
	rm -rf $(VENV) site .pytest_cache .ruff_cache .mypy_cache
