//! One run: what report, cluster, earlier runs and other clusters say together, and the plan that follows. `plan`,
//! `apply` and `doctor` compose it here and nowhere else; the simulator hands its own world to the same
//! [`propose`](brimful_policy::plan::propose).

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};

use crate::analysis::{Analysis, sharing};
use crate::config::Config;
use crate::coordination::Session;
use crate::render::consents::ConsentsRow;
use crate::source::{self, AwsAccess};
use brimful_karpenter::{Node, NodeClaim, NodePool, Pods, Role};
use brimful_policy::guards::is_managed;
use brimful_policy::identity::Identity;
use brimful_policy::peers::Peers;
use brimful_policy::plan::{Inputs, Proposal, propose};
use brimful_policy::state::State;
use brimful_policy::unpriced::unpriced;
use brimful_simulation::backtest::history::History;
use brimful_simulation::backtest::worth_of_consents;
use brimful_simulation::policies::Consents;
use brimful_types::warning::{Warning, WarningCode};
use brimful_types::{Error, Result};

/// The cluster as it stands.
#[derive(Debug, Clone, Default)]
pub struct ClusterView {
    /// All `NodePools`.
    pub node_pools: Vec<NodePool>,
    /// Nodes, where at hand.
    pub nodes: Option<Vec<Node>>,
    /// `NodeClaims`, where at hand.
    pub node_claims: Option<Vec<NodeClaim>>,
    /// Pods, where they are asked for (`topUp`) and at hand.
    pub pods: Option<Pods>,
}

/// By what a run is made, beside report and cluster.
#[derive(Debug, Clone, Copy)]
pub struct Setup<'a> {
    /// Configuration.
    pub config: &'a Config,
    /// How to reach AWS, for plans (`cur.inventory`) and rates (`cur.describeRates`) that the report lacks.
    pub access: &'a AwsAccess,
    /// The clock.
    pub now: DateTime<Utc>,
    /// What earlier runs left.
    pub state: &'a State,
    /// Why that could not be read, if so: then nothing may be decided.
    pub damage: Option<&'a str>,
}

/// One run.
#[derive(Debug)]
pub struct Run<'a> {
    setup: Setup<'a>,
    /// The report.
    pub analysis: Analysis,
    /// The cluster.
    pub view: ClusterView,
    /// Which of the report's usage is this cluster's.
    pub identity: Identity,
    /// What other clusters on the same plans publish.
    pub peers: Peers,
    session: Option<Session<'a>>,
}

impl<'a> Run<'a> {
    /// Brings together what a plan rests on: report and cluster, SP rates that AWS is asked for, and what other
    /// clusters publish. What fails of the latter two is a warning.
    pub async fn gather(setup: Setup<'a>, mut analysis: Analysis, view: ClusterView) -> Self {
        if let Some(damage) = setup.damage {
            analysis.doubt.get_or_insert_with(|| damage.to_owned());
        }
        if setup.config.cur.inventory {
            take_inventory(setup, &mut analysis).await;
        }
        if setup.config.cur.describe_rates {
            describe_rates(setup, &mut analysis, &view).await;
        }
        let (pools, nodes) = (&view.node_pools, view.nodes.as_deref());
        let identity = Identity::detect(&setup.config.cluster, pools, nodes, &analysis.ledger);
        analysis.leave_out_of_reach(&identity, setup.config);
        let (session, peers) = Session::open(setup.config, identity.clone(), pools, setup.now).await;
        Self {
            setup,
            analysis,
            view,
            identity,
            peers,
            session,
        }
    }

    /// What should be done. The same again and again, until the view changes.
    #[must_use]
    pub fn propose(&self) -> Proposal {
        self.propose_with(self.setup.config)
    }

    /// What should be done by another configuration.
    #[must_use]
    pub fn propose_with(&self, config: &Config) -> Proposal {
        self.propose_among(config, &self.peers)
    }

    fn propose_among(&self, config: &Config, peers: &Peers) -> Proposal {
        propose(&Inputs {
            now: self.setup.now,
            sharing: &sharing(&self.analysis.ledger, config),
            config: &config.settings(),
            ledger: &self.analysis.ledger,
            utilization: &self.analysis.utilization,
            node_pools: &self.view.node_pools,
            nodes: self.view.nodes.as_deref(),
            node_claims: self.view.node_claims.as_deref(),
            pods: self.view.pods.as_ref(),
            peers,
            state: self.setup.state,
            doubt: self.analysis.doubt.as_deref(),
        })
    }

    /// Publishes the proposal for the other clusters, where they share a place: returns what should be done after
    /// what they have published meanwhile.
    pub async fn publish(&mut self, proposal: Proposal) -> Proposal {
        let Some(session) = self.session.take() else {
            return proposal;
        };
        let mut peers = self.peers.clone();
        let again = |peers: &Peers| self.propose_among(self.setup.config, peers);
        let proposal = session
            .publish(&self.view.node_pools, &mut peers, proposal, again)
            .await;
        self.peers = peers;
        proposal
    }
}

/// What further consents would have saved on the report's own past, where these pools could have been steered. The replay begins at once, on a thread of its own:
/// it takes seconds, and nothing has to wait for it.
///
/// # Errors
/// The report holds too little for a replay.
pub(crate) fn consents(
    config: &Config,
    analysis: &Analysis,
    steerable: &BTreeSet<String>,
    identity: &Identity,
    threads: usize,
) -> impl Future<Output = Result<Vec<ConsentsRow>>> + Send + use<> {
    let history = History::of(&analysis.ledger, &analysis.utilization, identity, steerable);
    let settings = config.settings();
    let replay = tokio::task::spawn_blocking(move || {
        let (days, worths) = worth_of_consents(&history?, &settings, threads)?;
        Ok(ConsentsRow::all(&worths, Consents::of(&settings), days))
    });
    async {
        let replayed = replay.await;
        replayed.map_err(|error| Error::unexpected("the replay broke off").source(error))?
    }
}

/// Committed pools that may be steered.
pub(crate) fn steerable<'a>(
    pools: impl IntoIterator<Item = &'a NodePool>,
    config: &Config,
) -> BTreeSet<String> {
    let is_committed =
        |pool: &&NodePool| pool.role() == Role::Committed && is_managed(pool, &config.node_pools);
    let committed = pools.into_iter().filter(is_committed);
    committed.map(|pool| pool.name.clone()).collect()
}

/// Brings AWS's own list of plans together with the report. A refusal is a warning: the report alone counts then.
async fn take_inventory(setup: Setup<'_>, analysis: &mut Analysis) {
    match source::listed_plans(&source::plans_api(setup.access).await).await {
        Ok(listed) => analysis.take_inventory(listed, setup.config, setup.now),
        Err(error) => {
            let warning = Warning::new(WarningCode::InventoryUnknown, error.in_full());
            analysis.warnings.push(warning);
        }
    }
}

/// Adds the SP rates of types that the report has not seen. A refusal is a warning: other rates stand in.
async fn describe_rates(setup: Setup<'_>, analysis: &mut Analysis, view: &ClusterView) {
    let lacking = unpriced(
        &setup.config.settings(),
        &analysis.ledger,
        &view.node_pools,
        view.nodes.as_deref(),
        setup.now,
    );
    let Some(question) = lacking else { return };
    let client = source::plans_api(setup.access).await;
    for plan in question.plans {
        let arn = analysis.ledger.plans[plan].plan.arn.clone();
        match source::describe(&client, &arn, &question.region).await {
            Ok(rates) => {
                let rates = rates.into_iter().map(|(key, rate)| ((plan, key), rate));
                analysis.ledger.described_rates.extend(rates);
            }
            Err(error) => {
                let warning = Warning::of_plan(WarningCode::RatesUnknown, &arn, error.in_full());
                analysis.warnings.push(warning);
            }
        }
    }
}

#[cfg(test)]
use std::sync::LazyLock;

#[cfg(test)]
impl<'a> Run<'a> {
    /// A run on a report that could not be read, among these clusters.
    pub(crate) fn unread(
        config: &'a Config,
        state: &'a State,
        now: DateTime<Utc>,
        view: ClusterView,
        peers: Peers,
    ) -> Self {
        static ACCESS: LazyLock<AwsAccess> = LazyLock::new(AwsAccess::default);
        let location = brimful_cur::location::Location::Path("x".into());
        let analysis = crate::analysis::unread(&location, &brimful_types::Error::report("no report"));
        let setup = Setup {
            config,
            access: &ACCESS,
            now,
            state,
            damage: None,
        };
        Self {
            setup,
            analysis,
            view,
            identity: Identity::default(),
            peers,
            session: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::analysis::unread;
    use brimful_cur::location::Location;
    use brimful_policy::peers::{Demand, file_name};
    use brimful_types::{Error, ErrorKind};

    const NOW: DateTime<Utc> = DateTime::UNIX_EPOCH;

    /// A run of prod that has read the others' entries in a directory, after which `meanwhile` happens there.
    fn run(dir: &Path, meanwhile: impl FnOnce(&Path)) -> (Peers, Proposal) {
        let mut config = Config::default();
        config.cluster.name = Some("prod".to_owned());
        config.coordination.uri = Some(dir.display().to_string());
        let error = Error::new(ErrorKind::Report, "no report");
        let analysis = unread(&Location::Path("x".into()), &error);
        let view = ClusterView {
            nodes: Some(Vec::new()),
            ..ClusterView::default()
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let setup = Setup {
                config: &config,
                access: &AwsAccess::default(),
                now: NOW,
                state: &State::default(),
                damage: None,
            };
            let mut run = Run::gather(setup, analysis, view).await;
            let proposal = run.propose();
            meanwhile(dir);
            let proposal = run.publish(proposal).await;
            (run.peers, proposal)
        })
    }

    fn put(dir: &Path, cluster: &str) {
        let published = Demand::new(cluster, NOW).to_text();
        std::fs::write(dir.join(file_name(cluster)), published).unwrap();
    }

    fn codes(proposal: &Proposal) -> Vec<&'static str> {
        let codes = proposal.warnings.iter().map(|warning| warning.code.as_str());
        codes.filter(|code| code.starts_with("coordination")).collect()
    }

    #[test]
    fn a_run_publishes_its_demand_again_and_again() {
        let dir = tempfile::tempdir().unwrap();
        for _ in 0..2 {
            let (peers, proposal) = run(dir.path(), |_| {});
            assert_eq!((codes(&proposal), peers.conflict), (Vec::new(), false));
        }
        let published = std::fs::read_to_string(dir.path().join("prod.json")).unwrap();
        assert!(Demand::parse(&published, "prod").unwrap().comparable);
    }

    #[test]
    fn what_another_publishes_between_reading_and_writing_is_planned_with() {
        let dir = tempfile::tempdir().unwrap();
        let (peers, _) = run(dir.path(), |dir| put(dir, "staging"));
        assert!(peers.fresh.contains_key("staging"), "{peers:?}");
    }

    #[test]
    fn whoever_loses_the_race_for_its_own_name_goes_on_without_the_others() {
        let dir = tempfile::tempdir().unwrap();
        put(dir.path(), "staging");
        let (peers, proposal) = run(dir.path(), |dir| put(dir, "prod"));
        assert_eq!(codes(&proposal), ["coordination-conflict"]);
        assert!(peers.fresh.is_empty() && peers.conflict, "{peers:?}");
        let published = std::fs::read_to_string(dir.path().join("prod.json")).unwrap();
        assert!(
            !Demand::parse(&published, "prod").unwrap().comparable,
            "the other's stands"
        );
    }

    #[test]
    fn what_cannot_be_written_is_not_acted_on() {
        let dir = tempfile::tempdir().unwrap();
        put(dir.path(), "staging");
        let (peers, proposal) = run(dir.path(), |dir| std::fs::remove_dir_all(dir).unwrap());
        assert_eq!(codes(&proposal), ["coordination-unreachable"]);
        assert!(peers.fresh.is_empty(), "{peers:?}");
    }
}
