//! EC2 instance types: what their names say, and a table of their sizes.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::LazyLock;

use super::node::Node;

/// CPU architecture, with Kubernetes' names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Arch {
    /// `amd64` (`x86_64`).
    Amd64,
    /// `arm64` (Graviton).
    Arm64,
}

impl Arch {
    /// The value of the label `kubernetes.io/arch`.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }

    /// The architecture of a `kubernetes.io/arch` value.
    #[must_use]
    pub fn from_label(label: &str) -> Option<Self> {
        [Self::Amd64, Self::Arm64]
            .into_iter()
            .find(|arch| arch.label() == label)
    }
}

/// An EC2 instance type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceType {
    /// Its name, such as `m5.large`.
    pub name: String,
    /// vCPU, as EC2 counts them.
    pub vcpu: u32,
    /// Memory in MiB, as EC2 states it (a node's own capacity is a few percent less).
    pub memory_mib: u64,
    /// CPU architecture.
    pub arch: Arch,
}

impl InstanceType {
    /// The part before the dot: `m5`, `c7i-flex`, `u-6tb1`.
    #[must_use]
    pub fn family(&self) -> &str {
        family(&self.name)
    }

    /// The part after the dot: `large`, `metal-24xl`; None in a name without one.
    #[must_use]
    pub fn size(&self) -> Option<&str> {
        size(&self.name)
    }

    /// The size of a type within its family, in quarters of EC2's normalization factor (small = 1, so nano = ¼, large = 4,
    /// xlarge = 8), to which prices within a family are proportional; bare metal counts as its largest sibling. `None`
    /// where prices are not proportional: EC2 names no size-flexible discount for accelerated, HPC and high-memory
    /// families (EC2 user guide, "How Reserved Instance discounts are applied").
    #[must_use]
    pub fn quarter_units(name: &str) -> Option<i64> {
        const UNEVEN: [&str; 11] = ["dl", "f", "g", "gr", "hpc", "inf", "mac", "p", "trn", "u", "vt"];
        let (category, _) = category_and_generation(family(name))?;
        let size = size(name).filter(|_| !UNEVEN.contains(&category))?;
        Some(match size {
            "nano" => 1,
            "micro" => 2,
            "small" => 4,
            "medium" => 8,
            "large" => 16,
            "xlarge" => 32,
            // Eight vCPU are 2xlarge in every family with bare metal.
            "metal" => 8 * i64::from(InstanceTypes::bundled().get(name)?.vcpu),
            many => 32 * count(many)?,
        })
    }

    /// The letters that the name opens with: `m`, `im`, `u`.
    #[must_use]
    pub fn category(&self) -> Option<&str> {
        category_and_generation(self.family()).map(|(category, _)| category)
    }

    /// The number after the category: `5` of `m5.large`, `1` of `u-6tb1.metal`.
    #[must_use]
    pub fn generation(&self) -> Option<&str> {
        category_and_generation(self.family()).map(|(_, generation)| generation)
    }
}

/// The number in `24xlarge` and `metal-24xl`.
fn count(size: &str) -> Option<i64> {
    let metal = size
        .strip_prefix("metal-")
        .and_then(|rest| rest.strip_suffix("xl"));
    let digits = metal.or_else(|| size.strip_suffix("xlarge"))?;
    digits.parse().ok().filter(|count| (1..=1000).contains(count))
}

/// The family of an instance type's name: the part before the dot.
#[must_use]
pub fn family(name: &str) -> &str {
    name.split_once('.').map_or(name, |(family, _)| family)
}

/// The size of an instance type's name: the part after the dot.
#[must_use]
pub fn size(name: &str) -> Option<&str> {
    name.split_once('.').map(|(_, size)| size)
}

/// Category and generation as Karpenter's AWS provider reads them out of a name: letters, then perhaps `-<n>tb`,
/// then digits. None for families that are not so (`mac-m4`).
pub(super) fn category_and_generation(family: &str) -> Option<(&str, &str)> {
    let (category, rest) = split_run(family, |c| c.is_ascii_lowercase())?;
    let (generation, _) = split_run(after_terabytes(rest).unwrap_or(rest), |c| c.is_ascii_digit())?;
    Some((category, generation))
}

/// What follows `-<n>tb`, as in the high-memory types `u-6tb1`.
fn after_terabytes(text: &str) -> Option<&str> {
    let (_, rest) = split_run(text.strip_prefix('-')?, |c| c.is_ascii_digit())?;
    rest.strip_prefix("tb")
}

/// The longest non-empty opening run of wanted characters, and the rest.
fn split_run(text: &str, wanted: impl Fn(char) -> bool) -> Option<(&str, &str)> {
    let end = text.find(|c| !wanted(c)).unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

/// Instance types by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InstanceTypes(BTreeMap<String, InstanceType>);

impl InstanceTypes {
    /// The table that comes with the program: facts of EC2's `DescribeInstanceTypes`, without macOS types.
    /// It lags behind EC2, so what it lacks may exist all the same.
    #[must_use]
    pub fn bundled() -> &'static Self {
        static BUNDLED: LazyLock<InstanceTypes> = LazyLock::new(|| {
            let rows = include_str!("instance_types.tsv").lines().filter_map(parse_row);
            InstanceTypes(rows.map(|row| (row.name.clone(), row)).collect())
        });
        &BUNDLED
    }

    /// Adds the types of `nodes`. Where a Node's vCPU count contradicts the table, the Node is right; else the
    /// table stands, since a Node may know its own memory only after the kernel took its part.
    #[must_use]
    pub fn with_nodes(&self, nodes: &[Node]) -> Cow<'_, Self> {
        let mut types = Cow::Borrowed(self);
        for seen in nodes.iter().filter_map(seen_type) {
            if types.get(&seen.name).is_none_or(|known| known.vcpu != seen.vcpu) {
                types.to_mut().0.insert(seen.name.clone(), seen);
            }
        }
        types
    }

    /// The type of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&InstanceType> {
        self.0.get(name)
    }

    /// Every type, by name.
    pub fn iter(&self) -> impl Iterator<Item = &InstanceType> {
        self.0.values()
    }
}

fn parse_row(line: &str) -> Option<InstanceType> {
    let mut columns = line.split('\t');
    Some(InstanceType {
        name: columns.next()?.to_owned(),
        vcpu: columns.next()?.parse().ok()?,
        memory_mib: columns.next()?.parse().ok()?,
        arch: Arch::from_label(columns.next()?)?,
    })
}

fn seen_type(node: &Node) -> Option<InstanceType> {
    Some(InstanceType {
        name: node.instance_type.clone()?,
        vcpu: node.vcpu?,
        memory_mib: node.memory_mib?,
        arch: node.arch?,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_are_read_as_karpenters_aws_provider_does() {
        let read = |name| category_and_generation(family(name));
        assert_eq!(read("m5.large"), Some(("m", "5")));
        assert_eq!(read("c7i-flex.large"), Some(("c", "7")));
        assert_eq!(read("im4gn.xlarge"), Some(("im", "4")));
        assert_eq!(read("u-6tb1.metal"), Some(("u", "1")));
        assert_eq!(read("u7i-12tb.224xlarge"), Some(("u", "7")));
        assert_eq!(read("mac2-m2.metal"), Some(("mac", "2")));
        assert_eq!(read("mac-m4.metal"), None);
        assert_eq!(
            (family("m7i-flex.2xlarge"), size("m8g.metal-24xl")),
            ("m7i-flex", Some("metal-24xl"))
        );
    }

    #[test]
    fn every_row_of_the_table_is_read_and_well_named() {
        let rows = include_str!("instance_types.tsv")
            .lines()
            .filter(|line| !line.starts_with('#'))
            .count();
        let types = InstanceTypes::bundled();
        assert_eq!(types.iter().count(), rows, "a row is malformed or given twice");
        for kind in types.iter() {
            assert!(
                kind.category().is_some() && kind.size().is_some(),
                "{}",
                kind.name
            );
            assert!(kind.vcpu > 0 && kind.memory_mib > 0, "{}", kind.name);
        }
    }

    #[test]
    fn the_table_agrees_with_well_known_types() {
        let types = InstanceTypes::bundled();
        let facts = |name| {
            types
                .get(name)
                .map(|kind| (kind.vcpu, kind.memory_mib, kind.arch))
        };
        assert_eq!(facts("m5.large"), Some((2, 8192, Arch::Amd64)));
        assert_eq!(facts("c7g.16xlarge"), Some((64, 131_072, Arch::Arm64)));
        assert_eq!(facts("r5.metal"), Some((96, 786_432, Arch::Amd64)));
        assert_eq!(facts("t3.nano"), Some((2, 512, Arch::Amd64)));
        assert_eq!(facts("c5.9xlarge"), Some((36, 73_728, Arch::Amd64)));
    }

    #[test]
    fn sizes_of_the_regular_ladder_double_with_their_name() {
        for kind in InstanceTypes::bundled().iter() {
            let steps = kind
                .size()
                .and_then(|size| size.strip_suffix("xlarge"))
                .map(|n| n.parse().unwrap_or(1));
            let regular = kind.family().starts_with("m5") || kind.family().starts_with("c7g");
            if let (true, Some(steps)) = (regular, steps) {
                assert_eq!(kind.vcpu, 4 * steps, "{}", kind.name);
            }
        }
    }

    #[test]
    fn sizes_within_a_family_are_told_by_their_name() {
        let units = InstanceType::quarter_units;
        assert_eq!((units("t3.nano"), units("m7g.medium")), (Some(1), Some(8)));
        assert_eq!(
            (units("c5.9xlarge"), units("r8g.metal-24xl")),
            (Some(288), Some(768))
        );
        assert_eq!(units("m5.metal"), units("m5.24xlarge"));
        for none in [
            "g5.xlarge",
            "hpc7a.12xlarge",
            "u-6tb1.metal",
            "m5.0xlarge",
            "z99.metal",
            "m5",
        ] {
            assert_eq!(units(none), None, "{none}");
        }
    }

    #[test]
    fn nodes_add_what_the_table_lacks_and_correct_its_vcpu() {
        let node = |name: &str, cpu: &str| {
            let object = json!({
                "metadata": {"name": name, "creationTimestamp": "2026-11-20T00:00:00Z",
                    "labels": {"node.kubernetes.io/instance-type": name, "kubernetes.io/arch": "arm64"}},
                "status": {"capacity": {"cpu": cpu, "memory": "7936208Ki"}}
            });
            Node::from_json(&object).unwrap()
        };
        let types = InstanceTypes::bundled().with_nodes(&[
            node("z9.large", "2"),
            node("m5.large", "2"),
            node("m5.xlarge", "6"),
        ]);
        assert_eq!(
            types.get("z9.large").map(|kind| (kind.vcpu, kind.memory_mib)),
            Some((2, 7750))
        );
        assert_eq!(types.get("m5.large").map(|kind| kind.memory_mib), Some(8192));
        assert_eq!(types.get("m5.xlarge").map(|kind| kind.vcpu), Some(6));
    }
}
