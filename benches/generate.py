#!/usr/bin/env python3
"""Writes a large, repeatable report month for benchmarks and tests.

    python benches/generate.py --rows 10000000 --out DIR [--style legacy|cur2] [--make arrow|parquet-mr] [--jobs N] [--files N]

DIR is laid out like the bucket: manifest, status, data files of a million rows
in random order, in row groups of 700 000; or (`parquet-mr`) as Hadoop's writer
makes them of a report that is written account by account: rows by account and
day, times as INT96, row groups of about 128 MiB. Both have pages of version 1
and dictionaries as PLAIN_DICTIONARY. The same arguments give the same rows. For every plan and hour
the fee row's used commitment is the sum of the covered rows' effective cost.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import time
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Callable

import numpy as np
import pyarrow as pa

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "fixtures" / "generator"))

from bulk_catalog import COMPUTE_PLANS, COVERED, DISCOUNTED, FEE, NEGATION, PAYER, PLANS, REGIONS, RESOURCE_FORMS, UPFRONT, Template, plan_arn, plan_family, plan_region, templates  # noqa: E402
from curgen.clock import HOUR, at, hour_of_day, is_weekend, iso  # noqa: E402
from curgen.keyed import digest, sku_code, unit  # noqa: E402
from curgen.writers import DataExport, LegacyReport, Period, write_parquet  # noqa: E402

SEED = 741_852
PERIOD = Period(at("2025-01-01T00:00:00Z"), at("2025-02-01T00:00:00Z"))
HOURS = (PERIOD.end - PERIOD.start) // HOUR
ROWS_PER_FILE = 1_000_000
FEE_ROWS = PLANS * HOURS
ACCOUNTS = 300
SCALE = 10**10  # dollars are whole multiples of 1e-10: sums of integers do not depend on their order

Array = Any  # numpy arrays; the element types are clear from the names

PRODUCT_COLUMNS = (
    "product_name", "capacitystatus", "clock_speed", "current_generation", "enhanced_networking_supported", "instance_family", "instance_type", "instance_type_family",
    "license_model", "location", "location_type", "marketoption", "memory", "network_performance", "normalization_size_factor", "operating_system", "operation",
    "physical_processor", "pre_installed_sw", "processor_architecture", "product_family", "region", "region_code", "servicecode", "servicename", "sku", "storage",
    "tenancy", "usagetype", "vcpu",
)
# Attributes of services that few rows have: a wide report is mostly such columns.
SPARSE_PRODUCT_COLUMNS = """alarm_type attachment_type availability backupservice bundle cache_engine category ci_type classicnetworkingsupport component
compute_family compute_type content_type counts_against_quota cputype data database_edition database_engine datatransferout dedicated_ebs_throughput
deployment_model deployment_option description directory_size durability ecu edition endpoint_type engine_code entity_type event_type feature
file_system_type finding_group finding_source from_location from_location_type gets gpu gpu_memory group group_description intel_avx_available
logs_destination max_throughputvolume maximum_storage_volume memorytype message_delivery_order min_volume_size operation_type origin parameter_type
platform provisioned queue_type request_type resource_type routing_type storage_class storage_media to_location transfer_type version volume_api_name""".split()
CUR2_PRODUCT_COLUMNS = ("instance_family", "instance_type", "location", "location_type", "operation", "product_family", "region_code", "servicecode", "sku", "usagetype")

# Tag, number of values, share of resources that carry it.
TAGS: tuple[tuple[str, int, float], ...] = (
    ("aws_autoscaling_group_name", 800, 0.12), ("aws_cloudformation_stack_name", 1200, 0.2), ("aws_created_by", 400, 0.5), ("user_app", 500, 0.35),
    ("user_business_unit", 8, 0.3), ("user_cost_center", 80, 0.5), ("user_data_class", 4, 0.1), ("user_env", 5, 0.6), ("user_name", 20_000, 0.45),
    ("user_owner", 200, 0.3), ("user_project", 150, 0.25), ("user_repo", 600, 0.1), ("user_role", 20, 0.1), ("user_service", 700, 0.3), ("user_stage", 4, 0.2),
    ("user_team", 60, 0.55), ("user_tier", 4, 0.05), ("user_zone_group", 12, 0.05),
)
CLUSTER_TAG, NODEPOOL_TAG, CLUSTERS, NODEPOOLS, IN_CLUSTER = "aws_eks_cluster_name", "user_karpenter_sh_nodepool", 12, 6, 0.3


@dataclass(frozen=True)
class Job:
    """The arguments that the rows depend on."""

    rows: int
    files: int
    style: str
    out: str
    make: str = "arrow"

    def size(self, file: int) -> int:
        """Rows of one file."""
        return self.rows // self.files + (file < self.rows % self.files)

    @property
    def resources(self) -> int:
        """Resources of each form: an instance has some hundreds of rows a month."""
        return max(2_000, self.rows // 400)


class World:
    """All that does not depend on the file: templates as arrays, resources, tags."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.templates = templates()
        t = self.templates
        share = np.array([x.share for x in t])
        self.cumulated = np.cumsum(share / share.sum())
        self.sampled = int(np.count_nonzero(share))
        self.rate = np.array([x.rate for x in t])
        self.list_rate = np.array([x.list_rate for x in t])
        self.first_plan, self.second_plan = (np.array([x.plans[k] for x in t], np.int32) for k in (0, 1))
        self.kinds = sorted({x.kind for x in t})
        self.kind = np.array([self.kinds.index(x.kind) for x in t], np.int32)
        self.region = np.array([x.region for x in t], np.int32)
        self.instance = np.array([x.is_instance for x in t])
        self.spot = np.array(["SpotUsage" in x.usage_type for x in t])
        self.month = np.array([x.whole_month for x in t])
        self.hourly = np.array([x.unit in ("Hrs", "hours") for x in t])
        self.requests = np.array([x.unit == "Requests" for x in t])
        self.size = np.array([float(x.product.get("normalization_size_factor") or 0) for x in t])
        forms = list(RESOURCE_FORMS)
        self.form = np.array([forms.index(x.resource) if x.resource else -1 for x in t], np.int32)
        self.discount = np.array([0.5 + 0.22 * unit("discount", p) for p in range(PLANS)])

        busy = np.array([1 + 0.25 * np.sin((hour_of_day(h) - 9) / 24 * 2 * np.pi) - (0.15 if is_weekend(h) else 0.0) for h in range(PERIOD.start, PERIOD.end, HOUR)])
        self.hours = np.cumsum(busy / busy.sum())

        random = np.random.default_rng([SEED, 0])
        n = job.resources
        self.account = np.minimum((ACCOUNTS * random.random(n) ** 2.2).astype(np.int32), ACCOUNTS - 1)
        marks = random.integers(0, 2**48, (len(forms), n))
        self.resource_ids = pa.array([RESOURCE_FORMS[f].format(int(v) * 65_521) for f, row in zip(forms, marks) for v in row] + [""], pa.string())
        self.tags: dict[str, tuple[Array, list[str]]] = {}
        for name, count, filled in TAGS:
            value = np.minimum((count * random.random(n) ** 1.8).astype(np.int32), count - 1)
            self.tags[name] = np.where(random.random(n) < filled, value, -1).astype(np.int32), [f"{name[5:12]}-{i:05d}" for i in range(count)]
        cluster = np.where(random.random(n) < IN_CLUSTER, self.account % CLUSTERS, -1).astype(np.int32)
        self.tags[CLUSTER_TAG] = cluster, [f"cluster-{i:02d}" for i in range(CLUSTERS)]
        self.tags[NODEPOOL_TAG] = np.where(cluster >= 0, random.integers(0, NODEPOOLS, n), -1).astype(np.int32), [f"pool-{i}" for i in range(NODEPOOLS)]

    def is_kind(self, *kinds: str) -> Array:
        """Which templates are of these line types."""
        return np.isin(self.kind, [self.kinds.index(k) for k in kinds])

    @property
    def tag_map(self) -> pa.Array:
        """Each resource's tags as a map; the last one belongs to rows without a resource."""
        if not hasattr(self, "_tag_map"):
            columns = [(name, codes.tolist(), values) for name, (codes, values) in sorted(self.tags.items())]
            maps = [[(name, values[codes[i]]) for name, codes, values in columns if codes[i] >= 0] for i in range(self.job.resources)]
            self._tag_map = pa.array([*maps, []], pa.map_(pa.string(), pa.string()))
        return self._tag_map


@lru_cache(maxsize=1)
def world(job: Job) -> World:
    """Built once in each process."""
    return World(job)


@dataclass
class Rows:
    """The numbers of one file's rows."""

    template: Array
    hour: Array
    resource: Array
    plan: Array
    amount: Array
    rate: Array
    cost: Array
    list_cost: Array
    plan_rate: Array
    plan_units: Array
    """Effective cost of covered rows, in 1e-10 dollars."""
    random: np.random.Generator


def rows_of(w: World, file: int) -> Rows:
    """The same file has the same rows, whoever asks."""
    n, random = w.job.size(file), np.random.default_rng([SEED, 1, file])
    template = np.minimum(np.searchsorted(w.cumulated, random.random(n)), w.sampled - 1).astype(np.int32)
    hour = np.minimum(np.searchsorted(w.hours, random.random(n)), HOURS - 1).astype(np.int32)
    fees = np.arange(file, FEE_ROWS, w.job.files)
    place = random.choice(n, len(fees) + 1, replace=False)
    template[place[:-1]], hour[place[:-1]] = w.sampled + fees % PLANS, fees // PLANS
    if file == 0:
        template[place[-1]] = w.sampled + PLANS
    hour[w.month[template]] = 0
    resource = random.integers(0, w.job.resources, n).astype(np.int32)
    plan = np.where(random.random(n) < 0.85, w.first_plan[template], w.second_plan[template])
    share, spread = random.random(n), np.exp(random.standard_normal(n) * 2 - 1)
    part_hour = np.ceil(share * 3600 * 8.3 % 3600) / 3600  # one instance-hour in eight is not whole
    amount = np.where(w.instance[template], np.where(share < 0.88, 1.0, part_hour), np.where(w.hourly[template], 1.0, spread))
    amount = np.round(np.where(w.requests[template], np.ceil(spread * 50), amount), 10)
    amount[w.is_kind(FEE)[template]] = 1.0
    rate = np.where(w.spot[template], np.round(w.rate[template] * (0.8 + 0.4 * ((hour // 6 * 7 + template * 13) % 97) / 97), 6), w.rate[template])
    covered = w.is_kind(COVERED)[template]
    plan_rate = np.where(covered, np.round(w.list_rate[template] * w.discount[np.maximum(plan, 0)], 12), 0.0)
    plan_units = np.rint(amount * plan_rate * SCALE).astype(np.int64)
    return Rows(template, hour, resource, plan, amount, rate, np.round(amount * rate, 10), np.round(amount * w.list_rate[template], 10), plan_rate, plan_units, random)


def covered_units(job: Job, file: int) -> Array:
    """What the file's covered rows take from each plan in each hour, in 1e-10 dollars."""
    r = rows_of(world(job), file)
    sums = np.zeros(PLANS * HOURS, np.int64)
    some = r.plan_units > 0
    np.add.at(sums, r.plan[some] * HOURS + r.hour[some], r.plan_units[some])
    return sums.reshape(PLANS, HOURS)


class Columns:
    """Columns of one file, in either form."""

    def __init__(self, style: str, length: int) -> None:
        self.legacy, self.length = style == "legacy", length
        self.fields: list[pa.Field] = []
        self.arrays: list[pa.Array] = []
        # Legacy times are UTC milliseconds; CUR 2.0's unit is not documented.
        self.time = pa.timestamp("ms", "UTC") if self.legacy else pa.timestamp("ms")

    def add(self, name: str, array: pa.Array) -> None:
        """A finished column; legacy reports declare every column required."""
        self.fields.append(pa.field(name, array.type, nullable=not self.legacy))
        self.arrays.append(array)

    def text(self, name: str, codes: Array, values: list[str]) -> None:
        """Text by code; a negative code, or an empty value, is blank."""
        distinct = sorted({*values, ""})  # the writer's bytes vary when a dictionary holds a value twice
        index = {v: i for i, v in enumerate(distinct)}
        codes = np.array([index[v] for v in [*values, ""]], np.int32)[np.asarray(codes, np.int32)]
        blank = None if self.legacy else codes == index[""]
        self.add(name, pa.DictionaryArray.from_arrays(pa.array(codes, mask=blank), pa.array(distinct, pa.string())))

    def constant(self, name: str, value: str) -> None:
        """One text for all rows."""
        self.text(name, np.zeros(self.length), [value])

    def number(self, name: str, values: Array, where: Array | None = None) -> None:
        """A double; outside `where` it is blank (0 in legacy)."""
        if where is None:
            self.add(name, pa.array(np.asarray(values, float)))
        elif self.legacy:
            self.add(name, pa.array(np.where(where, values, 0.0)))
        else:
            self.add(name, pa.array(np.asarray(values, float), mask=~where))

    def moment(self, name: str, seconds: Array) -> None:
        """A time."""
        self.add(name, pa.array(np.asarray(seconds, np.int64) * 1_000).cast(self.time))

    def table(self) -> pa.Table:
        """All columns; CUR 2.0 lists them by name."""
        pairs = list(zip(self.fields, self.arrays))
        if not self.legacy:
            pairs.sort(key=lambda p: p[0].name)
        return pa.Table.from_arrays([a for _, a in pairs], schema=pa.schema([f for f, _ in pairs]))


def random_ids(random: np.random.Generator, count: int) -> pa.Array:
    """52 base-32 characters a row, hardly any twice."""
    letters = np.frombuffer(b"abcdefghijklmnopqrstuvwxyz234567", np.uint8)
    text = letters[np.frombuffer(random.bytes(count * 52), np.uint8) & 31]
    return pa.StringArray.from_buffers(count, pa.py_buffer(np.arange(0, (count + 1) * 52, 52, dtype=np.int32)), pa.py_buffer(text))


def sparse(column: str, number: int, t: Template) -> str:
    """Values of rare attributes: a service has few of them."""
    mark = digest(t.code, column) % 37
    return f"{column}-{digest(t.code, column, t.operation) % 4}" if mark == number % 37 else ""


def build(w: World, file: int, used_units: Array, commitment: Array) -> pa.Table:
    """One file's table."""
    r = rows_of(w, file)
    n, c = w.job.size(file), Columns(w.job.style, w.job.size(file))
    is_kind = {k: w.is_kind(k)[r.template] for k in (COVERED, NEGATION, FEE, UPFRONT, DISCOUNTED)}
    covered, negation, fee, discounted = (is_kind[k] for k in (COVERED, NEGATION, FEE, DISCOUNTED))
    month, plan = w.month[r.template], np.maximum(r.plan, 0)
    with_plan = covered | negation | fee | is_kind[UPFRONT]
    form = w.form[r.template]
    used = used_units[plan, r.hour] / SCALE
    total = commitment[plan]
    start = PERIOD.start + r.hour.astype(np.int64) * HOUR
    sign = np.where(negation, -1.0, 1.0)
    cost = np.where(fee, total, np.where(discounted, 0.0, r.cost * sign))

    def by_template(name: str, get: Callable[[Template], str]) -> None:
        values = [get(t) for t in w.templates]
        distinct = sorted(set(values))
        index = {v: i for i, v in enumerate(distinct)}
        c.text(name, np.array([index[v] for v in values], np.int32)[r.template], distinct)

    c.add("identity_line_item_id", random_ids(r.random, n))
    times = [iso(PERIOD.start + h * HOUR) for h in range(HOURS + 1)]
    c.text("identity_time_interval", np.where(month, HOURS, r.hour), [f"{a}/{b}" for a, b in zip(times, times[1:])] + [f"{times[0]}/{times[-1]}"])
    for name, value in (("invoice_id", ""), ("invoicing_entity", "Amazon Web Services, Inc."), ("billing_entity", "AWS"), ("bill_type", "Anniversary"), ("payer_account_id", str(PAYER))):
        c.constant("bill_" + name, value)
    c.moment("bill_billing_period_start_date", np.full(n, PERIOD.start))
    c.moment("bill_billing_period_end_date", np.full(n, PERIOD.end))
    accounts = [str(PAYER + i) for i in range(ACCOUNTS)]
    account = np.where(fee | is_kind[UPFRONT], plan % 3, w.account[r.resource])
    c.text("line_item_usage_account_id", account, accounts)
    c.text("line_item_line_item_type", w.kind[r.template], w.kinds)
    c.moment("line_item_usage_start_date", start)
    c.moment("line_item_usage_end_date", np.where(month, PERIOD.end, start + HOUR))
    by_template("line_item_product_code", lambda t: t.code)
    by_template("line_item_usage_type", lambda t: t.usage_type)
    by_template("line_item_operation", lambda t: t.operation)
    zones = [region[0] + letter for region in REGIONS for letter in "abc"]
    c.text("line_item_availability_zone", np.where(w.instance[r.template], w.region[r.template] * 3 + r.resource % 3, -1), zones)
    resource = np.where(form < 0, len(RESOURCE_FORMS) * w.job.resources, form * w.job.resources + r.resource)
    ids = w.resource_ids.take(pa.array(resource, mask=None if c.legacy else form < 0))
    c.add("line_item_resource_id", ids)
    c.number("line_item_usage_amount", r.amount * sign)
    c.number("line_item_normalization_factor", w.size[r.template], discounted)
    c.number("line_item_normalized_usage_amount", w.size[r.template] * r.amount, discounted)
    c.constant("line_item_currency_code", "USD")
    by_template("line_item_unblended_rate", lambda t: f"{t.rate:.10g}")
    c.number("line_item_unblended_cost", cost)
    by_template("line_item_blended_rate", lambda t: f"{t.rate * 0.97:.10g}")
    c.number("line_item_blended_cost", np.round(cost * 0.97, 10))
    by_template("line_item_line_item_description", lambda t: f"${t.rate:.10g} per {t.unit} of {t.usage_type}")
    c.text("line_item_tax_type", np.where(w.is_kind("Tax")[r.template], 0, -1), ["USSalesTax"])
    c.constant("line_item_legal_entity", "Amazon Web Services, Inc.")
    c.number("line_item_net_unblended_cost", np.round(cost * 0.94, 10))
    if c.legacy:
        for name in PRODUCT_COLUMNS:
            by_template("product_" + name, lambda t: t.product.get(name, ""))
        for number, name in enumerate(SPARSE_PRODUCT_COLUMNS):
            by_template("product_" + name, lambda t: sparse(name, number, t))
    else:
        for name in CUR2_PRODUCT_COLUMNS:
            by_template("product_" + name, lambda t: t.product.get(name, ""))
        rest = [k for k in PRODUCT_COLUMNS if k not in CUR2_PRODUCT_COLUMNS]
        maps = pa.array([[(k, t.product[k]) for k in rest if t.product.get(k)] for t in w.templates], pa.map_(pa.string(), pa.string()))
        c.add("product", maps.take(pa.array(r.template)))
    by_template("pricing_rate_code", lambda t: t.product.get("sku", sku_code(t.usage_type)) + ".JRTCKXETXF.6YS6EN2CT7")
    by_template("pricing_rate_id", lambda t: str(digest(t.usage_type, t.operation) % 10**10))
    c.constant("pricing_currency", "USD")
    c.number("pricing_public_on_demand_cost", np.where(negation, 0.0, r.list_cost))
    by_template("pricing_public_on_demand_rate", lambda t: f"{t.list_rate:.10g}")
    c.text("pricing_term", np.where(w.spot[r.template], 2, np.where(discounted, 1, np.where(fee | month, -1, 0))), ["OnDemand", "Reserved", "Spot"])
    by_template("pricing_unit", lambda t: t.unit)

    reserved = np.round(r.list_cost * 0.62, 10)
    c.number("reservation_amortized_upfront_cost_for_usage", reserved * 0.4, discounted)
    c.number("reservation_amortized_upfront_fee_for_billing_period", np.zeros(n), w.is_kind("RIFee")[r.template])
    c.number("reservation_effective_cost", reserved, discounted)
    c.number("reservation_recurring_fee_for_usage", reserved * 0.6, discounted)
    for name, count, form_text in (
        ("reservation_a_r_n", 200, "arn:aws:ec2:us-east-1:200000000001:reserved-instances/{:08d}"), ("start_time", 28, "2024-06-{:02d}T00:00:00.000Z"),
        ("end_time", 28, "2025-06-{:02d}T00:00:00.000Z"), ("modification_status", 1, "Original"), ("number_of_reservations", 9, "{}"), ("subscription_id", 200, "9{:09d}"),
        ("normalized_units_per_reservation", 7, "{}"), ("total_reserved_normalized_units", 50, "{}.0"), ("total_reserved_units", 50, "{}.0"), ("units_per_reservation", 1, "744.0"),
    ):
        c.text("reservation_" + name, np.where(discounted, r.resource % count, -1), [form_text.format(i + 1) for i in range(count)])
    for name in ("unused_amortized_upfront_fee_for_billing_period", "unused_normalized_unit_quantity", "unused_quantity", "unused_recurring_fee"):
        c.number("reservation_" + name, np.zeros(n), w.is_kind("RIFee")[r.template])
    c.number("reservation_upfront_value", np.zeros(n), discounted)

    arns = [plan_arn(p) for p in range(PLANS)]
    upfront = total * (plan == 2)  # plan 2 is All Upfront
    c.number("savings_plan_total_commitment_to_date", total, fee)
    c.text("savings_plan_savings_plan_a_r_n", np.where(with_plan, plan, -1), arns)
    c.number("savings_plan_savings_plan_rate", r.plan_rate, covered)
    c.number("savings_plan_used_commitment", used, fee)
    c.number("savings_plan_savings_plan_effective_cost", r.plan_units / SCALE, covered)
    c.number("savings_plan_amortized_upfront_commitment_for_billing_period", upfront, fee)
    c.number("savings_plan_recurring_commitment_for_billing_period", total - upfront, fee)
    for name, get in (
        ("start_time", lambda p: f"2024-{p % 6 + 1:02d}-11T17:{p:02d}:00.000Z"), ("end_time", lambda p: f"2025-{p % 6 + 1:02d}-11T16:{p:02d}:59.000Z"),
        ("offering_type", lambda p: "EC2InstanceSavingsPlans" if p >= COMPUTE_PLANS else "ComputeSavingsPlans"),
        ("payment_option", lambda p: "All Upfront" if p == 2 else "No Upfront"), ("purchase_term", lambda p: "1yr" if p % 2 else "3yr"),
        ("region", lambda p: plan_region(p)[2] if p >= COMPUTE_PLANS else "Any"), ("instance_type_family", plan_family),
    ):
        rows = covered if name == "instance_type_family" else with_plan
        c.text("savings_plan_" + name, np.where(rows, plan, -1), [get(p) for p in range(PLANS)])

    split = np.array([t.operation == "EKSPod-EC2" for t in w.templates])[r.template]
    instances = list(RESOURCE_FORMS).index("instance") * w.job.resources
    parent = np.where(split, instances + r.resource, len(RESOURCE_FORMS) * w.job.resources)
    c.add("split_line_item_parent_resource_id", w.resource_ids.take(pa.array(parent, mask=None if c.legacy else ~split)))
    c.number("split_line_item_split_cost", np.full(n, 0.01), split)
    bare = form < 0
    if c.legacy:
        for name, (codes, values) in sorted(w.tags.items()):
            c.text("resource_tags_" + name, np.where(bare, -1, codes[r.resource]), values)
        for name, count in (("environment", 5), ("team", 9)):
            c.text("cost_category_" + name, account % count, [f"{name}-{i}" for i in range(count)])
    else:
        c.constant("bill_payer_account_name", "organisation")
        c.text("line_item_usage_account_name", account, [f"account-{i:03d}" for i in range(ACCOUNTS)])
        c.add("resource_tags", w.tag_map.take(pa.array(np.where(bare, w.job.resources, r.resource))))
    return c.table()


def target(job: Job) -> LegacyReport | DataExport:
    """Where the report lies."""
    root = Path(job.out)
    if job.style == "legacy":
        return LegacyReport(root, "bulk-bucket", "billing", "bulk-hourly", str(PAYER), PERIOD)
    return DataExport(root, "bulk-bucket", "exports", "bulk-cur2", str(PAYER), PERIOD, PERIOD.end + 5 * 24 * HOUR)


def clustered(table: pa.Table) -> pa.Table:
    """The rows by account and day."""
    account = table["line_item_usage_account_id"].combine_chunks().indices.to_numpy()
    day = table["line_item_usage_start_date"].cast(pa.int64()).to_numpy() // (24 * HOUR * 1_000)
    return table.take(pa.array(np.lexsort((day, account))))


def write_file(job: Job, file: int, used_units: Array, commitment: Array) -> tuple[int, pa.Schema]:
    """Writes one data file; returns its size and schema."""
    pa.set_cpu_count(1)
    path = Path(job.out) / target(job).key(file + 1)
    table = build(world(job), file, used_units, commitment)
    is_mr = job.make == "parquet-mr"
    if is_mr:
        table = clustered(table)
    delta_strings = ["identity_line_item_id"] if job.style == "legacy" and not is_mr else ()
    write_parquet(path, table, row_group_rows=1_000_000 if is_mr else 700_000, delta_strings=delta_strings, int96=is_mr)
    return path.stat().st_size, table.schema


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rows", type=int, required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--style", choices=("legacy", "cur2"), default="legacy")
    parser.add_argument("--make", choices=("arrow", "parquet-mr"), default="arrow")
    parser.add_argument("--files", type=int, help="default: one for each million rows")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    args = parser.parse_args()
    files = args.files or max(1, args.rows // ROWS_PER_FILE)
    if args.rows < FEE_ROWS + files:
        parser.error(f"at least {FEE_ROWS + files} rows: every plan has a row for every hour")
    job, began = Job(args.rows, files, args.style, args.out, args.make), time.time()
    with multiprocessing.get_context("spawn").Pool(min(args.jobs, files)) as pool:
        used_units = sum(pool.starmap(covered_units, [(job, f) for f in range(files)], chunksize=1))
        # A plan's commitment is its busiest hour: never over-used, mostly not full.
        commitment = np.ceil(used_units.max(axis=1) / SCALE * 1e4) / 1e4
        written = pool.starmap(write_file, [(job, f, used_units, commitment) for f in range(files)], chunksize=1)
    schema = written[0][1]
    report = target(job)
    if isinstance(report, LegacyReport):
        report.write_manifest(schema, range(1, files + 1))
        report.write_table_definition(schema)
    else:
        report.write_manifest(schema, range(1, files + 1), latest=True)
    print(json.dumps({"rows": job.rows, "files": files, "columns": len(schema), "bytes": sum(size for size, _ in written), "seconds": round(time.time() - began, 1)}))


if __name__ == "__main__":
    main()
