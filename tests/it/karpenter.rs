//! What a running Karpenter does with weights and limits: the facts that Brimful's policy rests on. Each is told in
//! `docs/karpenter-behaviour.md`; where a newer Karpenter behaves otherwise, the test fails and the policy is to be
//! thought over.

mod all_grips;
mod closed_loop;
mod consolidation;
mod launches;
mod operator;
mod top_up;

use crate::support::karpenter::Pool;

const COMMITTED: &str = "committed";
const SPOT: &str = "spot";

/// A committed pool of one type, with nothing in its way.
fn committed() -> Pool {
    Pool::new(COMMITTED, &["on-demand"], &["m5.large"])
}

/// A Spot pool of types that do as well.
fn spot() -> Pool {
    Pool::new(SPOT, &["spot"], &["m5.large", "c7i.large", "m7g.large"])
}

/// Figures for the docs (`cargo test --test it karpenter:: -- --nocapture` shows them); never asserted.
#[allow(clippy::print_stderr, reason = "a note for whoever runs it")]
pub(crate) fn told(what: &str, seconds: u64) {
    eprintln!("MEASURED {seconds:>3} s: {what}");
}
