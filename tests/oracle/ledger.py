#!/usr/bin/env python3
"""An independent answer to what Brimful reads out of a report, by DuckDB.

    python tests/oracle/ledger.py --style legacy|cur2 [--horizon RFC3339] [--now RFC3339] [--only TABLE,...] FILES...
    python tests/oracle/ledger.py --style legacy --questions --threads 2 FILES...

Prints one JSON object: the horizon, and the tables

    plans      [arn, hour, commitment, used, covered]
    ondemand   [hour, account, usage_type, operation, region, cluster, nodepool, amount, cost]   not covered by any plan
    spot       the same columns
    covered    [arn, ... the same columns]   covered by that plan; the cost is at its rates
    rates      [arn, usage_type, operation, hour, rate]   the dearest rate at the newest hour

Only hours that have ended at the horizon count. Hours are RFC 3339, absent text
is "", sums are exact (each number is taken to twelve decimals first).

`--questions` answers the same tables for timing: number of rows and sums of the
columns, in plain doubles, with the seconds spent inside DuckDB.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import dataclass
from typing import Any

import duckdb

TABLES = ("plans", "ondemand", "spot", "covered", "rates")

# How a usage type begins after its region prefix.
INSTANCE = ("BoxUsage", "DedicatedUsage", "HostUsage", "HostBoxUsage", "UnusedBox", "UnusedDed", "Reservation")
FARGATE = ("Fargate-vCPU-Hours", "Fargate-GB-Hours", "Fargate-ARM-vCPU-Hours", "Fargate-ARM-GB-Hours", "Fargate-Windows-vCPU-Hours", "Fargate-Windows-GB-Hours")
LAMBDA = ("Lambda-GB-Second", "Request", "Lambda-Provisioned-")
# Capacity that really ran: unused reserved capacity says nothing about how far usage has been reported.
RUNNING = ("BoxUsage", "DedicatedUsage", "HostBoxUsage", "SpotUsage")
CLUSTER_TAGS = ("aws_eks_cluster_name", "user_eks_eks_cluster_name", "user_eks_cluster_name", "user_alpha_eksctl_io_cluster_name")
NODEPOOL_TAGS = ("user_karpenter_sh_nodepool", "user_eks_kubernetes_node_pool_name")


@dataclass(frozen=True)
class Source:
    """The files, and how their columns spell each fact. Absent columns are blank."""

    columns: dict[str, str]
    cur2: bool

    def text(self, *names: str) -> str:
        """SQL for the first of these columns that is not blank."""
        found = [f"nullif({n}, '')" for n in names if n in self.columns]
        return f"coalesce({', '.join(found + [chr(39) * 2])})"

    def bare(self, name: str) -> str:
        """SQL for a column as it is, for conditions that a NULL fails as '' does: much faster to filter on."""
        return name if name in self.columns else "''"

    def number(self, name: str) -> str:
        """SQL for a numeric column."""
        return f"coalesce({name}, 0)" if name in self.columns else "0.0"

    def tag(self, *keys: str) -> str:
        """SQL for the first of these resource tags."""
        if self.cur2:
            found = [f"nullif(resource_tags['{k}'], '')" for k in keys] if "resource_tags" in self.columns else []
            return f"coalesce({', '.join(found + [chr(39) * 2])})"
        return self.text(*(f"resource_tags_{k}" for k in keys))


def begins(column: str, words: tuple[str, ...]) -> str:
    """SQL: the usage type begins so. The plain search spares most rows the regular expression."""
    anywhere = " OR ".join(f"contains({column}, '{w}')" for w in words)
    return f"({anywhere}) AND regexp_matches({column}, '^([A-Z0-9]+-)*({'|'.join(words)})')"


def classes(of: Source, line_type: str) -> tuple[str, str]:
    """SQL conditions on rows of this type: usage that a plan pays for, or could have, and Spot."""
    usage_type, operation, code = of.bare("line_item_usage_type"), of.bare("line_item_operation"), of.bare("line_item_product_code")
    own = f"line_item_line_item_type = '{line_type}' AND coalesce({operation}, '') NOT IN ('EKSPod-EC2', 'ECSTask-EC2')"
    if "split_line_item_parent_resource_id" in of.columns:
        own += " AND coalesce(split_line_item_parent_resource_id, '') = ''"
    eligible = f"""{own} AND (
        ({code} = 'AmazonEC2' AND {operation} LIKE 'RunInstances%' AND {begins(usage_type, INSTANCE)})
        OR ({code} IN ('AmazonECS', 'AmazonEKS') AND {begins(usage_type, FARGATE)})
        OR ({code} = 'AWSLambda' AND {begins(usage_type, LAMBDA)}))"""
    spot = f"{own} AND {code} = 'AmazonEC2' AND contains({usage_type}, 'SpotUsage')"
    return eligible, spot


def horizon_sql(of: Source, now: str | None) -> str:
    """The end of the newest hour with instances in it."""
    cap = f"least(max(line_item_usage_end_date), TIMESTAMP '{now}')" if now else "max(line_item_usage_end_date)"
    return f"""SELECT {cap} FROM cur
        WHERE {of.bare('line_item_product_code')} = 'AmazonEC2'
          AND line_item_line_item_type IN ('Usage', 'SavingsPlanCoveredUsage', 'DiscountedUsage')
          AND {begins(of.bare('line_item_usage_type'), RUNNING)}
          AND line_item_usage_end_date - line_item_usage_start_date <= INTERVAL 1 HOUR"""


def table_sql(of: Source, horizon: str, exact: bool) -> dict[str, str]:
    """One statement for each table."""
    def total(column: str, where: str = "true") -> str:
        number = of.number(column) + ("::DECIMAL(30, 12)" if exact else "")
        return f"coalesce(sum({number}) FILTER (WHERE {where}), 0)"

    arn, kind = of.text("savings_plan_savings_plan_a_r_n"), "line_item_line_item_type"
    hour, ended = "line_item_usage_start_date", f"line_item_usage_end_date <= TIMESTAMP '{horizon}'"
    usage_type, operation = of.text("line_item_usage_type"), of.text("line_item_operation")
    place = f"{hour} AS hour, {of.text('line_item_usage_account_id')} AS account, {usage_type} AS usage_type, {operation} AS operation, {of.text('product_region_code', 'product_region')} AS region, " \
            f"{of.tag(*CLUSTER_TAGS)} AS cluster, {of.tag(*NODEPOOL_TAGS)} AS nodepool"
    eligible, spot = classes(of, "Usage")
    covered, _ = classes(of, "SavingsPlanCoveredUsage")

    def uncovered(condition: str) -> str:
        return f"SELECT {place}, {total('line_item_usage_amount')} AS amount, {total('line_item_unblended_cost')} AS cost FROM cur WHERE {ended} AND {condition} GROUP BY ALL"

    return {
        "plans": f"""
            SELECT {arn} AS arn, {hour} AS hour,
                   {total('savings_plan_total_commitment_to_date', f"{kind} = 'SavingsPlanRecurringFee'")} AS commitment,
                   {total('savings_plan_used_commitment', f"{kind} = 'SavingsPlanRecurringFee'")} AS used,
                   {total('savings_plan_savings_plan_effective_cost', f"{kind} = 'SavingsPlanCoveredUsage'")} AS covered
            FROM cur WHERE {kind} IN ('SavingsPlanRecurringFee', 'SavingsPlanCoveredUsage') AND {of.bare('savings_plan_savings_plan_a_r_n')} <> '' AND {ended} GROUP BY ALL""",
        "ondemand": uncovered(eligible),
        "spot": uncovered(spot),
        "covered": f"""
            SELECT {arn} AS arn, {place}, {total('line_item_usage_amount')} AS amount, {total('savings_plan_savings_plan_effective_cost')} AS cost
            FROM cur WHERE {ended} AND {of.bare('savings_plan_savings_plan_a_r_n')} <> '' AND {covered} GROUP BY ALL""",
        "rates": f"""
            SELECT arn, usage_type, operation, max(hour) AS hour, max_by(rate, hour) AS rate FROM (
                SELECT {arn} AS arn, {usage_type} AS usage_type, {operation} AS operation, {hour} AS hour, max({of.number('savings_plan_savings_plan_rate')}) AS rate
                FROM cur WHERE {kind} = 'SavingsPlanCoveredUsage' AND {of.bare('savings_plan_savings_plan_a_r_n')} <> '' AND {ended} GROUP BY ALL)
            GROUP BY ALL""",
    }


def plain(value: Any) -> Any:
    """A cell as JSON: times in RFC 3339, exact sums as numbers."""
    if hasattr(value, "strftime"):
        return value.strftime("%Y-%m-%dT%H:%M:%SZ")
    return value if isinstance(value, (str, int, float)) else float(value)


def connect(files: list[str], threads: int) -> tuple[duckdb.DuckDBPyConnection, Source]:
    """A view `cur` over the files, united by column name; all times are UTC without a zone."""
    db = duckdb.connect()
    db.execute(f"SET threads = {threads}")
    db.execute("SET TimeZone = 'UTC'")
    db.read_parquet(files, union_by_name=True).create_view("files")
    columns = {name: kind for name, kind, *_ in db.execute("DESCRIBE files").fetchall()}
    times = [n for n, kind in columns.items() if n in ("line_item_usage_start_date", "line_item_usage_end_date") and kind != "TIMESTAMP"]
    replaced = ", ".join(f"{n}::TIMESTAMP AS {n}" for n in times)
    db.execute("CREATE VIEW cur AS SELECT *" + (f" REPLACE ({replaced})" if replaced else "") + " FROM files")
    return db, Source(columns, cur2=columns.get("resource_tags", "").startswith("MAP"))


def utc(text: str | None) -> str | None:
    """RFC 3339 as a SQL timestamp."""
    return text.replace("T", " ").removesuffix("Z") if text else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("files", nargs="+", metavar="FILES")
    parser.add_argument("--style", choices=("legacy", "cur2"), required=True)
    parser.add_argument("--horizon", help="take this horizon instead of the report's own")
    parser.add_argument("--now", help="the report's horizon is never later than this")
    parser.add_argument("--only", default=",".join(TABLES), help="some of " + ",".join(TABLES))
    parser.add_argument("--questions", action="store_true", help="time the same questions; print sums only")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()

    began, used = time.perf_counter(), time.process_time()
    db, source = connect(args.files, args.threads)
    if source.cur2 != (args.style == "cur2"):
        sys.exit(f"ledger.py: these files are not {args.style}")
    horizon = utc(args.horizon)
    if horizon is None:
        (found,) = db.execute(horizon_sql(source, utc(args.now))).fetchone()  # type: ignore[misc]
        if found is None:
            sys.exit("ledger.py: no instance usage, so no horizon")
        horizon = str(found)
    answer: dict[str, Any] = {"horizon": horizon.replace(" ", "T") + "Z"}
    statements = table_sql(source, horizon, exact=not args.questions)
    for name in args.only.split(","):
        if args.questions:
            kinds = db.execute("DESCRIBE " + statements[name]).fetchall()
            sums = ", ".join(f"sum({n})" for n, kind, *_ in kinds if kind == "DOUBLE")
            count, *totals = db.execute(f"SELECT count(*), {sums} FROM ({statements[name]})").fetchone()  # type: ignore[misc]
            answer[name] = {"rows": count} | {n: round(t, 6) for (n, kind, *_), t in zip([k for k in kinds if k[1] == "DOUBLE"], totals)}
        else:
            rows = db.execute(f"SELECT * FROM ({statements[name]}) ORDER BY ALL").fetchall()
            answer[name] = [[plain(v) for v in row] for row in rows]
    if args.questions:
        answer["seconds"] = round(time.perf_counter() - began, 3)
        answer["cpu"] = round(time.process_time() - used, 3)
    json.dump(answer, sys.stdout, separators=(",", ":"))
    print()


if __name__ == "__main__":
    main()
