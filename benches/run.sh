#!/bin/sh
# Times the release binary against DuckDB on the same report. Called by `make bench`.
#   PYTHON   a Python with the packages of tests/tools/requirements.txt
#   BRIMFUL  the release binary
set -eu
: "${PYTHON:?set PYTHON to the interpreter of the test environment}"
: "${BRIMFUL:?set BRIMFUL to the release binary}"
exec "$PYTHON" "$(dirname "$0")/run.py" "$@"
