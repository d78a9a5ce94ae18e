//! What the cloud of the tests sells: instance types of us-east-2 with their on-demand and Spot prices.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::support::biller::Prices;

/// Type, vCPU, GiB, architecture, and $/h on demand, with a Compute Savings Plan (one year, no upfront) and on Spot: list
/// prices of us-east-2 for Linux, Spot as it often is.
const TYPES: [(&str, u32, u32, &str, f64, f64, f64); 12] = [
    ("m5.large", 2, 8, "amd64", 0.096, 0.070, 0.0384),
    ("m5.xlarge", 4, 16, "amd64", 0.192, 0.140, 0.0768),
    ("m5.2xlarge", 8, 32, "amd64", 0.384, 0.280, 0.1536),
    ("m7g.large", 2, 8, "arm64", 0.0816, 0.0592, 0.0310),
    ("m7g.xlarge", 4, 16, "arm64", 0.1632, 0.1184, 0.0620),
    ("m7g.2xlarge", 8, 32, "arm64", 0.3264, 0.2368, 0.1240),
    ("c7i.large", 2, 4, "amd64", 0.08925, 0.0648, 0.0366),
    ("c7i.xlarge", 4, 8, "amd64", 0.1785, 0.1296, 0.0732),
    ("c7i.2xlarge", 8, 16, "amd64", 0.357, 0.2592, 0.1464),
    ("r6i.large", 2, 16, "amd64", 0.126, 0.0916, 0.0491),
    ("r6i.xlarge", 4, 32, "amd64", 0.252, 0.1832, 0.0982),
    ("r6i.2xlarge", 8, 64, "amd64", 0.504, 0.3664, 0.1964),
];

const ZONES: [&str; 2] = ["us-east-2a", "us-east-2b"];

/// $/h of every type.
pub(crate) fn prices() -> BTreeMap<String, Prices> {
    let types = TYPES.iter();
    types
        .map(|(name, _, _, _, on_demand, savings_plan, spot)| {
            let prices = Prices {
                on_demand: *on_demand,
                savings_plan: *savings_plan,
                spot: *spot,
            };
            ((*name).to_owned(), prices)
        })
        .collect()
}

/// What a Node of a type has: `cpu` and `memory`.
pub(super) fn capacity(instance_type: &str) -> Option<Value> {
    let found = TYPES.iter().find(|(name, ..)| *name == instance_type)?;
    Some(json!({"cpu": found.1.to_string(), "memory": format!("{}Gi", found.2), "pods": "110"}))
}

/// The file that the kwok provider reads, with or without Spot.
pub(super) fn file(with_spot: bool) -> Value {
    TYPES.iter().map(|kind| instance_type(kind, with_spot)).collect()
}

fn instance_type(
    (name, vcpu, gib, arch, on_demand, _, spot): &(&str, u32, u32, &str, f64, f64, f64),
    with_spot: bool,
) -> Value {
    let mut sold = vec![("on-demand", *on_demand)];
    if with_spot {
        sold.push(("spot", *spot));
    }
    let offerings = sold.iter().flat_map(|(capacity_type, price)| {
        ZONES.map(|zone| {
            let is = |key: &str, value: &str| json!({"key": key, "operator": "In", "values": [value]});
            json!({"Price": price, "Available": true, "Requirements": [
                is("karpenter.sh/capacity-type", capacity_type),
                is("topology.kubernetes.io/zone", zone),
                is("topology.kubernetes.io/region", "us-east-2"),
            ]})
        })
    });
    json!({
        "name": name, "architecture": arch, "operatingSystems": ["linux"],
        "resources": {"cpu": vcpu.to_string(), "memory": format!("{gib}Gi"), "pods": "110", "ephemeral-storage": "20Gi"},
        "offerings": offerings.collect::<Value>(),
    })
}
