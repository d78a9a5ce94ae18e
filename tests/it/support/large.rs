//! A large organization: 60 Savings Plans, and a cluster of 500 `NodePools`.

use std::path::PathBuf;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::cur::{Bucket, Row};
use super::run::Brimful;

/// The clock of this organization: its report's last hours are still young.
const NOW: &str = "2026-11-11T12:00:00Z";

const HOURS: i32 = 240;
const PLANS: u32 = 60;
const POOLS: usize = 500;
const FAMILIES: [&str; 20] = [
    "c5", "c6g", "c6i", "c7a", "c7g", "c7i", "m5", "m6a", "m6g", "m6i", "m7a", "m7g", "m7i", "r5", "r6g",
    "r6i", "r7a", "r7g", "r7i", "x2idn",
];

pub(crate) struct Organization {
    report: Bucket,
    folder: TempDir,
}

impl Organization {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let pools: Vec<Value> = (0..POOLS).map(pool).collect();
        let list = json!({"apiVersion": "v1", "kind": "List", "items": pools});
        std::fs::write(folder.path().join("nodepools.json"), list.to_string()).expect("the pools");
        let rows = (0..PLANS).flat_map(|plan| (0..HOURS).flat_map(move |hour| use_of(plan, hour)));
        Self {
            report: Bucket::of(rows),
            folder,
        }
    }

    /// The page of `brimful report`.
    pub(crate) fn page(&self) -> PathBuf {
        let page = self.folder.path().join("plan.html");
        let run = Brimful::new("report").arg("--cur").arg(self.report.path());
        let run = run
            .arg("--nodepools")
            .arg(self.folder.path().join("nodepools.json"));
        run.args(["--now", NOW, "--html"]).arg(&page).ends(0);
        page
    }
}

/// A third are Compute plans; of each family there are two EC2 Instance plans. The higher its number, the larger is
/// the plan, and the more of it goes unused.
fn use_of(plan: u32, hour: i32) -> [Row; 2] {
    let arn = arn(plan);
    let commitment = 1.0 + f64::from(plan);
    // By night a tenth less is used.
    let night = if hour % 24 < 8 { 0.9 } else { 1.0 };
    let used = commitment * night * (1.0 - f64::from(plan) / 200.0);
    let [fee, covered] = Row::hour_of(&arn, hour, commitment, used);
    let Some(family) = family(plan) else {
        return [fee, covered];
    };
    let of_family = |row: Row| {
        row.text("savings_plan_offering_type", "EC2InstanceSavingsPlans")
            .text("savings_plan_region", "US East (Ohio)")
            .text("savings_plan_instance_type_family", family)
    };
    [
        of_family(fee).usage_type(&format!("USE2-EC2SP:{family}.1yrNoUpfront")),
        of_family(covered).usage_type(&format!("USE2-BoxUsage:{family}.large")),
    ]
}

/// Ends with the plan's number.
pub(crate) fn arn(plan: u32) -> String {
    format!("arn:aws:savingsplans::111122223333:savingsplan/a0000000-0000-0000-0000-{plan:012}")
}

fn family(plan: u32) -> Option<&'static str> {
    (!plan.is_multiple_of(3)).then(|| FAMILIES[plan as usize % FAMILIES.len()])
}

/// Half the pools are committed, each of one family, most of them managed; the others launch Spot.
fn pool(number: usize) -> Value {
    let is_committed = number.is_multiple_of(2);
    let kind = if is_committed { "on-demand" } else { "spot" };
    json!({
        "apiVersion": "karpenter.sh/v1",
        "kind": "NodePool",
        "metadata": {
            "name": format!("team-{number:03}-{kind}"),
            "labels": {"brimful.dev/managed": (is_committed && !number.is_multiple_of(10)).to_string()},
        },
        "spec": {
            "weight": if is_committed { 10 } else { 50 },
            "template": {"spec": {
                "nodeClassRef": {"group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": "default"},
                "requirements": [
                    {"key": "karpenter.sh/capacity-type", "operator": "In", "values": [kind]},
                    {"key": "karpenter.k8s.aws/instance-family", "operator": "In",
                     "values": [FAMILIES[number / 2 % FAMILIES.len()]]},
                    {"key": "topology.kubernetes.io/region", "operator": "In", "values": ["us-east-2"]},
                ],
                "taints": [{"key": "team", "value": format!("{}", number / 2), "effect": "NoSchedule"}],
            }},
        },
    })
}
