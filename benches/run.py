#!/usr/bin/env python3
"""Whole-process time and memory of `brimful utilization` beside DuckDB, on a generated month.

    PYTHON=… BRIMFUL=… benches/run.sh [--rows 10000000] [--runs 5] [--threads 1,2]

The contenders take turns (A B A B), so that a busy machine slows both alike;
compare CPU seconds and ratios rather than single wall times. Ends with 1 when
the answers differ.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT / "target" / "bench-data"
ORACLE = ROOT / "tests" / "oracle" / "ledger.py"
TOLERANCE = 1e-6  # dollars
RSS_UNIT = 1024 if sys.platform == "darwin" else 1  # ru_maxrss is in bytes there, in KiB elsewhere


@dataclass
class Contender:
    """A command that is timed again and again."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    mebibytes: list[float] = field(default_factory=list)
    inside: list[float] = field(default_factory=list)
    """Seconds by the program's own clock: without the start of the interpreter."""

    def run(self, output: Path, keep: bool) -> None:
        """One run. This process must stay small: on Linux a child's peak starts at its parent's."""
        with output.open("wb") as sink:
            began = time.perf_counter()
            process = subprocess.Popen(self.command, stdout=sink, env={**os.environ, **self.environment})
            _, status, used = os.wait4(process.pid, 0)
            wall = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            sys.exit(f"run.py: {self.name} ended with {process.returncode}")
        if keep:
            self.wall.append(wall)
            self.cpu.append(used.ru_utime + used.ru_stime)
            self.mebibytes.append(used.ru_maxrss / RSS_UNIT / 1024)
            if self.command[0] == sys.executable:
                self.inside.append(json.loads(output.read_text())["seconds"])


def month(rows: int) -> Path:
    """The generated report; kept from one bench to the next."""
    home = DATA / f"legacy-{rows}"
    if not home.exists():
        partial = home.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        print(f"generating {rows} rows in {home.relative_to(ROOT)}", file=sys.stderr)
        subprocess.run([sys.executable, str(ROOT / "benches" / "generate.py"), "--rows", str(rows), "--out", str(partial)], check=True, stdout=sys.stderr)
        partial.rename(home)
    return home


def differences(ours: Mapping[str, list], theirs: Mapping[str, list]) -> list[str]:
    """Where the binary's hours and the oracle's are not the same."""
    expected = {(arn, hour): values for arn, hour, *values in theirs["plans"]}
    found = {(p["arn"], h["hour"]): [h["commitment"], h["used"], h["covered"]] for p in ours["plans"] for h in p["hours"]}
    wrong = [f"{key}: brimful {found.get(key)}, oracle {expected.get(key)}" for key in sorted(found.keys() ^ expected.keys())]
    for key in sorted(found.keys() & expected.keys()):
        if any(a is None or abs(a - b) > TOLERANCE for a, b in zip(found[key], expected[key])):
            wrong.append(f"{key}: brimful {found[key]}, oracle {expected[key]}")
    return wrong


def time_plan(binary: str, offline: Mapping[str, str], runs: int) -> None:
    """The dry run on the bundled fixtures; its goal is 50 ms."""
    fixtures = ROOT / "fixtures"
    files = ["--nodepools", str(fixtures / "nodepools.yaml"), "--nodes", str(fixtures / "nodes.yaml")]
    command = [binary, "plan", "--quiet", "--cur", str(fixtures / "cur" / "legacy"), "--now", "2026-11-21T18:00:00Z", *files]
    plan = Contender("plan", command, offline)
    for turn in range(runs + 1):
        plan.run(DATA / "plan.txt", keep=turn > 0)
    print(f"plan on the fixtures: {statistics.median(plan.wall) * 1000:.0f} ms, {statistics.median(plan.mebibytes):.0f} MiB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--threads", default="1,2")
    args = parser.parse_args()
    binary = os.environ.get("BRIMFUL") or sys.exit("run.py: set BRIMFUL to the release binary")
    home = month(args.rows)
    files = [str(f) for f in sorted(home.glob("**/month=*/*.snappy.parquet"))]
    ours, theirs = DATA / "brimful.json", DATA / "duckdb.json"
    # No look-ups outside the machine, whatever the user's own AWS settings are.
    offline = {"AWS_EC2_METADATA_DISABLED": "true", "AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "bench"}

    print(f"{args.rows} rows, {len(files)} files, {sum(os.path.getsize(f) for f in files) / 1e9:.2f} GB; median of {args.runs} after a warm-up")
    print(f"{'':10}{'':24}{'wall s':>9}{'inside s':>10}{'cpu s':>8}{'peak MiB':>10}{'time ratio':>12}{'cpu ratio':>11}")
    for threads in args.threads.split(","):
        oracle = [sys.executable, str(ORACLE), "--style", "legacy", "--questions", "--threads", threads]
        contenders = [
            Contender("brimful utilization", [binary, "utilization", "--cur", str(home), "-o", "json"], {**offline, "BRIMFUL_THREADS": threads}),
            Contender("duckdb, plans only", [*oracle, "--only", "plans", *files]),
            Contender("duckdb, whole ledger", [*oracle, "--only", "plans,ondemand,spot,rates", *files]),
        ]
        for turn in range(args.runs + 1):
            for contender in contenders:
                contender.run(ours if contender is contenders[0] else theirs, keep=turn > 0)
        base = contenders[0]
        for c in contenders:
            wall, cpu = statistics.median(c.wall), statistics.median(c.cpu)
            inside = f"{statistics.median(c.inside):.2f}" if c.inside else "-"
            compared = statistics.median(c.inside) if c.inside else wall  # Python's own start is not the peer's fault
            ratios = f"{compared / statistics.median(base.wall):11.1f}x{cpu / statistics.median(base.cpu):10.1f}x"
            label = f"{threads} thread" + ("s" if threads != "1" else "")
            print(f"{label:10}{c.name:24}{wall:9.2f}{inside:>10}{cpu:8.2f}{statistics.median(c.mebibytes):10.0f}{ratios}", flush=True)

    time_plan(binary, offline, args.runs)
    # Only now, with the timing done, may this process grow.
    exact = subprocess.run([sys.executable, str(ORACLE), "--style", "legacy", "--only", "plans", *files], check=True, capture_output=True, text=True)
    wrong = differences(json.loads(ours.read_text()), json.loads(exact.stdout))
    if wrong:
        print(f"the answers differ in {len(wrong)} hours, for example:", *wrong[:5], sep="\n  ")
        sys.exit(1)
    print("the answers are equal, plan by plan and hour by hour")


if __name__ == "__main__":
    main()
