//! What is said of a run, and what is not said again.

use super::*;
use crate::config::Config;
use crate::run::{ClusterView, Run};
use brimful_karpenter::NodePool;
use brimful_policy::history::History;
use brimful_policy::peers::Peers;
use brimful_policy::plan::Proposal;
use brimful_policy::settings::ClusterConfig;
use brimful_policy::state::State;

const NOW: DateTime<Utc> = DateTime::UNIX_EPOCH;

/// What is said of these pools on a report that could not be read, without `doubt` for reasons of their own.
fn said_of(pools: Vec<NodePool>, is_whole: bool, said: &Said, now: DateTime<Utc>) -> (Vec<String>, Said) {
    let (config, state) = (Config::default(), State::default());
    let view = ClusterView {
        node_pools: pools,
        ..ClusterView::default()
    };
    let run = Run::unread(&config, &state, NOW, view, Peers::default());
    let mut proposal: Proposal = run.propose();
    if !is_whole {
        proposal.doubt = None;
    }
    let facts = Facts {
        now,
        cluster: &ClusterConfig::default(),
        proposal: &proposal,
        analysis: &run.analysis,
        applied: &[],
        moved: None,
        history: &History::default(),
    };
    let standing = conditions(&facts);
    let items = new_of(&facts, &standing, said);
    let texts = items.iter().map(|item| item.notice.text()).collect();
    (
        texts,
        remembered(
            &facts,
            &standing,
            said,
            items.into_iter().flat_map(|item| item.keys),
        ),
    )
}

fn pools(count: usize) -> Vec<NodePool> {
    let names = (0..count).map(|number| format!("pool-{number:03}"));
    names
        .map(|name| NodePool::test(&name).committed().managed())
        .collect()
}

#[test]
fn pools_that_are_frozen_for_one_reason_are_one_line_and_said_once() {
    for (is_whole, keys) in [(true, 2), (false, 8)] {
        let (texts, said) = said_of(pools(7), is_whole, &Said::new(), NOW);
        assert_eq!(texts.len(), 1, "{texts:?}");
        assert!(
            texts[0].starts_with(
                "Nothing is decided for pool-000, pool-001, pool-002, pool-003, pool-004 and 2 more: "
            ),
            "{texts:?}"
        );
        assert_eq!(said.len(), keys, "{said:?}");
        assert!(said_of(pools(7), is_whole, &said, NOW).0.is_empty());
    }
}

#[test]
fn what_comes_and_goes_is_not_said_each_time() {
    let (_, said) = said_of(pools(1), true, &Said::new(), NOW);
    let later = NOW + Duration::hours(1);
    let (_, calm) = said_of(Vec::new(), true, &said, later);
    assert!(said_of(pools(1), true, &calm, later).0.is_empty());
    let later = NOW + QUIET;
    let (_, calm) = said_of(Vec::new(), true, &said, later);
    assert_eq!(said_of(pools(1), true, &calm, later).0.len(), 1);
}

#[test]
fn what_cannot_be_remembered_is_not_said() {
    let (_, said) = said_of(pools(MAX_SAID + 50), false, &Said::new(), NOW);
    assert!(said.len() <= MAX_SAID + 1, "{}", said.len());
    assert!(said_of(pools(MAX_SAID + 50), false, &said, NOW).0.is_empty());
}

#[test]
fn a_paused_pool_is_no_alarm() {
    let paused = NodePool::test("a")
        .committed()
        .managed()
        .annotation("brimful.dev/paused", "true");
    assert!(said_of(vec![paused], true, &Said::new(), NOW).0.is_empty());
}
