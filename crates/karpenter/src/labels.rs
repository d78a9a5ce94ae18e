//! Label keys that Karpenter and EKS give a meaning to.

/// Capacity type of a node: `on-demand`, `spot` or `reserved`. EKS Auto Mode uses the same key.
pub const CAPACITY_TYPE: &str = "karpenter.sh/capacity-type";
/// Name of the `NodePool` that a node or `NodeClaim` belongs to.
pub const NODE_POOL: &str = "karpenter.sh/nodepool";
/// EC2 instance type of a node.
pub const INSTANCE_TYPE: &str = "node.kubernetes.io/instance-type";
/// CPU architecture: `amd64` or `arm64`.
pub const ARCH: &str = "kubernetes.io/arch";
/// Operating system: `linux` or `windows`.
pub const OS: &str = "kubernetes.io/os";
/// Availability zone.
pub const ZONE: &str = "topology.kubernetes.io/zone";
/// AWS region.
pub const REGION: &str = "topology.kubernetes.io/region";

/// The taint by which Karpenter marks a node that goes, or is about to.
pub const DISRUPTED: &str = "karpenter.sh/disrupted";
/// Name of a node's machine.
pub(super) const HOSTNAME: &str = "kubernetes.io/hostname";

/// Which tool made an object.
pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";

/// Groups of `NodeClass`es that stand for EC2: Karpenter's on AWS and EKS Auto Mode's; and the one of Karpenter's own
/// simulation, which plays a provider and launches nothing.
pub(super) const PROVIDERS: [&str; 3] = ["karpenter.k8s.aws", "eks.amazonaws.com", "karpenter.kwok.sh"];

/// One concept under Karpenter's own key and EKS Auto Mode's.
pub(super) type Pair = [&'static str; 2];

pub(super) const FAMILY: Pair = [
    "karpenter.k8s.aws/instance-family",
    "eks.amazonaws.com/instance-family",
];
pub(super) const CATEGORY: Pair = [
    "karpenter.k8s.aws/instance-category",
    "eks.amazonaws.com/instance-category",
];
pub(super) const GENERATION: Pair = [
    "karpenter.k8s.aws/instance-generation",
    "eks.amazonaws.com/instance-generation",
];
pub(super) const SIZE: Pair = [
    "karpenter.k8s.aws/instance-size",
    "eks.amazonaws.com/instance-size",
];
pub(super) const FLEX: Pair = [
    "karpenter.k8s.aws/instance-capability-flex",
    "eks.amazonaws.com/instance-capability-flex",
];
pub(super) const CPU: Pair = ["karpenter.k8s.aws/instance-cpu", "eks.amazonaws.com/instance-cpu"];
pub(super) const MEMORY: Pair = [
    "karpenter.k8s.aws/instance-memory",
    "eks.amazonaws.com/instance-memory",
];
pub(super) const RESERVATION_TYPE: Pair = [
    "karpenter.k8s.aws/capacity-reservation-type",
    "eks.amazonaws.com/capacity-reservation-type",
];

/// The key that Karpenter replaces an old alias by (`NormalizedLabels` in its labels.go).
#[must_use]
pub fn normalize(key: &str) -> &str {
    match key {
        "beta.kubernetes.io/arch" => ARCH,
        "beta.kubernetes.io/os" => OS,
        "beta.kubernetes.io/instance-type" => INSTANCE_TYPE,
        "failure-domain.beta.kubernetes.io/zone" => ZONE,
        "failure-domain.beta.kubernetes.io/region" => REGION,
        other => other,
    }
}

/// True if Karpenter or its AWS provider gives `key` a meaning, so that users cannot define it.
///
/// Karpenter's `WellKnownLabels` and `RestrictedLabels` outside its own domains, plus those domains whole
/// (`karpenter.sh`, `karpenter.k8s.aws`, and Auto Mode's `eks.amazonaws.com`). Other keys under
/// `kubernetes.io` belong to users since Karpenter restricts its own domains only; earlier releases refused
/// most of them, so a pool that has one is never misread.
#[must_use]
pub fn is_well_known(key: &str) -> bool {
    const DOMAINS: [&str; 3] = ["karpenter.sh", "karpenter.k8s.aws", "eks.amazonaws.com"];
    const KEYS: [&str; 8] = [
        INSTANCE_TYPE,
        ARCH,
        OS,
        ZONE,
        REGION,
        "node.kubernetes.io/windows-build",
        "topology.k8s.aws/zone-id",
        HOSTNAME,
    ];
    let key = normalize(key);
    let domain = key.split_once('/').map_or("", |(domain, _)| domain);
    let under = |parent: &str| {
        domain
            .strip_suffix(parent)
            .is_some_and(|sub| sub.is_empty() || sub.ends_with('.'))
    };
    KEYS.contains(&key) || DOMAINS.into_iter().any(under)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_keys_that_karpenter_gives_a_meaning_are_well_known() {
        for key in [
            ARCH,
            ZONE,
            "beta.kubernetes.io/arch",
            "karpenter.k8s.aws/instance-family",
            "a.karpenter.sh/b",
        ] {
            assert!(is_well_known(key), "{key}");
        }
        for key in [
            "team",
            "example.com/team",
            "node-restriction.kubernetes.io/team",
            "kops.k8s.io/x",
            "notkarpenter.sh/x",
        ] {
            assert!(!is_well_known(key), "{key}");
        }
    }
}
