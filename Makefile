# make demo    hear and see one call over a bad network, plain and protected; and noisy speech, cleaned
# make test    everything that CI checks
# make fuzz    the parsers of network bytes under a coverage-guided fuzzer, MINUTES long
# make table   the table of README.md from the corpora in DATA
PYTHON ?= python3.11
MINUTES ?= 10
DATA ?= $(VIVAVOCE_DATA)

BIN := .venv/bin
SOURCES := pyproject.toml CMakeLists.txt $(shell find core bindings src -type f -not -name '*.pyc' -not -name '*.so')
PIP := $(BIN)/pip install --quiet --disable-pip-version-check --constraint tests/constraints.txt

.PHONY: demo test lint native fuzz table clean

demo: .venv/demo-ready
	@mkdir -p demo
	@$(BIN)/vivavoce call tests/data/speech-16k.flac demo/call.wav --loss tests/data/loss-modelled-20pct.txt \
	    --bitrate 48000 --protect lbrr+red:2 --report demo --force
	@echo
	@$(BIN)/vivavoce call tests/data/speech-16k.flac demo/noisy-call.wav --noise tests/data/noise-16k.flac --snr 5 \
	    --denoise --loss tests/data/loss-modelled-20pct.txt --bitrate 48000 --protect lbrr+red:2 \
	    --report demo/noisy-call --force
	@echo
	@$(BIN)/vivavoce call tests/data/speech-16k.flac demo/bursts.wav --loss burst:measured-high --seed 4 --bitrate 72000 \
	    --protect lbrr+dred --compare lossless --compare lbrr --playout-delay 1100 --report demo/bursts --force
	@echo
	@$(BIN)/vivavoce denoise demo/noisy-call/noisy.wav demo/cleaned.wav --report demo/denoise --force
	@echo
	@echo "A bad network"
	@echo "  Sound:     demo/original.wav demo/unprotected.wav demo/protected.wav"
	@echo "  Pictures:  demo/original.png demo/unprotected.png demo/protected.png"
	@echo "  Report:    demo/index.html (open it in a browser: all of the above, and what it cost and saved)"
	@echo "A very bad one: without loss, LBRR, and packets that describe the last second"
	@echo "  Sound:     demo/bursts/lossless.wav demo/bursts/lbrr.wav demo/bursts/protected.wav"
	@echo "  Report:    demo/bursts/index.html"
	@echo "A vacuum cleaner"
	@echo "  Sound:     demo/denoise/noisy.wav demo/denoise/cleaned.wav"
	@echo "  Pictures:  demo/denoise/noisy.png demo/denoise/cleaned.png, and of gains, pitch and voice"
	@echo "  Report:    demo/denoise/index.html"
	@echo "Both at once, cleaned before it is sent"
	@echo "  Report:    demo/noisy-call/index.html"

test: .venv/test-ready lint native
	$(BIN)/pytest -n 2 --dist loadfile

lint: .venv/test-ready
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyright --pythonpath $(BIN)/python

native: .venv/test-ready
	$(BIN)/cmake -S . -B build/native -G Ninja -D VIVAVOCE_TESTS=ON -D CMAKE_MAKE_PROGRAM=$(abspath $(BIN)/ninja) \
	    -D CMAKE_INSTALL_PREFIX=build/native/install
	$(BIN)/cmake --build build/native
	$(BIN)/ctest --test-dir build/native --output-on-failure

fuzz: .venv/test-ready
	$(BIN)/python fuzz/fuzz_parsers.py all --minutes $(MINUTES)

table: .venv/demo-ready
	sh recipes/call-table.sh $(BIN)/vivavoce "$(DATA)"

clean:
	rm -rf .venv build demo

.venv/bin/pip:
	$(PYTHON) -m venv .venv

.venv/demo-ready: .venv/bin/pip tests/constraints.txt $(SOURCES)
	$(PIP) '.[opus,evaluate]'
	@touch $@

.venv/test-ready: .venv/demo-ready
	$(PIP) '.[opus,evaluate,train,dev]'
	@touch $@
