# The course's commands. `make lab` and `make test` set everything up by themselves.
# The first Python that is new enough; python3 says why if there is none.
PYTHON ?= $(or $(firstword $(foreach p,python3 python3.14 python3.13 python3.12 python3.11,\
	  $(shell $(p) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	  && echo $(p)))),python3)
VENV ?= .venv
BIN := $(VENV)/bin
JOBS ?= 2
ARGS ?=
.DEFAULT_GOAL := help
.PHONY: help ready lab site test test-all test-fast new-lesson test-browser test-colab test-lowest settings build claims sentences glossary guides drawings slides memory bench links binder-check fork zip assignment grade grade-container lms test-grading lint clean

help: ## show this list
	@grep -E '^[a-z-]+:.*## ' Makefile | sed -E 's/:.*## /\t/' | expand -t 14

ready: $(VENV)/.ready ## set up the environment in .venv

# uv installs several times faster than pip; where it cannot be had, pip does the work.
comma := ,
install = $(BIN)/uv pip install --quiet --python $(BIN)/python $(1) \
	  || $(BIN)/python -m pip install --disable-pip-version-check $(1)
$(VENV)/.ready: pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info; v >= (3, 11) or sys.exit(f"Python 3.11 or newer is needed, {sys.executable} is {v[0]}.{v[1]}; try: make PYTHON=python3.12 lab")'
	$(PYTHON) -m venv $(VENV)
	@echo "Installing PyTorch, JupyterLab and the course; this takes a few minutes once."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv || true
	@$(call install,-e '.[test]')
	@touch $@

lab: ready ## copy the lessons to my_notebooks, open JupyterLab; ARGS="--no-browser --port 8890"
	@$(BIN)/python -m vae_helpers.lab $(ARGS)

# One thread for each worker: two trainings with two threads each fight over two cores.
PYTEST = OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n $(JOBS) --dist loadfile
# Notebooks run whole. A number outside its band stops them, and the outputs of cells
# tagged nbval-check-output must be those that are stored.
NBVAL = VAE_COURSE_STRICT=1 $(PYTEST) --durations=15 --nbval-lax --nbval-current-env \
	  --nbval-cell-timeout=900 --nbval-sanitize-with tests/nbval.cfg
test: ready ## run every test and every learner's notebook
	$(NBVAL) $(ARGS)

test-all: ready ## the same, and every solved notebook
	$(NBVAL) tests notebooks notebooks/solutions $(ARGS)

test-fast: ready ## run the quick tests, without the notebooks
	$(PYTEST) -p no:nbval -m 'not slow' tests $(ARGS)

test-browser: $(VENV)/.browser ## run the lessons and their widgets in Chromium
	$(BIN)/python -m pytest -q -p no:nbval tests/browser $(ARGS)

$(VENV)/.browser: $(VENV)/.ready
	$(call install,-e '.[test$(comma)browser$(comma)site]')
	@touch $@

site: $(VENV)/.site ## build the site from the notebooks as they are: build/site/index.html
	$(BIN)/python tools/build_site.py $(ARGS)

$(VENV)/.site: $(VENV)/.ready
	$(call install,-e '.[test$(comma)site]')
	@touch $@

test-colab: ready ## run the lessons with Colab's versions, fetched as Colab does
	$(BIN)/python tools/try_environment.py colab $(ARGS)

test-lowest: ready ## run the lessons with the lowest versions allowed
	$(BIN)/python tools/try_environment.py lowest $(ARGS)

settings: ready ## run the lessons with other settings; ARGS=--alone moves one at a time
	OMP_NUM_THREADS=1 $(BIN)/python tools/vary_settings.py $(ARGS)

new-lesson: ready ## NUMBER=08 NAME=representations: the files of a new lesson
	$(BIN)/python tools/new_lesson.py "$(NUMBER)" "$(NAME)"

build: ready ## write and run the notebooks whose lessons or helpers changed
	PYTHONPATH=tools $(BIN)/python -m builder $(ARGS)

claims: ready ## LESSON=04: run it with other seeds, data and lengths (needs VAE_COURSE_DATA; long)
	PYTHONPATH=tools $(BIN)/python tools/measure_claims.py $(LESSON) $(ARGS)

sentences: ready ## list the sentences of the lessons that compare, for whoever reviews them
	PYTHONPATH=tools $(BIN)/python tools/list_sentences.py

glossary: ready ## write GLOSSARY.md, the symbols and the words of all lessons
	PYTHONPATH=tools $(BIN)/python tools/make_glossary.py

guides: ready ## write the plans into the teachers' guides, with the numbers of the notebooks
	PYTHONPATH=tools $(BIN)/python -m builder.publish

drawings: ready ## write the drawings of the lessons, light and dark, to figures/drawings
	$(BIN)/python -m vae_helpers.drawings figures/drawings

slides: ready ## LESSON=03: slides and a sheet in build/slides, all lessons without it (needs npm, once)
	PYTHONPATH=tools $(BIN)/python tools/make_slides.py $(LESSON) $(ARGS)

memory: ready ## measure the peak memory of every lesson
	$(BIN)/python tools/measure_memory.py $(ARGS)

bench: $(VENV)/.bench ## measure the speed against other programs (twenty minutes on a quiet machine)
	KINETO_LOG_LEVEL=99 $(BIN)/python benchmarks/bench.py $(ARGS)

# The other trainers are compared where they can be installed; without them the rest runs.
$(VENV)/.bench: $(VENV)/.ready
	-$(call install,-e '.[test$(comma)bench]')
	@touch $@

binder-check: ready ## read binder/ as Binder does, without building an image
	$(BIN)/uv tool run -q --from jupyter-repo2docker jupyter-repo2docker --no-build .
	@echo "repo2docker accepts binder/"

links: ready ## look for dead links
	$(BIN)/python tools/check_links.py $(ARGS)

BRANCH ?= main
fork: ready ## REPOSITORY=https://github.com/YOU/NAME: point all links to your fork
	$(BIN)/python tools/set_repository.py $(REPOSITORY) --branch $(BRANCH)

FILE ?= vae-course.zip
zip: ## FILE=vae-course.zip: the last commit without solutions and guides, for an LMS
	@git archive --format=zip --prefix=vae-course/ --output="$(FILE)" HEAD . \
	  ':(exclude)notebooks/solutions' ':(exclude)lessons' ':(exclude)instructor' ':(exclude)tests' \
	  ':(exclude)benchmarks' ':(exclude)site' ':(exclude)tools' ':(exclude).github'
	@echo "$(FILE) is for learners: unpack, then uv run vae-course (see its README)."

# Grading has an environment of its own: learners need nothing of nbgrader.
GRADE ?= .venv-grade
$(GRADE)/.grade $(GRADE)/.hub: BIN := $(GRADE)/bin

assignment: $(GRADE)/.grade ## LESSON=03: make an nbgrader assignment (see instructor/grading.md)
	@test -n "$(LESSON)" || { echo "Say which lesson: make assignment LESSON=03"; exit 2; }
	$(GRADE)/bin/python -m grading assignment $(LESSON) $(ARGS)

grade: $(GRADE)/.grade ## SUBMISSIONS=FOLDER: grade a class
	@test -n "$(SUBMISSIONS)" || { echo "Say which folder: make grade SUBMISSIONS=../handed_in"; exit 2; }
	OMP_NUM_THREADS=1 $(GRADE)/bin/python -m grading grade "$(SUBMISSIONS)" $(ARGS)

grade-container: ## SUBMISSIONS=FOLDER: the same in docker or podman, without a network
	@test -n "$(SUBMISSIONS)" || { echo "Say which folder: make grade-container SUBMISSIONS=../handed_in"; exit 2; }
	@instructor/container/grade.sh "$(SUBMISSIONS)" $(ARGS)

lms: $(GRADE)/.grade ## TABLE=worksheet.csv: marks and feedback for Moodle or Canvas
	@test -n "$(TABLE)" || { echo "Say which table Moodle or Canvas gave you: make lms TABLE=../worksheet.csv"; exit 2; }
	$(GRADE)/bin/python -m grading lms "$(TABLE)" $(ARGS)

test-grading: $(GRADE)/.hub ## grade a simulated class (long; the hub needs configurable-http-proxy)
	OMP_NUM_THREADS=1 $(GRADE)/bin/python -m pytest -q -p no:nbval tests/grading/with_nbgrader $(ARGS)

$(GRADE)/.grade: pyproject.toml
	@$(MAKE) --no-print-directory VENV=$(GRADE) ready
	@$(call install,-e '.[test$(comma)grade]')
	@touch $@

$(GRADE)/.hub: $(GRADE)/.grade
	@$(call install,-e '.[test$(comma)grade$(comma)hub]')
	@touch $@

lint: ready ## check and format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## remove the environments
	rm -rf $(VENV) $(GRADE)
