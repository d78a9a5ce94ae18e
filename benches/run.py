#!/usr/bin/env python3
"""Time and memory of Brimful's scan and of `brimful utilization` beside query engines, on a generated month.

    PYTHON=… BRIMFUL=… QUESTIONS=… benches/run.sh [--rows 10000000] [--style legacy|cur2] [--make arrow|parquet-mr] [--runs 5] [--threads 1,2]
        [--only all|s3] [--delay 0,20] [--gbit 0,10]

First the questions of questions.rs, by the page scan, by the plain scan of the
arrow crate, by unpacking alone and by the engines of peers.py; then what
`utilization` and `plan` read, beside DuckDB; then `plan` on the fixtures; then
both from an S3 server, over each of the links asked for: a delay of every
request in milliseconds, and Gbit/s (0: as they come).

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

import s3_server

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT / "target" / "bench-data"
ORACLE = ROOT / "tests" / "oracle" / "ledger.py"
PEERS = ROOT / "benches" / "peers.py"
OFFLINE = {"AWS_EC2_METADATA_DISABLED": "true", "AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "bench"}
AFTER = "2025-02-01T06:00:00Z"  # when the generated month is over
TOLERANCE = 1e-6  # dollars
RSS_UNIT = 1024 if sys.platform == "darwin" else 1  # ru_maxrss is in bytes there, in KiB elsewhere


def seconds(answer: Mapping[str, object]) -> float:
    """What a program says of its own time."""
    return float(answer.get("s", answer.get("seconds")))


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
    """Seconds by the program's own clock, as `cpu`: without the start of the interpreter."""

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
            self.mebibytes.append(used.ru_maxrss / RSS_UNIT / 1024)
            cpu = used.ru_utime + used.ru_stime
            if self.command[0] == sys.executable or "questions" in self.command[0]:
                answer = json.loads(output.read_text())
                self.inside.append(seconds(answer))
                cpu = answer.get("cpu", cpu)
            self.cpu.append(cpu)


def month(rows: int, style: str, make: str) -> Path:
    """The generated report; kept from one bench to the next."""
    home = DATA / (f"{style}-{rows}" if make == "arrow" else f"{style}-{make}-{rows}")
    if not home.exists():
        partial = home.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        print(f"generating {rows} rows in {home.relative_to(ROOT)}", file=sys.stderr)
        command = [sys.executable, str(ROOT / "benches" / "generate.py"), "--rows", str(rows), "--style", style, "--make", make, "--out", str(partial)]
        subprocess.run(command, check=True, stdout=sys.stderr)
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


def time_plan(binary: str, runs: int) -> None:
    """The dry run on the bundled fixtures; its goal is 50 ms."""
    fixtures = ROOT / "fixtures"
    files = ["--nodepools", str(fixtures / "nodepools.yaml"), "--nodes", str(fixtures / "nodes.yaml")]
    command = [binary, "plan", "--quiet", "--cur", str(fixtures / "cur" / "legacy"), "--now", "2026-11-21T18:00:00Z", *files]
    plan = Contender("plan", command, OFFLINE)
    for turn in range(runs + 1):
        plan.run(DATA / "plan.txt", keep=turn > 0)
    print(f"plan on the fixtures: {statistics.median(plan.wall) * 1000:.0f} ms, {statistics.median(plan.mebibytes):.0f} MiB")


def table(contenders: Sequence[Contender], threads: str) -> None:
    """A line for each; ratios are to the first."""
    label = f"{threads} thread" + ("s" if threads != "1" else "")
    base = contenders[0]
    of = lambda c: statistics.median(c.inside or c.wall)  # Python's own start is not the engine's fault
    for c in contenders:
        wall, cpu = statistics.median(c.wall), statistics.median(c.cpu)
        ratios = f"{of(c) / of(base):11.2f}x{cpu / statistics.median(base.cpu):10.2f}x"
        print(f"{label:10}{c.name:24}{wall:9.2f}{of(c):10.2f}{cpu:8.2f}{statistics.median(c.mebibytes):10.0f}{ratios}", flush=True)


def time_all(contenders: Sequence[Contender], runs: int) -> dict[str, dict]:
    """Runs them in turn; gives their answers."""
    answers = {}
    for turn in range(runs + 1):
        for contender in contenders:
            output = DATA / f"{contender.name.replace(' ', '-')}.json"
            contender.run(output, keep=turn > 0)
            answers[contender.name] = output
    return answers


def questions(program: str, directory: Path, threads: str, runs: int, since: str | None) -> bool:
    """The questions, asked of everyone. True when all answers are the same."""
    after = lambda zone: ["--since", since + zone] if since else []
    ours = [program, str(directory), "--threads", threads, *after("Z")]
    contenders = [Contender("page scan", ours), Contender("plain scan", [*ours, "--decoder"])]
    if not since:
        contenders.append(Contender("unpacking alone", [*ours, "--unpack"]))
    for engine in ("duckdb", "polars", "datafusion", "chdb"):
        command = [sys.executable, str(PEERS), engine, str(directory), "--threads", threads, *after("")]
        contenders.append(Contender(engine, command))
    outputs = time_all(contenders, runs)
    table(contenders, threads)
    answers = {name: json.loads(output.read_text()) for name, output in outputs.items() if name != "unpacking alone"}
    first = answers["page scan"]
    same = True
    for name, answer in answers.items():
        for question in ("q1", "q2", "q3"):
            pairs = zip(first[question], answer[question], strict=True)
            if any(abs(a - b) > 1e-3 + 1e-9 * abs(a) for a, b in pairs):
                same = False
                print(f"the answers differ: {question} is {first[question]} by the page scan, {answer[question]} by {name}")
    return same


def ledger(binary: str, home: Path, files: Sequence[str], style: str, threads: str, runs: int) -> Path:
    """What `utilization` and `plan` read, and what DuckDB takes for as much and for all that decisions need."""
    # No look-ups outside the machine, whatever the user's own AWS settings are.
    offline = {**OFFLINE, "BRIMFUL_THREADS": threads}
    oracle = [sys.executable, str(ORACLE), "--style", style, "--questions", "--threads", threads]
    contenders = [
        Contender("brimful utilization", [binary, "utilization", "--cur", str(home), "-o", "json"], offline),
        Contender("brimful plan", [binary, "plan", "--quiet", "--cur", str(home), *cluster_files(), "-o", "json"], offline),
        Contender("duckdb, plans only", [*oracle, "--only", "plans", *files]),
        Contender("duckdb, whole ledger", [*oracle, "--only", "plans,ondemand,spot,rates", *files]),
    ]
    outputs = time_all(contenders, runs)
    table(contenders, threads)
    return outputs["brimful utilization"]


def footers(files: Sequence[str]) -> int:
    """Bytes of the files' footers, by what their last eight bytes say."""
    total = 0
    for file in files:
        with open(file, "rb") as f:
            f.seek(-8, os.SEEK_END)
            total += int.from_bytes(f.read(4), "little") + 8
    return total


def cluster_files() -> list[str]:
    """What `plan` needs beside the report."""
    fixtures = ROOT / "fixtures"
    return ["--nodepools", str(fixtures / "nodepools.yaml"), "--nodes", str(fixtures / "nodes.yaml"), "--now", AFTER]


def first_row_group(command: Sequence[str], environment: Mapping[str, str]) -> float:
    """Seconds from the start until all of a row group is there and its rows can be counted, by what -v tells."""
    began = time.perf_counter()
    with subprocess.Popen([*command, "-v"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env={**os.environ, **environment}) as process:
        took = next((time.perf_counter() - began for line in process.stderr if ": row group " in line), None)
        process.stderr.read()
    if process.returncode != 0 or took is None:
        sys.exit("run.py: no row group is told of")
    return took


def over_s3(binary: str, home: Path, files: Sequence[str], links: Sequence[tuple[float, float]], threads: str, runs: int) -> bool:
    """`utilization` and `plan` of the report on an S3 server beside those on disk. True when the ledgers are the same."""
    utilization = lambda cur: [binary, "utilization", "--cur", cur, "-o", "json"]
    plan = lambda cur: [binary, "plan", "--quiet", "--cur", cur, *cluster_files(), "-o", "json"]
    with s3_server.serving(home) as (address, server):
        for delay, gbit in links:
            print(f"every request {delay:g} ms late, " + (f"{gbit:g} Gbit/s" if gbit else "no limit"))
            with s3_server.front(server, delay, gbit) as front:
                for count in threads.split(","):
                    common = {**OFFLINE, "BRIMFUL_THREADS": count}
                    remote = {**common, **front.environment}
                    contenders = [
                        Contender("utilization over S3", utilization(address), remote),
                        Contender("utilization on disk", utilization(str(home)), common),
                        Contender("plan over S3", plan(address), remote),
                        Contender("plan on disk", plan(str(home)), common),
                    ]
                    outputs = time_all(contenders, runs)
                    table(contenders[:2], count)
                    table(contenders[2:], count)
                    front.requests()
                    first = min(first_row_group(utilization(address), remote) for _ in range(runs))
                    requests = len(front.requests()) / runs
                    gigabytes = json.loads(outputs["utilization over S3"].read_text())["source"]["bytesRead"] / 1e9
                    print(f"{'':10}utilization: {requests:.0f} requests, {requests / gigabytes:.0f} for each GB; the first row group is there after {first:.2f} s")
    s3, disk = (json.loads(outputs[f"utilization {where}"].read_text()) for where in ("over S3", "on disk"))
    # On disk, exactly the chunks are read, and so much of each file's end (FOOTER_GUESS in cur/parquet_file.rs).
    guessed = sum(min(128 << 10, os.path.getsize(f)) for f in files)
    needed = disk["source"]["bytesRead"] - guessed + footers(files)
    fetched = s3["source"]["bytesRead"]
    print(f"bytes fetched: {fetched / 1e6:.1f} MB, {fetched / needed:.3f} times the needed chunks and footers")
    same = s3["plans"] == disk["plans"]
    if not same:
        print("the ledgers over S3 and on disk differ")
    return same


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--style", choices=("legacy", "cur2"), default="legacy")
    parser.add_argument("--make", choices=("arrow", "parquet-mr"), default="arrow", help="how the files are written: see generate.py")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--since", default="2025-01-30T00:00:00", help="the questions once more, for hours from then on")
    parser.add_argument("--only", choices=("all", "s3"), default="all", help="only what is read from an S3 server")
    parser.add_argument("--delay", default="0", help="milliseconds by which every request to S3 is late, one or several: 0,20")
    parser.add_argument("--gbit", default="0", help="what the link to S3 carries, one or several, without a limit when 0: 0,10,1")
    args = parser.parse_args()
    binary, program = (os.environ.get(name) or sys.exit(f"run.py: set {name}") for name in ("BRIMFUL", "QUESTIONS"))
    home = month(args.rows, args.style, args.make)
    files = [str(f) for f in sorted(home.glob("**/*.snappy.parquet")) if "status" not in f.parts[-2]]
    same = True

    print(f"{args.rows} rows of {args.style} by {args.make}, {len(files)} files, {sum(os.path.getsize(f) for f in files) / 1e9:.2f} GB; median of {args.runs} after a warm-up")
    heads = f"{'':34}{'wall s':>9}{'inside s':>10}{'cpu s':>8}{'peak MiB':>10}{'time ratio':>12}{'cpu ratio':>11}"
    ours = None
    if args.only == "all":
        for title, since in (("the questions", None), (f"the questions, from {args.since} on", args.since)):
            print(f"\n{title}\n{heads}")
            for threads in args.threads.split(","):
                same &= questions(program, Path(files[0]).parent, threads, args.runs, since)
        print(f"\nthe ledger\n{heads}")
        for threads in args.threads.split(","):
            ours = ledger(binary, home, files, args.style, threads, args.runs)
        print()
        time_plan(binary, args.runs)
    print(f"\nfrom an S3 server on the same machine\n{heads}")
    links = [(float(delay), float(gbit)) for delay in args.delay.split(",") for gbit in args.gbit.split(",")]
    same &= over_s3(binary, home, files, links, args.threads, args.runs)
    # Only now, with the timing done, may this process grow.
    wrong = []
    if ours:
        exact = subprocess.run([sys.executable, str(ORACLE), "--style", args.style, "--only", "plans", *files], check=True, capture_output=True, text=True)
        wrong = differences(json.loads(ours.read_text()), json.loads(exact.stdout))
        if wrong:
            print(f"the answers differ in {len(wrong)} hours, for example:", *wrong[:5], sep="\n  ")
        else:
            print("brimful's ledger and DuckDB's agree in every plan and hour")
    if wrong or not same:
        sys.exit(1)


if __name__ == "__main__":
    main()
