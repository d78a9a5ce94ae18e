//! The metrics, each with its help text; `docs/reference/metrics.md` is made from them.
//!
//! Plans, groups and pools that are gone have no metrics any more, so everything is encoded anew from the newest plan.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use chrono::{DateTime, Utc};
use prometheus_client::encoding::text::encode as encode_text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::Runs;
use crate::render::headline::unused;
use crate::render::json::{GroupReport, PlanDocument, PlanNow, PoolReport};
use brimful_savings_plans::savings_plan::plan_id;
use brimful_types::money::Money;
use brimful_types::{Error, Result};

/// Labels, by name.
pub(super) type Labels = Vec<(&'static str, String)>;
/// A value that goes up and down.
type Float = Gauge<f64, AtomicU64>;
/// What every name begins with.
const PREFIX: &str = "brimful";

/// A metric of one moment.
#[derive(Debug, Clone)]
pub(super) struct Metric {
    /// Without the prefix, and of a counter without `_total`.
    name: String,
    pub(super) help: &'static str,
    pub(super) values: Values,
}

/// Its values; those that are not known are left out.
#[derive(Debug, Clone)]
pub(super) enum Values {
    Gauge(Vec<(Labels, f64)>),
    Counter(Vec<(Labels, u64)>),
}

impl Metric {
    /// `brimful_…`.
    pub(super) fn full_name(&self) -> String {
        format!("{PREFIX}_{}", self.name)
    }
}

/// The metrics of one moment.
#[derive(Debug, Clone, Default)]
pub(crate) struct Page {
    pub(super) metrics: Vec<Metric>,
}

impl Page {
    /// Of the newest plan and of the runs.
    pub(crate) fn of(runs: &Runs, document: Option<&PlanDocument>) -> Self {
        let mut page = Self::default();
        of_runs(&mut page, runs);
        if let Some(document) = document {
            of_report(&mut page, document);
            of_plans(&mut page, document);
            of_ends(&mut page, document);
            of_groups(&mut page, document);
            of_pools(&mut page, document);
        }
        page
    }

    /// In Prometheus' text format 0.0.4, which a Pushgateway and node-exporter read: there a counter is announced by the
    /// name of its values, else it loses type and help.
    ///
    /// # Errors
    /// Never, as long as memory is left.
    pub(crate) fn text(&self) -> Result<String> {
        let mut text = self.open_metrics()?;
        for metric in &self.metrics {
            if let Values::Counter(_) = metric.values {
                let name = metric.full_name();
                for word in ["HELP", "TYPE"] {
                    text = text.replace(&format!("# {word} {name} "), &format!("# {word} {name}_total "));
                }
            }
        }
        Ok(text)
    }

    /// In the format of `OpenMetrics`.
    ///
    /// # Errors
    /// Never, as long as memory is left.
    pub(super) fn open_metrics(&self) -> Result<String> {
        let mut registry = Registry::with_prefix(PREFIX);
        for metric in &self.metrics {
            match &metric.values {
                Values::Gauge(values) => {
                    let family = Family::<Labels, Float>::default();
                    for (labels, value) in values {
                        family.get_or_create(labels).set(*value);
                    }
                    registry.register(&metric.name, metric.help, family);
                }
                Values::Counter(values) => {
                    let family = Family::<Labels, Counter>::default();
                    for (labels, value) in values {
                        family
                            .get_or_create(labels)
                            .inner()
                            .store(*value, Ordering::Relaxed);
                    }
                    registry.register(&metric.name, metric.help, family);
                }
            }
        }
        let mut text = String::new();
        let failed = |error: fmt::Error| Error::unexpected("cannot encode the metrics").source(error);
        encode_text(&mut text, &registry).map_err(failed)?;
        Ok(text)
    }

    fn gauges(
        &mut self,
        name: &str,
        help: &'static str,
        values: impl IntoIterator<Item = (Labels, Option<f64>)>,
    ) {
        let known = values
            .into_iter()
            .filter_map(|(labels, value)| Some((labels, value?)));
        self.add(name, help, Values::Gauge(known.collect()));
    }

    fn gauge(&mut self, name: &str, help: &'static str, value: Option<f64>) {
        self.gauges(name, help, [(Vec::new(), value)]);
    }

    fn counters(&mut self, name: &str, help: &'static str, values: impl IntoIterator<Item = (Labels, u64)>) {
        self.add(name, help, Values::Counter(values.into_iter().collect()));
    }

    fn add(&mut self, name: &str, help: &'static str, values: Values) {
        let name = name.to_owned();
        self.metrics.push(Metric { name, help, values });
    }
}

fn of_runs(page: &mut Page, runs: &Runs) {
    let ended = runs.ended.iter();
    page.counters(
        "runs",
        "Runs since the process began, by exit code (docs/reference/commands.md)",
        ended.map(|(code, count)| (vec![("exit_code", code.to_string())], *count)),
    );
    let patches = runs.patches.iter();
    page.counters(
        "nodepool_patches",
        "Patches since the process began, by result: patched, conflict or refused",
        patches.map(|((pool, result), count)| {
            let labels = vec![("nodepool", pool.clone()), ("result", (*result).to_owned())];
            (labels, *count)
        }),
    );
    let moves = runs.moves.iter();
    page.counters(
        "spot_nodes_given_up",
        "Spot nodes that were to be given up (topUp) since the process began, by the NodePool that lacks nodes and by result: moved, refused or unknown",
        moves.map(|((pool, result), count)| {
            let labels = vec![("nodepool", pool.clone()), ("result", (*result).to_owned())];
            (labels, *count)
        }),
    );
    page.gauge(
        "run_last_timestamp_seconds",
        "When the newest run ended, since 1970",
        runs.last.map(seconds),
    );
    page.gauge(
        "run_last_success_timestamp_seconds",
        "When the newest run with exit code 0 ended, since 1970",
        runs.last_success.map(seconds),
    );
    let took = runs.duration.map(chrono::TimeDelta::as_seconds_f64);
    page.gauge("run_duration_seconds", "How long the newest run took", took);
    let leads = runs.leads.map(|leads| if leads { 1.0 } else { 0.0 });
    page.gauge("leader", "1 on the replica that acts", leads);
}

fn of_report(page: &mut Page, document: &PlanDocument) {
    let age = document.source.age_hours.flatten().map(|hours| hours * 3600.0);
    page.gauge(
        "report_age_seconds",
        "Age of the newest hour that the report has in full",
        age,
    );
    let horizon = document.source.horizon.as_deref();
    let horizon = horizon.and_then(|time| DateTime::parse_from_rfc3339(time).ok());
    page.gauge(
        "report_horizon_timestamp_seconds",
        "How far the report reaches, since 1970",
        horizon.map(|time| seconds(time.to_utc())),
    );
    let codes = document.warnings.iter().map(|warning| warning.code);
    let mut counts = std::collections::BTreeMap::new();
    for code in codes {
        *counts.entry(code.as_str()).or_insert(0.0) += 1.0;
    }
    page.gauges(
        "warnings",
        "Warnings of the newest run, by code (docs/reference/warnings.md)",
        counts
            .into_iter()
            .map(|(code, count)| (vec![("code", code.to_owned())], Some(count))),
    );
}

fn of_plans(page: &mut Page, document: &PlanDocument) {
    let mut of_each = |name: &str, help: &'static str, value: fn(&PlanNow) -> Option<Money>| {
        let plans = document.plans.iter();
        page.gauges(
            name,
            help,
            plans.map(|plan| (labels(plan), value(plan).map(dollars))),
        );
    };
    of_each(
        "plan_commitment_dollars_per_hour",
        "Commitment in force now",
        |plan| plan.commitment,
    );
    of_each(
        "plan_observed_used_dollars_per_hour",
        "Use of the commitment in the newest mature hour of the report",
        |plan| plan.observed?.used,
    );
    of_each(
        "plan_used_dollars_per_hour",
        "Estimated use of the commitment now",
        |plan| plan.nowcast.map(|now| now.used),
    );
    of_each(
        "plan_unused_dollars_per_hour",
        "Estimated part of the commitment that nobody uses now",
        unused,
    );
    of_each(
        "plan_demand_dollars_per_hour",
        "Estimated demand on the plan now, at its rates; more than the commitment where it overflows",
        |plan| plan.nowcast.map(|now| now.demand),
    );
}

/// When each plan's term ends.
fn of_ends(page: &mut Page, document: &PlanDocument) {
    let plans = document.plans.iter();
    page.gauges(
        "plan_end_timestamp_seconds",
        "When the plan's term ends, since 1970",
        plans.map(|plan| (labels(plan), plan.end.map(seconds))),
    );
}

fn labels(plan: &PlanNow) -> Labels {
    let (id, kind) = (plan_id(&plan.arn), plan.kind.as_str());
    vec![("plan", id.to_owned()), ("kind", kind.to_owned())]
}

fn of_groups(page: &mut Page, document: &PlanDocument) {
    let mut of_each = |name: &str, help: &'static str, value: fn(&GroupReport) -> Option<Money>| {
        let groups = document.groups.iter();
        let values = groups.map(|group| (vec![("group", group.id.to_string())], value(group).map(dollars)));
        page.gauges(name, help, values);
    };
    of_each(
        "group_commitment_dollars_per_hour",
        "Commitments of the plans that are used together",
        |group| Some(group.commitment),
    );
    of_each(
        "group_demand_dollars_per_hour",
        "Estimated demand on them now",
        |group| group.demand,
    );
    of_each(
        "group_spill_dollars_per_hour",
        "Estimated demand beyond them now, at their rates",
        |group| group.spill,
    );
    of_each(
        "group_headroom_dollars_per_hour",
        "What of them this cluster may still use now",
        |group| group.headroom,
    );
}

fn of_pools(page: &mut Page, document: &PlanDocument) {
    let pools = || document.node_pools.iter();
    let name = |pool: &PoolReport| vec![("nodepool", pool.name.clone())];
    page.gauges(
        "nodepool_decision",
        "1 for what was decided for the pool: fill, hold, drain, freeze or none",
        pools().map(|pool| {
            let mut labels = name(pool);
            labels.push(("decision", pool.decision.to_string()));
            (labels, Some(1.0))
        }),
    );
    page.gauges(
        "nodepool_managed",
        "1 where Brimful may change the pool",
        pools().map(|pool| (name(pool), Some(if pool.managed { 1.0 } else { 0.0 }))),
    );
    page.gauges(
        "nodepool_weight",
        "spec.weight as it was read; left out where the field is absent",
        pools().map(|pool| (name(pool), pool.weight.current.map(f64::from))),
    );
    page.gauges(
        "nodepool_proposed_weight",
        "spec.weight as it should be",
        pools().map(|pool| (name(pool), pool.weight.proposed.map(f64::from))),
    );
    page.gauges(
        "nodepool_headroom_dollars_per_hour",
        "What of the plans' commitments the pool may still use now",
        pools().map(|pool| (name(pool), pool.headroom.map(dollars))),
    );
    page.gauges(
        "nodepool_protected",
        "1 where the pool is, or is to be, protected from consolidation; left out where that is not switched",
        pools().map(|pool| {
            let protection = pool.protection.map(|now| if now.proposed { 1.0 } else { 0.0 });
            (name(pool), protection)
        }),
    );
    let pending = document.changes.len();
    page.gauge(
        "changes",
        "Changes that the newest plan proposes",
        u32::try_from(pending).ok().map(f64::from),
    );
}

fn dollars(money: Money) -> f64 {
    money.dollars()
}

#[allow(clippy::cast_precision_loss)] // seconds since 1970 fit
fn seconds(time: DateTime<Utc>) -> f64 {
    time.timestamp() as f64
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;
    use crate::run::{ClusterView, Run};
    use brimful_karpenter::NodePool;
    use brimful_policy::peers::Peers;
    use brimful_policy::state::State;

    /// The plan of two pools on a report that could not be read.
    fn document() -> PlanDocument {
        let view = ClusterView {
            node_pools: vec![
                NodePool::test("a").committed().managed().weight(10),
                NodePool::test("spot").spot(),
            ],
            ..ClusterView::default()
        };
        let (config, state) = (crate::config::Config::default(), State::default());
        let run = Run::unread(&config, &state, DateTime::UNIX_EPOCH, view, Peers::default());
        PlanDocument::new(&run.analysis, &run.propose(), &[])
    }

    #[test]
    fn what_is_unknown_has_no_value_and_what_is_known_has_its_labels() {
        let mut runs = Runs::default();
        let document = document();
        runs.note(
            5,
            Some(&document),
            DateTime::UNIX_EPOCH,
            chrono::Duration::milliseconds(1500),
        );
        let text = Page::of(&runs, Some(&document)).text().unwrap();
        for line in [
            "brimful_runs_total{exit_code=\"5\"} 1",
            "brimful_run_last_timestamp_seconds 0.0",
            "brimful_run_duration_seconds 1.5",
            "brimful_nodepool_decision{nodepool=\"a\",decision=\"freeze\"} 1.0",
            "brimful_nodepool_weight{nodepool=\"a\"} 10.0",
            "brimful_nodepool_managed{nodepool=\"spot\"} 0.0",
            "brimful_warnings{code=\"report-changing\"} 1.0",
        ] {
            assert!(
                text.lines().any(|found| found == line),
                "{line} is not in\n{text}"
            );
        }
        // No success yet, no report, and a pool without weight.
        for absent in ["last_success", "report_age", "weight{nodepool=\"spot\"}"] {
            assert!(
                !text
                    .lines()
                    .any(|line| !line.starts_with('#') && line.contains(absent)),
                "{absent} in\n{text}"
            );
        }
        assert!(text.ends_with("# EOF\n"));
    }

    #[test]
    fn a_counter_is_announced_as_each_format_has_it() {
        let mut runs = Runs::default();
        runs.note(0, None, DateTime::UNIX_EPOCH, chrono::Duration::zero());
        let page = Page::of(&runs, None);
        let (text, open_metrics) = (page.text().unwrap(), page.open_metrics().unwrap());
        assert!(text.contains("# HELP brimful_runs_total Runs since"), "{text}");
        assert!(text.contains("# TYPE brimful_runs_total counter\n"), "{text}");
        assert!(
            open_metrics.contains("# HELP brimful_runs Runs since"),
            "{open_metrics}"
        );
        assert!(
            open_metrics.contains("# TYPE brimful_runs counter\n"),
            "{open_metrics}"
        );
        assert_eq!(text.replace("_total", ""), open_metrics.replace("_total", ""));
    }

    #[test]
    #[allow(clippy::disallowed_methods, reason = "the way to write the page anew")]
    fn the_reference_names_every_metric() {
        let page = Page::of(&Runs::default(), Some(&document()));
        let mut text = String::from(
            "# Metrics\n\nMade from the code (`BRIMFUL_WRITE_DOCS=1 cargo test --lib telemetry`). The operator serves them at `/metrics`; \
             `apply --metrics-file FILE` writes them for node-exporter; `telemetry.pushgateway` and `telemetry.otlp` send them. Money is in dollars per hour. What is not known has no \
             value: it is never 0.\n\n| metric | meaning |\n| --- | --- |\n",
        );
        for metric in page.metrics {
            let end = match metric.values {
                Values::Counter(_) => "_total",
                Values::Gauge(_) => "",
            };
            let _ = writeln!(text, "| `{}{end}` | {} |", metric.full_name(), metric.help);
        }
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/reference/metrics.md");
        if std::env::var("BRIMFUL_WRITE_DOCS").is_ok() {
            std::fs::write(path, &text).unwrap();
        }
        assert_eq!(std::fs::read_to_string(path).unwrap_or_default(), text);
    }
}
