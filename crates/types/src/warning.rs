//! Warnings: what does not stop a run but should be known. Part of every JSON output.

use std::fmt;

use serde::{Serialize, Serializer};

/// Defines the codes once: their names in the program, in the output, and what each means.
macro_rules! warning_codes {
    ($($name:ident = $text:literal: $doc:literal;)+) => {
        /// What a warning is about. The codes are part of the contract; messages are for people.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum WarningCode {
            $(#[doc = $doc] $name,)+
        }

        impl WarningCode {
            /// Every code, by its text.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The code as the output has it: kebab-case, never renamed.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)+
                }
            }

            /// What it means, in one sentence.
            #[must_use]
            pub fn meaning(self) -> &'static str {
                match self {
                    $(Self::$name => $doc,)+
                }
            }
        }
    };
}

warning_codes! {
    AboveOverflow = "above-overflow": "A full pool cannot go below its overflow pool, which has no weight; it stays just below Spot.";
    AlwaysProtected = "always-protected": "A pool's own budgets or policy protect it always; its protection is not switched.";
    BudgetsDeclared = "budgets-declared": "A tool sets a pool's budgets; its protection is not switched.";
    BudgetsFull = "budgets-full": "A pool has as many budgets as Karpenter takes; its protection is not switched.";
    CacheRebuilt = "cache-rebuilt": "An entry of the ledger cache was damaged, too large, or about something else; the report was read again.";
    CacheUnusable = "cache-unusable": "The ledger cache cannot be read or written; the report is read anew until it can.";
    CommitmentUnknown = "commitment-unknown": "The report has no fee rows of a plan, as for a plan of another account.";
    Contested = "contested": "Somebody else sets back what Brimful sets; the pool is left alone.";
    CoordinationConflict = "coordination-conflict": "Two clusters publish under one name; this run goes on without the others.";
    CoordinationStale = "coordination-stale": "Another cluster has published nothing current; the report's figures stand for it.";
    CoordinationUnnamed = "coordination-unnamed": "The cluster's name is not known, so it cannot publish its demand.";
    CoordinationUnreachable = "coordination-unreachable": "The clusters' place cannot be read or written; this run goes on without the others.";
    CountedTwice = "counted-twice": "Fees of one plan and hour occur twice: files repeat each other; the plan is frozen.";
    DailyReport = "daily-report": "The report is DAILY; hours hide in its days.";
    FamilyMismatch = "family-mismatch": "An EC2 Instance plan does not count for a pool that can launch other families, too.";
    FocusReport = "focus-report": "A FOCUS export states less than a CUR; hours are complete by their age alone.";
    Frozen = "frozen": "Nothing is decided for a pool; the reason says why.";
    Grips = "grips": "The annotation brimful.dev/grips names no grip that there is.";
    HistoryLost = "history-lost": "The history of changes could not be read; a new one is begun.";
    InBetween = "in-between": "A pool stands between a committed pool and Spot.";
    InventoryUnknown = "inventory-unknown": "AWS did not list the plans that it was asked for; the report alone tells of them.";
    ManageLimits = "manage-limits": "The annotation brimful.dev/manage-limits is neither true nor false.";
    MissingColumns = "missing-columns": "The report lacks columns that decisions need.";
    MixedCurrencies = "mixed-currencies": "Plans are in several currencies, which do not add up.";
    NoCapacity = "no-capacity": "Neither a pool's status nor Nodes state its capacity; it is steered by its weight only.";
    NoInstanceUsage = "no-instance-usage": "The report has no EC2 instance usage; how far it reaches is taken from other usage.";
    NoManifest = "no-manifest": "Files lie without a manifest and were listed instead.";
    NoNodeClaims = "no-node-claims": "NodeClaims may not be read; drift and expiry are not seen.";
    NoOverflow = "no-overflow": "No other pool takes on demand what a limited pool cannot; its limits are not managed.";
    NoPlans = "no-plans": "The report holds no Savings Plan.";
    NoPods = "no-pods": "Pods may not be read; no Spot node is moved over (topUp).";
    NoRival = "no-rival": "No other pool takes a filling pool's pods; its weight is left as it is.";
    NoRoom = "no-room": "No legal weight is left above or below all rivals.";
    NoState = "no-state": "The control state could not be read; the plan is made as if this were the first run.";
    NoSuchNodePool = "no-such-nodepool": "The configuration names a NodePool that is not in the cluster.";
    NoUsage = "no-usage": "The report holds fees and no usage yet.";
    NotReconciling = "not-reconciling": "Use stated on fee rows and covered usage differ; the group is frozen.";
    NotifyFailed = "notify-failed": "A webhook did not take what it was to be told; the run goes on without.";
    OverflowAboveSpot = "overflow-above-spot": "The overflow pool of a limited pool comes before Spot.";
    OverflowLost = "overflow-lost": "The overflow pool of a limited pool is gone, not Ready or full.";
    PlanEnding = "plan-ending": "A plan ends within the next hours; its headroom is not filled.";
    PlanOutOfReach = "plan-out-of-reach": "A plan of another account does not pay for this cluster's account, as the report shows.";
    PlanReturned = "plan-returned": "A plan's fee was refunded; it counts as ended.";
    PlanStopped = "plan-stopped": "The report has no rows of a plan any more although its term goes on.";
    PlanUnclear = "plan-unclear": "A plan's kind, region or term cannot be read; it decides nothing.";
    PlanUnseen = "plan-unseen": "The report has no row of a plan for the current hour, although it has of others.";
    PlanWithoutPool = "plan-without-pool": "A plan has room that no on-demand pool can use.";
    RatesUnknown = "rates-unknown": "AWS did not state SP rates that were asked for; other rates stand in.";
    ReconciliationGap = "reconciliation-gap": "Use stated on fee rows and covered usage differ by a little; the larger figure counts.";
    RegionUnknown = "region-unknown": "A pool's region is not known, so an EC2 Instance plan cannot count for it.";
    ReportChanging = "report-changing": "AWS kept rewriting the report while it was read.";
    RollOut = "roll-out": "Nodes of a pool are being replaced; its weight stays above Spot meanwhile.";
    SharedPlan = "shared-plan": "Other clusters use a group's plans, too; this one takes a part of the headroom.";
    TableLacksPeriods = "table-lacks-periods": "The Athena table lacks billing periods that were asked for.";
    TableUnpartitioned = "table-unpartitioned": "The Athena table has no partitions by month; each query reads all of it.";
    TableUnwatched = "table-unwatched": "Nothing states whether AWS rewrites the table while it is asked.";
    Tie = "tie": "Two pools have the same weight and want the opposite.";
    Unprotected = "unprotected": "A full pool is not protected from consolidation; below Spot it would lose nodes that a plan pays for.";
    UnreadableRows = "unreadable-rows": "Rows hold something that is not a number or a time; their hours are not used.";
    Untagged = "untagged": "The report's tags do not state this cluster's part of the use.";
}

impl fmt::Display for WarningCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Serialize for WarningCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

// Warnings are sorted by the text that people see.
impl Ord for WarningCode {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl PartialOrd for WarningCode {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// One warning.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Warning {
    /// What it is about.
    pub code: WarningCode,
    /// ARN of the plan that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
    /// The `NodePool` that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node_pool: Option<String>,
    /// What it is, and what to do about it.
    pub message: String,
}

impl Warning {
    /// True for what concerns that pool, or all.
    #[must_use]
    pub fn concerns(&self, node_pool: &str) -> bool {
        self.node_pool.as_deref().is_none_or(|own| own == node_pool)
    }

    /// A warning about the run as a whole.
    pub fn new(code: WarningCode, message: impl Into<String>) -> Self {
        Self {
            code,
            plan: None,
            node_pool: None,
            message: message.into(),
        }
    }

    /// A warning about one plan.
    pub fn of_plan(code: WarningCode, arn: &str, message: impl Into<String>) -> Self {
        Self {
            plan: Some(arn.to_owned()),
            ..Self::new(code, message)
        }
    }

    /// A warning about one `NodePool`.
    pub fn of_pool(code: WarningCode, name: &str, message: impl Into<String>) -> Self {
        Self {
            node_pool: Some(name.to_owned()),
            ..Self::new(code, message)
        }
    }
}
