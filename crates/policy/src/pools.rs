//! The cluster's `NodePool`s beside each other: which take whose pods, and what each can launch. Every pool asks it of every
//! other, so it is worked out once: pools of equal terms compete alike, and those of equal requirements launch alike.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::rc::Rc;

use super::eligibility::launches_reservations;
use brimful_karpenter::nodepool::PodTerms;
use brimful_karpenter::{
    CapacityType, InstanceTypes, Launchable, NodePool, Role, ValueSet, launchable, tells_types,
};

/// A pool among the others.
#[derive(Debug)]
pub struct Pool<'a> {
    /// The pool itself.
    pub pool: &'a NodePool,
    /// Its role.
    pub role: Role,
    /// Its place among the pools, by name.
    pub place: usize,
    /// True if it launches on demand, and not into reservations.
    pub on_demand_only: bool,
    /// Which of the classes of equal terms it is in.
    class: usize,
    launchable: Rc<Launchable<'a>>,
}

impl Deref for Pool<'_> {
    type Target = NodePool;

    fn deref(&self) -> &NodePool {
        self.pool
    }
}

/// What is asked of a type, and which types that leaves.
type Asked<'a> = (Vec<(&'a str, &'a ValueSet)>, Rc<Launchable<'a>>);

/// Pools of equal terms.
#[derive(Debug)]
struct Class<'a> {
    terms: PodTerms<'a>,
    /// Places of the pools that take pods of these.
    open: Vec<usize>,
}

/// All pools of a cluster, by name.
#[derive(Debug)]
pub struct Pools<'a> {
    list: Vec<Pool<'a>>,
    classes: Vec<Class<'a>>,
}

impl<'a> Pools<'a> {
    /// Works them out.
    #[must_use]
    pub fn new(pools: impl IntoIterator<Item = &'a NodePool>, types: &'a InstanceTypes) -> Self {
        let by_name: BTreeMap<&str, &NodePool> =
            pools.into_iter().map(|pool| (pool.name.as_str(), pool)).collect();
        let mut classes: BTreeMap<PodTerms<'a>, usize> = BTreeMap::new();
        let mut launchables: Vec<Asked<'a>> = Vec::new();
        let list: Vec<Pool<'a>> = by_name
            .into_values()
            .enumerate()
            .map(|(place, pool)| {
                let next = classes.len();
                Pool {
                    pool,
                    role: pool.role(),
                    on_demand_only: pool.can_launch(CapacityType::OnDemand) && !launches_reservations(pool),
                    place,
                    class: *classes.entry(pool.pod_terms()).or_insert(next),
                    launchable: launches_as(&mut launchables, pool, types),
                }
            })
            .collect();
        let mut ordered: Vec<(PodTerms<'a>, usize)> = classes.into_iter().collect();
        ordered.sort_by_key(|(_, class)| *class);
        let classes: Vec<PodTerms<'a>> = ordered.into_iter().map(|(terms, _)| terms).collect();
        let open = classes.iter().map(|terms| {
            let takes: Vec<bool> = classes.iter().map(|other| other.are_open_to(terms)).collect();
            let competing =
                |pool: &&Pool<'_>| takes[pool.class] && pool.role != Role::None && pool.is_switched_on();
            list.iter().filter(competing).map(|pool| pool.place).collect()
        });
        let open: Vec<Vec<usize>> = open.collect();
        let with_terms = classes.into_iter().zip(open);
        Self {
            list,
            classes: with_terms.map(|(terms, open)| Class { terms, open }).collect(),
        }
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Pool<'a>> {
        self.list.iter()
    }

    /// The pool of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Pool<'a>> {
        let place = self
            .list
            .binary_search_by(|pool| pool.name.as_str().cmp(name))
            .ok()?;
        self.list.get(place)
    }

    /// Pools that could take pods of one of them, by name: those that launch something and ask of its pods nothing that
    /// they lack.
    pub fn competitors(&self, pool: &NodePool) -> impl Iterator<Item = &Pool<'a>> {
        let own = self.get(&pool.name);
        let open = own.map_or(&[][..], |own| &self.classes[own.class].open);
        let places = open
            .iter()
            .filter(move |place| own.is_some_and(|own| own.place != **place));
        places.map(|place| &self.list[*place])
    }

    /// The Spot and mixed pools among them.
    pub fn rivals(&self, pool: &NodePool) -> impl Iterator<Item = &Pool<'a>> {
        self.competitors(pool)
            .filter(|other| matches!(other.role, Role::Spot | Role::Mixed))
    }

    /// Which pools compete alike: those of one number have the same rivals.
    #[must_use]
    pub fn class(&self, pool: &NodePool) -> Option<usize> {
        self.get(&pool.name).map(|pool| pool.class)
    }

    /// True if pods of `pool` that ask for nothing in particular also fit `other`.
    #[must_use]
    pub fn is_open(&self, other: &Pool<'_>, pool: &Pool<'_>) -> bool {
        self.classes[other.class]
            .terms
            .are_open_to(&self.classes[pool.class].terms)
    }

    /// What one of them can launch.
    #[must_use]
    pub fn launchable(&self, pool: &NodePool) -> Option<&Rc<Launchable<'a>>> {
        self.get(&pool.name).map(|pool| &pool.launchable)
    }
}

/// What a pool can launch, shared with those that ask for the same.
fn launches_as<'a>(
    known: &mut Vec<Asked<'a>>,
    pool: &'a NodePool,
    types: &'a InstanceTypes,
) -> Rc<Launchable<'a>> {
    let asked: Vec<(&str, &ValueSet)> = pool
        .requirements
        .iter()
        .filter(|(key, _)| tells_types(key))
        .collect();
    if let Some((_, found)) = known.iter().find(|(alike, _)| *alike == asked) {
        return Rc::clone(found);
    }
    let found = Rc::new(launchable(pool, types));
    known.push((asked, Rc::clone(&found)));
    found
}
