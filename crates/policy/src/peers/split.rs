//! One group's headroom, split among the clusters that see each other.

use super::Demand;
use brimful_types::money::Money;

/// Shares are whole steps of this, rounded down.
const STEPS: f64 = 1e4;

/// This cluster's part of a group's headroom: an equal one among all that want to fill it, and nothing that another
/// has claimed. `reserved` is the part of clusters that use the group and tell nothing.
///
/// The claims make it safe whatever the order in which clusters look: each counts what the others may still add
/// since they looked last. So what is added by all together never exceeds the headroom, while a newcomer waits until
/// the others have looked again and left it a part.
#[must_use]
pub fn split(group: &str, headroom: Money, reserved: f64, peers: &[&Demand]) -> f64 {
    if headroom <= Money::ZERO {
        return 0.0;
    }
    let told: Vec<_> = peers
        .iter()
        .filter_map(|peer| Some((peer.share, peer.groups.get(group)?)))
        .collect();
    let filling = || told.iter().filter(|(_, told)| told.wants);
    let configured: f64 = filling().filter_map(|(share, _)| *share).sum();
    #[allow(clippy::cast_precision_loss)] // a handful of clusters
    let equal = 1.0 + filling().filter(|(share, _)| share.is_none()).count() as f64;
    let fair = (1.0 - reserved - configured) / equal;
    let claimed: Money = told.iter().map(|(_, told)| told.claim).sum();
    let unclaimed = (headroom - claimed).fraction_of(headroom).unwrap_or(0.0) - reserved;
    let share = fair.min(unclaimed).clamp(0.0, 1.0);
    (share * STEPS).floor() / STEPS
}
