"""Makes a variant of a legacy report: derive_report.py WHAT FROM TO.

FROM and TO are directories laid out like the bucket; TO is made. WHAT is one of

full         the r6i plan is used to the last cent: nodes of a sibling account that carries no cluster tag
             take what was left of it in every past hour
daily        one row per day instead of one per hour
monthly      one row for the whole month
no-plans     a payer without Savings Plans
future-only  nothing but the fees that AWS writes ahead for hours to come
without:COL  the column COL is missing
wide         a column that nobody needs makes up most of each file
status:TEXT  its status file says TEXT instead of READY
"""

import random
import shutil
import sys
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

ARN = "savings_plan_savings_plan_a_r_n"
TYPE = "line_item_line_item_type"
START = "line_item_usage_start_date"
END = "line_item_usage_end_date"
USED = "savings_plan_used_commitment"
TOTAL = "savings_plan_total_commitment_to_date"
COST = "savings_plan_savings_plan_effective_cost"
AMOUNT = "line_item_usage_amount"


def full(table):
    of_plan = pc.match_substring(table[ARN], "bb37838f-")
    fee = pc.and_(of_plan, pc.equal(table[TYPE], "SavingsPlanRecurringFee"))
    covered = pc.and_(of_plan, pc.equal(table[TYPE], "SavingsPlanCoveredUsage"))
    rest = pa.compute.subtract(table[TOTAL], table[USED])
    # Hours to come have nothing used.
    left = {
        start: missing
        for start, missing, used in zip(
            table.filter(fee)[START].to_pylist(), rest.filter(fee).to_pylist(), table.filter(fee)[USED].to_pylist()
        )
        if used > 0
    }
    past = pc.and_(fee, pc.greater(table[USED], 0))
    used = pc.if_else(past, table[TOTAL], table[USED])
    table = table.set_column(table.schema.get_field_index(USED), table.schema.field(USED), used)
    added = []
    seen = set()
    for row in table.filter(covered).to_pylist():
        if row[START] in seen or row[START] not in left:
            continue
        seen.add(row[START])
        factor = left[row[START]] / row[COST]
        for column in (AMOUNT, COST, "line_item_unblended_cost", "line_item_blended_cost"):
            row[column] *= factor
        row[COST] = left[row[START]]
        row["line_item_usage_account_id"] = "444455556666"
        row["line_item_resource_id"] = "i-0f0f0f0f0f0f0f0f0"
        for column in table.column_names:
            if column.startswith("resource_tags_"):
                row[column] = ""
        added.append(row)
    return pa.concat_tables([table, pa.Table.from_pylist(added, table.schema)])


def spread(table, keep, length):
    """Rows of which `keep` is true of the start, each `length` long."""
    starts = table[START].to_pylist()
    table = table.filter(pa.array([keep(start) for start in starts], pa.bool_()))
    ends = pa.array([start + length for start in table[START].to_pylist()], table.schema.field(END).type)
    return table.set_column(table.schema.get_field_index(END), table.schema.field(END), ends)


def wide(table):
    noise = random.Random(1)
    column = "identity_line_item_id"
    text = pa.array([noise.randbytes(300).hex() for _ in range(len(table))], pa.string())
    return table.set_column(table.schema.get_field_index(column), table.schema.field(column), text)


def derive(what, table):
    if what == "wide":
        return wide(table)
    if what == "full":
        return full(table)
    if what == "daily":
        return spread(table, lambda start: start.hour == 0, timedelta(days=1))
    if what == "monthly":
        return spread(table, lambda start: (start.day, start.hour) == (1, 0), timedelta(days=30))
    if what == "no-plans":
        return table.filter(pc.and_(pc.equal(table[ARN], ""), pc.equal(table[TYPE], "Usage")))
    if what == "future-only":
        horizon = pc.max(table.filter(pc.equal(table[TYPE], "Usage"))[START])
        ahead = pc.greater(table[START], horizon)
        return table.filter(pc.and_(ahead, pc.equal(table[TYPE], "SavingsPlanRecurringFee")))
    return table.drop_columns([what.removeprefix("without:")])


def main():
    what, source, target = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    shutil.copytree(source, target, dirs_exist_ok=True)
    if what.startswith("status:"):
        for file in target.rglob("cost_and_usage_data_status.parquet"):
            table = pq.read_table(file, partitioning=None)
            status = pa.array([what.removeprefix("status:")] * len(table), table.schema.field("status").type)
            pq.write_table(table.set_column(table.schema.get_field_index("status"), "status", status), file)
        return
    for file in sorted(target.rglob("*.snappy.parquet")):
        table = pq.read_table(file, partitioning=None)
        pq.write_table(derive(what, table), file, compression="snappy", row_group_size=16384)


main()
