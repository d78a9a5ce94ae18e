//! What a pool may launch: instance types, operating systems, regions.
//!
//! Requirements on keys that are not evaluated here (GPU, bandwidth, local disks, …) are ignored, so the answer
//! may name more than Karpenter would launch, never less.

use std::collections::BTreeSet;

use super::instance_type::{self, InstanceType, InstanceTypes};
use super::labels;
use super::nodepool::NodePool;
use super::requirement::{Requirements, ValueSet};

/// What a pool may launch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Launchable<'a> {
    /// Types of the table, by name.
    pub types: Vec<&'a InstanceType>,
    /// Types that the pool names and the table lacks.
    pub unknown_types: BTreeSet<String>,
    /// Families of all of these, and families that the pool names and the table lacks.
    pub families: BTreeSet<String>,
    /// False if families that the table lacks may be launched too: the pool lists neither types nor families.
    pub complete: bool,
}

impl Launchable<'_> {
    /// True if the other may launch all of this.
    #[must_use]
    pub fn is_within(&self, other: &Self) -> bool {
        let theirs: BTreeSet<&str> = other.types.iter().map(|kind| kind.name.as_str()).collect();
        self.types.iter().all(|kind| theirs.contains(kind.name.as_str()))
            && (self.complete || !other.complete)
            && (!other.complete || self.unknown_types.is_subset(&other.unknown_types))
    }
}

/// True for keys whose requirements [`launchable`] evaluates.
#[must_use]
pub fn tells_types(key: &str) -> bool {
    use labels::{CATEGORY, CPU, FAMILY, FLEX, GENERATION, MEMORY, SIZE};
    [labels::INSTANCE_TYPE, labels::ARCH].contains(&key)
        || [FAMILY, CATEGORY, GENERATION, SIZE, FLEX, CPU, MEMORY]
            .iter()
            .any(|pair| pair.contains(&key))
}

/// What `pool` may launch, as far as `types` knows.
#[must_use]
pub fn launchable<'a>(pool: &NodePool, types: &'a InstanceTypes) -> Launchable<'a> {
    let requirements = &pool.requirements;
    let rules = TypeRules::of(requirements);
    let named_types = requirements.get(labels::INSTANCE_TYPE).finite();
    // Where types are named, which go by name as the table does, there is no need to look through all of it.
    let known: Vec<_> = match named_types {
        Some(names) => {
            let kinds = names.iter().filter_map(|name| types.get(name));
            kinds.filter(|kind| rules.allow(kind)).collect()
        }
        None => types.iter().filter(|kind| rules.allow(kind)).collect(),
    };
    let unknown_types: BTreeSet<String> = named_types
        .into_iter()
        .flatten()
        .filter(|name| types.get(name).is_none() && rules.allow_name(name))
        .cloned()
        .collect();
    let named_families: Vec<_> = labels::FAMILY
        .iter()
        .filter_map(|key| requirements.get(key).finite())
        .collect();
    let mut families: BTreeSet<String> = BTreeSet::new();
    for name in known.iter().map(|kind| &kind.name).chain(&unknown_types) {
        let family = instance_type::family(name);
        if !families.contains(family) {
            families.insert(family.to_owned());
        }
    }
    if named_types.is_none() && !named_families.is_empty() {
        let in_table: BTreeSet<_> = types.iter().map(InstanceType::family).collect();
        let lacking = |family: &&String| !in_table.contains(family.as_str()) && rules.allow_family(family);
        families.extend(named_families.iter().copied().flatten().filter(lacking).cloned());
    }
    Launchable {
        types: known,
        unknown_types,
        families,
        complete: named_types.is_some() || !named_families.is_empty(),
    }
}

/// A pool's requirements by the property of a type that they restrict: looked up once, for hundreds of types.
struct TypeRules<'a> {
    name: Vec<&'a ValueSet>,
    size: Vec<&'a ValueSet>,
    family: Vec<&'a ValueSet>,
    flex: Vec<&'a ValueSet>,
    category: Vec<&'a ValueSet>,
    generation: Vec<&'a ValueSet>,
    arch: Vec<&'a ValueSet>,
    cpu: Vec<&'a ValueSet>,
    memory: Vec<&'a ValueSet>,
}

impl<'a> TypeRules<'a> {
    fn of(requirements: &'a Requirements) -> Self {
        let said = |keys: &[&str]| {
            let keys = keys.iter().filter(|key| requirements.contains(key));
            keys.map(|key| requirements.get(key)).collect()
        };
        Self {
            name: said(&[labels::INSTANCE_TYPE]),
            size: said(&labels::SIZE),
            family: said(&labels::FAMILY),
            flex: said(&labels::FLEX),
            category: said(&labels::CATEGORY),
            generation: said(&labels::GENERATION),
            arch: said(&[labels::ARCH]),
            cpu: said(&labels::CPU),
            memory: said(&labels::MEMORY),
        }
    }

    fn allow(&self, kind: &InstanceType) -> bool {
        let number = |rules: &[&ValueSet], number: u64| rules.is_empty() || all(rules, &number.to_string());
        self.allow_name(&kind.name)
            && all(&self.arch, kind.arch.label())
            && number(&self.cpu, u64::from(kind.vcpu))
            && number(&self.memory, kind.memory_mib)
    }

    /// What a type's name alone says.
    fn allow_name(&self, name: &str) -> bool {
        all(&self.name, name)
            && instance_type::size(name).is_none_or(|size| all(&self.size, size))
            && self.allow_family(instance_type::family(name))
    }

    fn allow_family(&self, family: &str) -> bool {
        let flex = || if family.contains("-flex") { "true" } else { "false" };
        all(&self.family, family)
            && (self.flex.is_empty() || all(&self.flex, flex()))
            && ((self.category.is_empty() && self.generation.is_empty())
                || instance_type::category_and_generation(family).is_none_or(|(category, generation)| {
                    all(&self.category, category) && all(&self.generation, generation)
                }))
    }
}

fn all(rules: &[&ValueSet], value: &str) -> bool {
    rules.iter().all(|rule| rule.allows(value))
}

/// The operating systems of the pool's nodes, `linux` or `windows`; linux if the pool does not say.
#[must_use]
pub fn os(pool: &NodePool) -> BTreeSet<&'static str> {
    if !pool.requirements.contains(labels::OS) {
        return BTreeSet::from(["linux"]);
    }
    let allowed = pool.requirements.get(labels::OS);
    ["linux", "windows"]
        .into_iter()
        .filter(|os| allowed.allows(os))
        .collect()
}

/// The regions that the pool's zones and regions confine it to; None if it does not say.
#[must_use]
pub fn regions(pool: &NodePool) -> Option<BTreeSet<String>> {
    let zones = pool.requirements.get(labels::ZONE).finite();
    let regions = pool.requirements.get(labels::REGION);
    // A zone of unknown form could lie anywhere.
    let of_zones: Option<BTreeSet<_>> =
        zones.and_then(|zones| zones.iter().map(|zone| region_of_zone(zone)).collect());
    match (of_zones, regions.finite()) {
        (None, listed) => listed.cloned(),
        (Some(of_zones), _) => Some(
            of_zones
                .into_iter()
                .filter(|region| regions.allows(region))
                .collect(),
        ),
    }
}

/// The region of an availability, local or wavelength zone: `us-east-2a`, `us-west-2-lax-1a`,
/// `us-east-1-wl1-bos-wlz-1`. It ends with the first part that begins with a digit.
#[must_use]
pub fn region_of_zone(zone: &str) -> Option<String> {
    let mut region = Vec::new();
    for part in zone.split('-') {
        let digits = part.chars().take_while(char::is_ascii_digit).count();
        if digits > 0 && !region.is_empty() {
            region.push(&part[..digits]);
            return Some(region.join("-"));
        }
        region.push(part);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(launchable: &Launchable<'_>) -> Vec<String> {
        launchable.types.iter().map(|kind| kind.name.clone()).collect()
    }

    #[test]
    fn every_evaluated_key_narrows_what_a_pool_may_launch() {
        let types = InstanceTypes::bundled();
        let m5 = || NodePool::test("a").families(&["m5"]);
        let small = m5().requirement("karpenter.k8s.aws/instance-cpu", "Lt", &["8"]);
        assert_eq!(names(&launchable(&small, types)), ["m5.large", "m5.xlarge"]);
        let big = m5().requirement("eks.amazonaws.com/instance-memory", "Gt", &["300000"]);
        assert_eq!(names(&launchable(&big, types)), ["m5.24xlarge", "m5.metal"]);
        let sized = m5().requirement("karpenter.k8s.aws/instance-size", "In", &["large", "nano"]);
        assert_eq!(names(&launchable(&sized, types)), ["m5.large"]);
        let arm = m5().requirement("kubernetes.io/arch", "In", &["arm64"]);
        assert!(launchable(&arm, types).types.is_empty());
        let other = m5().requirement("karpenter.k8s.aws/instance-generation", "Gt", &["5"]);
        assert!(launchable(&other, types).families.is_empty());
    }

    #[test]
    fn categories_and_generations_leave_the_answer_open_for_new_families() {
        let types = InstanceTypes::bundled();
        let pool = NodePool::test("a")
            .requirement("karpenter.k8s.aws/instance-category", "In", &["c"])
            .requirement("karpenter.k8s.aws/instance-generation", "Gt", &["6"])
            .requirement("karpenter.k8s.aws/instance-capability-flex", "In", &["false"]);
        let found = launchable(&pool, types);
        assert!(!found.complete);
        assert!(found.families.contains("c7g") && !found.families.contains("c6g"));
        assert!(!found.families.contains("c7i-flex"));
        assert!(!launchable(&NodePool::test("any"), types).complete);
    }

    #[test]
    fn types_and_families_that_the_table_lacks_are_kept_if_named() {
        let types = InstanceTypes::bundled();
        let named = NodePool::test("a").instance_types(&["m5.large", "z99.large"]);
        let found = launchable(&named, types);
        assert_eq!(
            (names(&found), found.complete),
            (vec!["m5.large".to_owned()], true)
        );
        assert_eq!(found.unknown_types, BTreeSet::from(["z99.large".to_owned()]));
        assert_eq!(
            found.families,
            BTreeSet::from(["m5".to_owned(), "z99".to_owned()])
        );
        let family = NodePool::test("a").families(&["z99"]);
        let found = launchable(&family, types);
        assert_eq!(
            (found.families, found.complete),
            (BTreeSet::from(["z99".to_owned()]), true)
        );
    }

    #[test]
    fn a_pool_is_linux_unless_it_says_otherwise() {
        assert_eq!(os(&NodePool::test("a")), BTreeSet::from(["linux"]));
        let windows = NodePool::test("a").requirement("kubernetes.io/os", "In", &["windows"]);
        assert_eq!(os(&windows), BTreeSet::from(["windows"]));
    }

    #[test]
    fn zones_and_regions_confine_a_pool_together() {
        let zones = |zones: &[&str]| regions(&NodePool::test("a").zones(zones));
        assert_eq!(regions(&NodePool::test("a")), None);
        let mixed = zones(&["us-east-2a", "us-east-2b", "us-west-2-lax-1a"]).unwrap();
        assert_eq!(mixed.into_iter().collect::<Vec<_>>(), ["us-east-2", "us-west-2"]);
        assert_eq!(
            zones(&["us-east-2a", "test-zone"]),
            None,
            "a zone of unknown form could be anywhere"
        );
        let both = NodePool::test("a")
            .zones(&["us-east-2a", "us-west-2a"])
            .requirement(labels::REGION, "NotIn", &["us-west-2"]);
        assert_eq!(regions(&both), Some(BTreeSet::from(["us-east-2".to_owned()])));
    }

    #[test]
    fn the_region_of_a_zone_ends_with_its_first_number() {
        let region = |zone| region_of_zone(zone);
        assert_eq!(region("us-east-2a").as_deref(), Some("us-east-2"));
        assert_eq!(region("us-gov-west-1b").as_deref(), Some("us-gov-west-1"));
        assert_eq!(region("us-west-2-lax-1a").as_deref(), Some("us-west-2"));
        assert_eq!(region("us-east-1-wl1-bos-wlz-1").as_deref(), Some("us-east-1"));
        assert_eq!(region("test-zone"), None);
        assert_eq!(region(""), None);
    }
}
