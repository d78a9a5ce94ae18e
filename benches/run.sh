#!/bin/sh
# Times Brimful beside query engines on the same report. Called by `make bench`; arguments go to run.py.
#   PYTHON     a Python with the packages of tests/tools/requirements.txt and benches/requirements.txt
#   BRIMFUL    the release binary
#   QUESTIONS  the release build of questions.rs
set -eu
: "${PYTHON:?set PYTHON to the interpreter of the test environment}"
: "${BRIMFUL:?set BRIMFUL to the release binary}"
: "${QUESTIONS:?set QUESTIONS to the release build of benches/questions.rs}"
exec "$PYTHON" "$(dirname "$0")/run.py" "$@"
