"""What the bulk report consists of: row templates (one per SKU and line type) and their shares.

A real report's rows are mostly storage, transfer and requests; about one row in
six is an instance, a covered row or a Savings Plan fee. The shares below keep that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from curgen.keyed import digest, sku_code, unit, uuid

PLANS, COMPUTE_PLANS = 20, 14  # the last six are EC2 Instance plans
PAYER = 200000000001
REGIONS: tuple[tuple[str, str, str, float], ...] = (
    ("us-east-1", "", "US East (N. Virginia)", 0.34), ("us-west-2", "USW2-", "US West (Oregon)", 0.19), ("eu-west-1", "EU-", "EU (Ireland)", 0.15),
    ("eu-central-1", "EUC1-", "EU (Frankfurt)", 0.09), ("us-east-2", "USE2-", "US East (Ohio)", 0.08), ("ap-southeast-2", "APS2-", "Asia Pacific (Sydney)", 0.04),
    ("ap-northeast-1", "APN1-", "Asia Pacific (Tokyo)", 0.04), ("ap-south-1", "APS3-", "Asia Pacific (Mumbai)", 0.03), ("ca-central-1", "CAN1-", "Canada (Central)", 0.02),
    ("eu-west-2", "EUW2-", "EU (London)", 0.02),
)
FAMILIES = "m5 m6i m7i m6a m6g m7g c5 c6i c7i c6g c7g r5 r6i r7i r6g r7g t3 t4g i4i g5 x2idn".split()
SIZES = {"large": (2, 1.0), "xlarge": (4, 1.0), "2xlarge": (8, 0.8), "4xlarge": (16, 0.5), "8xlarge": (32, 0.2), "12xlarge": (48, 0.1), "24xlarge": (96, 0.05)}
PRICE_PER_VCPU = {"m": 0.048, "c": 0.0425, "r": 0.063, "t": 0.0208, "i": 0.078, "g": 0.25, "x": 0.083}
INSTANCE_SKUS = 320

USAGE, COVERED, NEGATION, FEE, UPFRONT = "Usage", "SavingsPlanCoveredUsage", "SavingsPlanNegation", "SavingsPlanRecurringFee", "SavingsPlanUpfrontFee"
DISCOUNTED = "DiscountedUsage"
RESOURCE_FORMS = {
    "instance": "i-0{:016x}", "volume": "vol-0{:016x}", "snapshot": "arn:aws:ec2:us-east-1:200000000001:snapshot/snap-0{:016x}",
    "gateway": "arn:aws:ec2:us-east-1:200000000001:natgateway/nat-0{:016x}", "bucket": "data-{:012x}", "function": "arn:aws:lambda:us-east-1:200000000001:function:job-{:012x}",
    "task": "arn:aws:ecs:us-east-1:200000000001:task/main/{:032x}", "database": "arn:aws:rds:us-east-1:200000000001:db:db-{:012x}", "other": "arn:aws:other:us-east-1:200000000001:item/{:016x}",
}


@dataclass(frozen=True)
class Template:
    """Rows of one SKU and line type."""

    kind: str
    code: str
    usage_type: str
    operation: str
    region: int
    rate: float
    unit: str
    share: float
    resource: str = "other"
    """A form of RESOURCE_FORMS, or nothing."""
    plans: tuple[int, int] = (-1, -1)
    list_rate: float = 0.0
    whole_month: bool = False
    product: dict[str, str] = field(default_factory=dict)

    @property
    def is_instance(self) -> bool:
        """On-demand or Spot instance hours, whoever pays."""
        return "BoxUsage:" in self.usage_type or "SpotUsage:" in self.usage_type


def plan_arn(plan: int) -> str:
    """Owned by one of three accounts."""
    return f"arn:aws:savingsplans::{PAYER + plan % 3}:savingsplan/{uuid('bulk-plan', plan)}"


def plan_family(plan: int) -> str:
    """Family of an EC2 Instance plan."""
    return FAMILIES[plan - COMPUTE_PLANS] if plan >= COMPUTE_PLANS else ""


def plan_region(plan: int) -> tuple[str, str, str, float]:
    """Region of an EC2 Instance plan: the first ones, which have most of the usage."""
    return REGIONS[plan % 3]


def plan_usage_type(plan: int) -> str:
    """`ComputeSP:1yrNoUpfront` or `USE2-EC2SP:m5.1yrNoUpfront`."""
    option = ("1yr" if plan % 2 else "3yr") + ("AllUpfront" if plan == 2 else "NoUpfront")
    return f"{plan_region(plan)[1]}EC2SP:{plan_family(plan)}.{option}" if plan >= COMPUTE_PLANS else "ComputeSP:" + option


def _product(code: str, usage_type: str, operation: str, region: int, family: str, **more: str) -> dict[str, str]:
    name, _, place, _ = REGIONS[region]
    base = {"product_name": code, "servicecode": code, "servicename": code, "product_family": family, "region": name, "region_code": name, "location": place,
            "location_type": "AWS Region", "usagetype": usage_type, "operation": operation, "sku": sku_code(code, usage_type, operation)}
    return base | more


def _instances() -> list[Template]:
    choice = [(f, s, r) for f in FAMILIES for s in SIZES for r in range(len(REGIONS))]
    # Weighted sample without replacement: the largest u^(1/w) win.
    choice.sort(key=lambda c: -unit("sku", *c) ** (1 / (SIZES[c[1]][1] * REGIONS[c[2]][3])))
    picked = choice[:INSTANCE_SKUS]
    falling = [(i + 3) ** -1.25 for i in range(INSTANCE_SKUS)]
    scale = 1 / sum(falling)
    found: list[Template] = []
    for i, (family, size, region) in enumerate(picked):
        vcpu, weight = SIZES[size][0], falling[i] * scale
        prefix, kind = REGIONS[region][1], f"{family}.{size}"
        windows = i % 11 == 7
        price = round(vcpu * (PRICE_PER_VCPU[family[0]] + (0.046 if windows else 0.0)), 6)
        operation = "RunInstances:0002" if windows else "RunInstances"
        product = _product(
            "AmazonEC2", f"{prefix}BoxUsage:{kind}", operation, region, "Compute Instance", instance_type=kind, instance_type_family=family,
            instance_family="General purpose", vcpu=str(vcpu), memory=f"{vcpu * 4} GiB", operating_system="Windows" if windows else "Linux", tenancy="Shared",
            physical_processor="AWS Graviton" if family.endswith("g") and family != "g5" else "Intel Xeon", current_generation="Yes", license_model="No License required",
            marketoption="OnDemand", network_performance="Up to 12500 Megabit", normalization_size_factor=str(vcpu * 2), pre_installed_sw="NA",
            processor_architecture="64-bit", storage="EBS only", capacitystatus="Used", clock_speed="3.1 GHz", enhanced_networking_supported="Yes")
        compute = digest("plan", i) % COMPUTE_PLANS
        own = next((p for p in range(COMPUTE_PLANS, PLANS) if plan_family(p) == family and plan_region(p)[0] == REGIONS[region][0]), None)
        plans = (compute, (compute + 5) % COMPUTE_PLANS) if own is None else (own, compute)
        spot = product | {k: "" for k in ("instance_type", "instance_type_family", "instance_family", "vcpu", "memory", "operating_system", "tenancy")}
        spot_type = f"{prefix}SpotUsage:{kind}"

        def rows(line: str, share: float, **more: object) -> Template:
            fields: dict[str, object] = {
                "kind": line, "code": "AmazonEC2", "usage_type": f"{prefix}BoxUsage:{kind}", "operation": operation, "region": region, "rate": price, "unit": "Hrs",
                "share": share * weight, "resource": "instance", "list_rate": price, "product": product}
            return Template(**(fields | more))  # type: ignore[arg-type]

        found += [rows(USAGE, 0.05), rows(COVERED, 0.062, plans=plans), rows(NEGATION, 0.058, plans=plans, resource="")]
        found.append(rows(USAGE, 0.06, usage_type=spot_type, operation=f"RunInstances:SV{i % 7:03d}", rate=round(price * 0.35, 6),
                          product=spot | {"usagetype": spot_type, "marketoption": "Spot"}))
        if i % 4 == 1:
            found.append(rows(DISCOUNTED, 0.09))
    return found


# product code, usage, operation, rate, unit, share, resource form, product family
_SERVICES: tuple[tuple[str, str, str, float, str, float, str, str], ...] = (
    ("AmazonEC2", "EBS:VolumeUsage.gp3", "CreateVolume-Gp3", 0.08, "GB-Mo", 0.085, "volume", "Storage"),
    ("AmazonEC2", "EBS:VolumeUsage.gp2", "CreateVolume-Gp2", 0.1, "GB-Mo", 0.022, "volume", "Storage"),
    ("AmazonEC2", "EBS:VolumeP-IOPS.gp3", "CreateVolume-Gp3", 0.005, "IOPS-Mo", 0.012, "volume", "System Operation"),
    ("AmazonEC2", "EBS:SnapshotUsage", "CreateSnapshot", 0.05, "GB-Mo", 0.034, "snapshot", "Storage Snapshot"),
    ("AmazonEC2", "NatGateway-Hours", "NatGateway", 0.045, "Hrs", 0.008, "gateway", "NAT Gateway"),
    ("AmazonEC2", "NatGateway-Bytes", "NatGateway", 0.045, "GB", 0.008, "gateway", "NAT Gateway"),
    ("AmazonEC2", "CPUCredits:t3", "T3CPUCredits", 0.05, "vCPU-Hours", 0.003, "instance", "CPU Credits"),
    ("AmazonEC2", "DataTransfer-Regional-Bytes", "InterZone-In", 0.01, "GB", 0.03, "instance", "Data Transfer"),
    ("AmazonEC2", "DataTransfer-Regional-Bytes", "InterZone-Out", 0.01, "GB", 0.03, "instance", "Data Transfer"),
    ("AmazonEC2", "DataTransfer-Out-Bytes", "RunInstances", 0.09, "GB", 0.03, "instance", "Data Transfer"),
    ("AmazonS3", "Requests-Tier1", "PutObject", 0.000005, "Requests", 0.05, "bucket", "API Request"),
    ("AmazonS3", "Requests-Tier2", "GetObject", 0.0000004, "Requests", 0.06, "bucket", "API Request"),
    ("AmazonS3", "TimedStorage-ByteHrs", "StandardStorage", 0.023, "GB-Mo", 0.03, "bucket", "Storage"),
    ("AmazonS3", "DataTransfer-Out-Bytes", "GetObject", 0.09, "GB", 0.012, "bucket", "Data Transfer"),
    ("AWSLambda", "Lambda-GB-Second", "Invoke", 0.0000166667, "Lambda-GB-Second", 0.03, "function", "Serverless"),
    ("AWSLambda", "Lambda-GB-Second-ARM", "Invoke", 0.0000133334, "Lambda-GB-Second", 0.015, "function", "Serverless"),
    ("AWSLambda", "Request", "Invoke", 0.0000002, "Requests", 0.03, "function", "Serverless"),
    ("AmazonECS", "Fargate-vCPU-Hours:perCPU", "FargateTask", 0.04048, "hours", 0.012, "task", "Compute"),
    ("AmazonECS", "Fargate-GB-Hours", "FargateTask", 0.004445, "hours", 0.012, "task", "Compute"),
    ("AmazonRDS", "InstanceUsage:db.r6g.xlarge", "CreateDBInstance:0014", 0.45, "Hrs", 0.02, "database", "Database Instance"),
    ("AmazonRDS", "RDS:GP3-Storage", "CreateDBInstance:0014", 0.115, "GB-Mo", 0.012, "database", "Database Storage"),
    ("AmazonCloudWatch", "CW:MetricMonitorUsage", "MetricStorage", 0.3, "Metrics", 0.04, "other", "Metric"),
    ("AmazonCloudWatch", "DataProcessing-Bytes", "PutLogEvents", 0.5, "GB", 0.03, "other", "Data Payload"),
    ("awskms", "KMS-Requests", "Decrypt", 0.000003, "Requests", 0.03, "other", "API Request"),
    ("AWSQueueService", "Requests-RBP", "Receive", 0.0000004, "Requests", 0.03, "other", "API Request"),
    ("AmazonDynamoDB", "ReadRequestUnits", "PayPerRequestThroughput", 0.00000025, "ReadRequestUnits", 0.03, "other", "PayPerRequest"),
    ("AmazonECR", "TimedStorage-ByteHrs", "EcrStorage", 0.1, "GB-Mo", 0.012, "other", "Storage"),
    ("AWSELB", "LCUUsage", "LoadBalancing:Application", 0.008, "LCU-Hrs", 0.02, "other", "Load Balancer"),
    ("AWSELB", "LoadBalancerUsage", "LoadBalancing:Application", 0.0225, "Hrs", 0.02, "other", "Load Balancer"),
    ("AmazonVPC", "PublicIPv4:InUseAddress", "DescribeNetworkInterfaces", 0.005, "Hrs", 0.03, "other", "VPC Public IPv4 Address"),
    ("AWSSecretsManager", "AWSSecretsManager-Secrets", "RegionSecret", 0.4, "Secrets", 0.012, "other", "Secret"),
)


def _services() -> list[Template]:
    found: list[Template] = []
    for region, (_, prefix, _, weight) in enumerate(REGIONS):
        for code, usage, operation, rate, unit_name, share, resource, family in _SERVICES:
            usage_type = prefix + usage
            product = _product(code, usage_type, operation, region, family)
            base = Template(USAGE, code, usage_type, operation, region, rate, unit_name, share * weight, resource, list_rate=rate, product=product)
            found.append(base)
            if code in ("AmazonECS", "AWSLambda") and unit_name != "Requests":
                plans = (digest(usage_type) % COMPUTE_PLANS, digest(usage_type, 2) % COMPUTE_PLANS)
                for kind, part, form in ((COVERED, 0.3, resource), (NEGATION, 0.28, "")):
                    found.append(Template(kind, code, usage_type, operation, region, rate, unit_name, share * weight * part, form, plans, rate, product=product))
        for kind, part in (("EdpDiscount", 0.02), ("BundledDiscount", 0.008), ("Credit", 0.004)):
            found.append(Template(kind, "AmazonEC2", prefix + "DataTransfer-Out-Bytes", "RunInstances", region, -0.01, "GB", part * weight, "instance"))
        for what, price in (("EKS-EC2-vCPU-Hours", 0.0), ("EKS-EC2-GB-Hours", 0.0)):
            found.append(Template(USAGE, "AmazonEKS", prefix + what, "EKSPod-EC2", region, price, "Hours", 0.02 * weight, "task", product=_product("AmazonEKS", prefix + what, "EKSPod-EC2", region, "")))
    for code in ("AmazonEC2", "AmazonS3", "AWSLambda", "AmazonRDS"):
        found.append(Template("Tax", code, "", "", 0, 0.05, "", 0.003, "", whole_month=True))
    found.append(Template("RIFee", "AmazonEC2", "HeavyUsage:m5.large", "RunInstances", 0, 0.06, "Hrs", 0.0009, "", whole_month=True))
    found.append(Template("Fee", "AWSSupportBusiness", "Dollar", "", 0, 1.0, "", 0.00002, "", whole_month=True))
    found.append(Template("Refund", "AmazonEC2", "BoxUsage:m5.large", "RunInstances", 0, -0.1, "Hrs", 0.00001, "", whole_month=True))
    return found


def templates() -> Sequence[Template]:
    """Templates of sampled rows, then one fee template per plan, then one upfront fee: those are placed, not sampled."""
    sampled = _instances() + _services()
    fees = [Template(FEE, "ComputeSavingsPlans", plan_usage_type(p), "", 0, 1.0, "Hrs", 0.0, "", (p, p)) for p in range(PLANS)]
    upfront = Template(UPFRONT, "ComputeSavingsPlans", plan_usage_type(2), "", 0, 1.0, "Hrs", 0.0, "", (2, 2))
    return (*sampled, *fees, upfront)
