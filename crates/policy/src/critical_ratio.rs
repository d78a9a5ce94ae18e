//! What erring costs, and which estimate of demand is the right one to reckon with, therefore.
//!
//! An on-demand node too many is billed at its on-demand price where Spot would have served; one too few leaves
//! commitment unused that was paid for, and pays Spot beside it. Where demand lies above an estimate with the
//! probability Spot ÷ on-demand, both weigh the same: the next node is worth launching exactly below that. And since a
//! node stays for hours once it is launched, and Karpenter does not move running Spot nodes to on-demand, it is the
//! demand of the hours ahead that counts, not just this moment's.

use brimful_savings_plans::ledger::{Ledger, UsageClass};
use brimful_types::money::Money;

/// Spot price over on-demand price where the report shows no Spot. AWS advertises up to 90 % off; the Spot Instance
/// Advisor shows most types at 50 to 70 %.
pub const USUAL_RATIO: f64 = 0.4;
/// A report with few Spot rows must not make the policy reckless or timid.
const LEAST_RATIO: f64 = 0.1;
const MOST_RATIO: f64 = 0.9;

/// What one node too many costs beside one too few (the newsvendor's critical ratio).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CriticalRatio {
    /// Spot price over on-demand price.
    pub spot_ratio: f64,
    /// True when the report's own Spot rows tell it.
    pub learned: bool,
}

impl CriticalRatio {
    /// What the report tells: cost of Spot instances over what the same hours would have cost on demand.
    #[must_use]
    pub fn learn(ledger: &Ledger) -> Self {
        let (mut paid, mut listed) = (Money::ZERO, Money::ZERO);
        for (series, cells) in ledger.usage() {
            if series.class != UsageClass::Spot || !series.is_instance {
                continue;
            }
            let Some(price) = ledger.on_demand_prices.get(&series.key().on_demand()) else {
                continue;
            };
            for cell in cells {
                paid += cell.cost();
                listed += cell.amount.at(*price);
            }
        }
        match paid.fraction_of(listed).filter(|_| paid > Money::ZERO) {
            Some(ratio) => Self {
                spot_ratio: ratio.max(LEAST_RATIO),
                learned: true,
            },
            None => Self {
                spot_ratio: USUAL_RATIO,
                learned: false,
            },
        }
    }

    /// True while Spot costs less than on-demand: else nothing is saved by leaving a plan's pool for it.
    #[must_use]
    pub fn spot_saves(self) -> bool {
        self.spot_ratio < 1.0
    }

    /// The probability with which demand stays below the estimate to reckon with.
    #[must_use]
    pub fn quantile(self) -> f64 {
        1.0 - self.spot_ratio.min(MOST_RATIO)
    }
}
