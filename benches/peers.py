#!/usr/bin/env python3
"""The questions of questions.rs, asked of a query engine over the same parquet files.

    python benches/peers.py ENGINE DIR [--threads N] [--since 2025-01-30T00:00:00]      ENGINE: duckdb polars datafusion chdb

Every engine gets the form that was fastest for it: one pass that groups finely, whose small result is added up to the
three answers. Prints one line of JSON: rows and sums of q1, q2 and q3, and the seconds from the first use of the engine
to its fine grouping (importing it is not counted, nor what Python adds up after that).
"""

from __future__ import annotations

import argparse
import json
import operator
import os
import time
from datetime import datetime
from pathlib import Path

KEYS = ("h", "kind", "arn", "it", "region")
SUMS = ("commitment", "used", "effective", "amount", "public", "cost")
COLUMNS = {
    "commitment": "savings_plan_total_commitment_to_date",
    "used": "savings_plan_used_commitment",
    "effective": "savings_plan_savings_plan_effective_cost",
    "amount": "line_item_usage_amount",
    "public": "pricing_public_on_demand_cost",
    "cost": "line_item_unblended_cost",
}
FEE, COVERED, COVERED_INSTANCE, ON_DEMAND, SPOT = range(5)
LINE_TYPES = ("SavingsPlanRecurringFee", "SavingsPlanCoveredUsage", "Usage")


def sql(source: str, instance_type: str, region: str, since: str | None) -> str:
    """The fine grouping, of what matters only. Strings that a question doesn't ask for are left out of its groups."""
    after = f"AND line_item_usage_start_date >= {since}" if since else ""
    rows = f"""
        SELECT line_item_usage_start_date AS h,
               CASE WHEN line_item_line_item_type = 'SavingsPlanRecurringFee' THEN {FEE}
                    WHEN line_item_line_item_type = 'SavingsPlanCoveredUsage'
                         THEN CASE WHEN line_item_product_code = 'AmazonEC2' THEN {COVERED_INSTANCE} ELSE {COVERED} END
                    WHEN line_item_usage_type LIKE '%BoxUsage:%' THEN {ON_DEMAND} ELSE {SPOT} END AS kind,
               savings_plan_savings_plan_a_r_n AS plan, line_item_usage_type AS usage_type, {instance_type} AS instance_type, {region} AS region_code,
               savings_plan_savings_plan_rate AS rate, {", ".join(f"{column} AS {name}" for name, column in COLUMNS.items())}
        FROM {source}
        WHERE (line_item_line_item_type IN ('SavingsPlanRecurringFee', 'SavingsPlanCoveredUsage')
               OR line_item_line_item_type = 'Usage'
                  AND (line_item_usage_type LIKE '%BoxUsage:%' OR line_item_usage_type LIKE '%SpotUsage:%')) {after}"""
    return f"""
        SELECT h, kind,
               CASE WHEN kind <= {COVERED_INSTANCE} THEN plan END AS arn,
               CASE WHEN kind > {COVERED_INSTANCE} THEN usage_type WHEN kind = {COVERED_INSTANCE} THEN instance_type END AS it,
               CASE WHEN kind = {COVERED_INSTANCE} THEN region_code END AS region,
               max(rate) AS top_rate, {", ".join(f"sum({name}) AS sum_{name}" for name in SUMS)}
        FROM ({rows}) AS r GROUP BY 1, 2, 3, 4, 5"""


def duckdb(args: argparse.Namespace):
    import duckdb as engine

    began = clocks()
    connection = engine.connect(config={"threads": args.threads, "preserve_insertion_order": False})
    since = f"TIMESTAMP '{args.since}'" if args.since else None
    query = sql(f"read_parquet({args.files})", "product_instance_type", "product_region_code", since)
    return connection.sql(query).to_arrow_table(), began


def datafusion(args: argparse.Namespace):
    import datafusion as engine
    import pyarrow as pa

    began = clocks()
    context = engine.SessionContext(engine.SessionConfig().with_target_partitions(args.threads))
    context.register_parquet("report", f"{args.dir}/")
    since = f"TIMESTAMP '{args.since}'" if args.since else None
    batches = context.sql(sql("report", "product_instance_type", "product_region_code", since)).collect()
    return pa.Table.from_batches(batches), began


def chdb(args: argparse.Namespace):
    import chdb as engine
    import pyarrow as pa

    began = clocks()
    since = f"toDateTime64('{args.since.replace('T', ' ')}', 3, 'UTC')" if args.since else None
    query = sql(f"file('{args.dir}/*.parquet', 'Parquet')", "product_instance_type", "product_region_code", since)
    settings = f" SETTINGS max_threads = {args.threads}, output_format_arrow_string_as_string = 1"
    answer = engine.query(query + settings, "Arrow").bytes()
    return pa.ipc.open_file(pa.py_buffer(answer)).read_all(), began


def polars(args: argparse.Namespace):
    import polars as pl

    began = clocks()
    line_type, usage_type = pl.col("line_item_line_item_type"), pl.col("line_item_usage_type")
    on_demand, spot = (usage_type.str.contains(part, literal=True) for part in ("BoxUsage:", "SpotUsage:"))
    rows = pl.scan_parquet(args.files).filter(line_type.is_in(LINE_TYPES[:2]) | (line_type == "Usage") & (on_demand | spot))
    if args.since:
        start = pl.col("line_item_usage_start_date")
        rows = rows.filter(start.dt.replace_time_zone(None) >= datetime.fromisoformat(args.since))
    covered = pl.when(pl.col("line_item_product_code") == "AmazonEC2").then(COVERED_INSTANCE).otherwise(COVERED)
    usage = pl.when(on_demand).then(ON_DEMAND).otherwise(SPOT)
    kind = pl.when(line_type == LINE_TYPES[0]).then(FEE).when(line_type == LINE_TYPES[1]).then(covered).otherwise(usage)
    rows = rows.select(
        h="line_item_usage_start_date", kind=kind, arn="savings_plan_savings_plan_a_r_n", it="product_instance_type", region="product_region_code", usage_type="line_item_usage_type",
        rate="savings_plan_savings_plan_rate", **COLUMNS,
    )
    is_plan, is_instance, is_use = (op(pl.col("kind"), COVERED_INSTANCE) for op in (operator.le, operator.eq, operator.gt))
    rows = rows.with_columns(
        arn=pl.when(is_plan).then("arn"), it=pl.when(is_instance).then("it").otherwise(pl.when(is_use).then("usage_type")), region=pl.when(is_instance).then("region"),
    )
    sums = [pl.sum(name).alias(f"sum_{name}") for name in SUMS]
    return rows.group_by(KEYS).agg(pl.max("rate").alias("top_rate"), *sums).collect(engine="streaming").to_arrow(), began


def clocks() -> tuple[float, float]:
    """Seconds of wall time, and of all threads' processor time."""
    return time.perf_counter(), time.process_time()


def totals(fine) -> dict[str, list[float]]:
    """Rows and sums of the three answers."""
    import pyarrow as pa
    import pyarrow.compute as pc

    # DataFusion's strings are views, which not every kernel takes.
    fine = pa.table({name: column.cast("string") if name in ("arn", "it", "region") else column for name, column in zip(fine.column_names, fine.columns)})

    def of(kinds, keys, sums):
        rows = fine.filter(pc.is_in(fine["kind"].cast("int64"), value_set=pa.array(kinds, "int64")))
        groups = rows.group_by(list(keys)).aggregate([]).num_rows
        return [groups, *(round(pc.sum(rows[name]).as_py() or 0.0, 4) for name in sums)]

    of_plans = [f"sum_{name}" for name in ("commitment", "used")]
    of_use = [f"sum_{name}" for name in ("effective", "amount", "public")]
    plans, use = of([FEE, COVERED, COVERED_INSTANCE], ("h", "arn"), of_plans), of([COVERED, COVERED_INSTANCE], ("h",), of_use)
    return {
        "q1": plans[:1] + of([FEE], ("h",), of_plans)[1:] + use[1:],
        "q2": of([COVERED_INSTANCE], ("h", "it", "region", "arn"), ("sum_amount", "top_rate", "sum_effective")),
        "q3": of([ON_DEMAND, SPOT], ("h", "it", "kind"), ("sum_amount", "sum_cost")),
    }


def main() -> None:
    engines = {"duckdb": duckdb, "polars": polars, "datafusion": datafusion, "chdb": chdb}
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("engine", choices=engines)
    parser.add_argument("dir", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--since")
    args = parser.parse_args()
    args.dir = args.dir.resolve()
    args.files = sorted(str(file) for file in args.dir.glob("*.parquet"))
    os.environ["POLARS_MAX_THREADS"] = str(args.threads)
    fine, began = engines[args.engine](args)
    wall, cpu = (now - then for now, then in zip(clocks(), began))
    print(json.dumps({**totals(fine), "s": wall, "cpu": cpu}))


if __name__ == "__main__":
    main()
