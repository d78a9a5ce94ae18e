//! Which accounts a plan may pay for, and in what order: an organization's sharing preferences.
//!
//! Source: AWS Billing user guide, "Reserved Instances and Savings Plans discount sharing". Its groups are made by a
//! Cost Category of linked accounts: an account is in one group at most. The preference at the end of the last day of
//! a month counts for all of it.

use std::collections::BTreeMap;

use super::ledger::{Ledger, Series};
use super::savings_plan::GroupId;

/// Groups of accounts: the name of the group of each account that is in one.
pub type AccountGroups = BTreeMap<String, String>;

/// How far plans are shared.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Sharing {
    /// A plan pays for the account that owns it, and for no other.
    Off,
    /// The owner first, then all others alike. AWS's default.
    #[default]
    Open,
    /// The owner, then the accounts of its group, then all others.
    Prioritized(AccountGroups),
    /// The owner, then the accounts of its group, and nobody else. An owner in no group shares with nobody.
    Restricted(AccountGroups),
}

impl Sharing {
    /// The sharing that a configuration's `sharing.accounts` stands for: these accounts and this cluster's own share
    /// among themselves. How others share is not known, and taken as not at all. AWS's default where the key is left
    /// out, or where the cluster's own account is not known.
    #[must_use]
    pub fn of(accounts: Option<&[String]>, own: Option<&str>) -> Self {
        let Some((accounts, own)) = accounts.zip(own) else {
            return Self::Open;
        };
        let members = accounts.iter().map(String::as_str).chain([own]);
        let groups = members.map(|account| (account.to_owned(), "cluster".to_owned()));
        Self::Restricted(groups.collect())
    }

    /// True where a plan of a group comes to the usage of a series at some step; where the ledger keeps no account, it does.
    #[must_use]
    pub fn reaches(&self, ledger: &Ledger, group: &GroupId, series: &Series) -> bool {
        let plans = ledger.plans.iter().map(|entry| &entry.plan);
        let mut of_group = plans.filter(|plan| plan.group().as_ref() == Some(group));
        series.account.is_empty()
            || of_group.any(|plan| self.step(plan.owner.as_deref(), &series.account).is_some())
    }

    /// At which step a plan of `owner` comes to usage of `account`, 0 first; `None` when it never does. A plan whose
    /// owner is not known comes last to all, and is of no use with sharing off.
    #[must_use]
    pub fn step(&self, owner: Option<&str>, account: &str) -> Option<u8> {
        let (first, second, last) = (0, 1, 2);
        if owner == Some(account) {
            return Some(first);
        }
        let in_one_group = |groups: &AccountGroups| {
            owner
                .and_then(|owner| groups.get(owner))
                .is_some_and(|group| groups.get(account) == Some(group))
        };
        match self {
            Self::Off => None,
            Self::Open => Some(last),
            Self::Prioritized(groups) => Some(if in_one_group(groups) { second } else { last }),
            Self::Restricted(groups) => in_one_group(groups).then_some(second),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn groups() -> AccountGroups {
        let pairs = [("a", "blue"), ("b", "blue"), ("c", "red")];
        pairs.map(|(a, g)| (a.to_owned(), g.to_owned())).into()
    }

    #[test]
    fn the_owner_comes_first_in_every_mode_and_alone_with_sharing_off() {
        let modes = [
            Sharing::Off,
            Sharing::Open,
            Sharing::Prioritized(groups()),
            Sharing::Restricted(groups()),
        ];
        for mode in &modes {
            assert_eq!(mode.step(Some("a"), "a"), Some(0), "{mode:?}");
        }
        assert_eq!(
            modes.map(|mode| mode.step(Some("a"), "c")),
            [None, Some(2), Some(2), None]
        );
    }

    #[test]
    fn a_group_comes_before_the_rest_or_alone() {
        assert!(Sharing::Prioritized(groups()).step(Some("a"), "b") < Sharing::Open.step(Some("a"), "b"));
        assert_eq!(Sharing::Restricted(groups()).step(Some("a"), "b"), Some(1));
        assert_eq!(
            Sharing::Restricted(groups()).step(Some("x"), "y"),
            None,
            "both in no group"
        );
    }

    #[test]
    fn the_configured_accounts_share_with_the_clusters_own() {
        let accounts = ["payer".to_owned()];
        let sharing = Sharing::of(Some(&accounts), Some("own"));
        assert_eq!(sharing.step(Some("payer"), "own"), Some(1));
        assert_eq!(sharing.step(Some("payer"), "other"), None);
        assert_eq!(sharing.step(Some("other"), "own"), None);
        assert_eq!(Sharing::of(None, Some("own")), Sharing::Open);
        assert_eq!(Sharing::of(Some(&accounts), None), Sharing::Open);
    }
}
