#!/usr/bin/env bash
# What building takes, as lines of a table: how many crates a room's tests need, how long from an edit of a rule to the
# result of its unit tests, how long the demo takes from nothing, and how large the program is.
# Everything is built in a folder of its own, so that nothing built before counts.
set -euo pipefail
cd "$(dirname "$0")/.."
export CARGO_TERM_COLOR=never CARGO_INCREMENTAL=1
target=$(mktemp -d)
trap 'rm -rf "$target"' EXIT
export CARGO_TARGET_DIR=$target

# took COMMAND...: wall and processor seconds of a command.
took() {
  local TIMEFORMAT='%R s wall, %U s of processor time'
  { time "$@" >/dev/null 2>"$target/log" || { cat "$target/log" >&2; exit 1; }; } 2>&1
}

echo "| what | figure |"
echo "| --- | --- |"
for room in types savings-plans karpenter policy simulation; do
  count=$(cargo tree --locked -p "brimful-$room" -e normal,build,dev --prefix none | sed 's/ (\*)//' | sort -u | wc -l)
  echo "| crates that \`cargo test -p brimful-$room\` builds | $count |"
done
echo "| \`cargo test -p brimful-policy\`, from nothing, without running it | $(took cargo test --locked -p brimful-policy --no-run) |"
touch crates/policy/src/decision.rs
echo "| a rule of \`policy\` edited, to the result of its unit tests | $(took cargo test --locked -p brimful-policy --lib) |"
rm -rf "${target:?}"/*
echo "| \`make demo\`, from nothing | $(took make demo) |"
rm -rf "${target:?}"/*
echo "| \`cargo build --release\`, from nothing | $(took cargo build --locked --release) |"
echo "| the program | $(($(stat -c %s "$target/release/brimful") / 1000000)) MB |"
