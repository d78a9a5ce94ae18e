//! Checks of access: whose credentials these are, and what they may do, in AWS and in the cluster.

use super::{Check, Group};
use crate::source::{Caller, NoCaller};
use brimful_karpenter::api::{NEWEST, NodePoolSchema, OLDEST, Version};
use brimful_karpenter::cluster::{Overlays, Served};
use brimful_karpenter::rights::Right;
use brimful_policy::settings::Mode;
use brimful_types::error::Error;

/// The credentials in use.
#[must_use]
pub(crate) fn caller(found: &Result<Caller, NoCaller>) -> Check {
    const ID: &str = "aws-identity";
    match found {
        Ok(caller) => Check::ok(Group::Aws, ID, format!("account {}, {}", caller.account, caller.arn)),
        Err(NoCaller::Refused(error)) => Check::error(Group::Aws, ID, error),
        Err(NoCaller::Unreachable(what)) => {
            Check::warn(Group::Aws, ID, format!("STS does not answer, so it is unknown whose credentials these are: {what}"))
                .cure("let the network reach STS (in a VPC without internet: an interface endpoint), and set AWS_REGION; reading the report does not need it")
        }
        Err(NoCaller::Unsaid(what)) => {
            Check::warn(Group::Aws, ID, format!("STS does not say whose credentials these are: {what}"))
                .cure("let an endpoint's policy allow sts:GetCallerIdentity, or look again later; reading the report does not need it")
        }
        Err(NoCaller::NotAws) => Check::skipped(Group::Aws, ID, "AWS_ENDPOINT_URL_S3 names a server of your own, and AWS_ENDPOINT_URL_STS none"),
    }
}

/// A right as this run needs it: `None` for the state's ConfigMap where the state is in a file, and optional for
/// patches where `mode: observe` makes none.
#[must_use]
pub(crate) fn needed(right: &Right, mode: Mode, state_in_file: bool) -> Option<Right> {
    if state_in_file && right.resource == "configmaps" {
        return None;
    }
    let observed = mode == Mode::Observe && right.resource == "nodepools" && right.verb == "patch";
    Some(Right {
        without: if observed {
            Some("mode observe does without, mode apply does not")
        } else {
            right.without
        },
        ..*right
    })
}

/// The control state as it was read; `unread` says why it was not, where a plan goes on all the same.
#[must_use]
pub(crate) fn state(read: Result<Option<&str>, &Error>, unread: Option<&str>) -> Check {
    const ID: &str = "state";
    match (read, unread) {
        (Err(error), _) => Check::error(Group::Kubernetes, ID, error),
        (Ok(Some(damage)), _) => Check::fail(Group::Kubernetes, ID, damage),
        (Ok(None), Some(why)) => Check::skipped(Group::Kubernetes, ID, why),
        (Ok(None), None) => Check::ok(
            Group::Kubernetes,
            ID,
            "the control state can be read, or is not there yet",
        ),
    }
}

/// One right, asked of the API server. `named` are pools for which it was granted one by one.
#[must_use]
pub(crate) fn right(
    right: &Right,
    home: &str,
    answer: &Result<bool, Error>,
    named: &[&str],
    user: &str,
) -> Check {
    const ID: &str = "right";
    let subject = right.describe(home);
    let check = match answer {
        Err(error) => Check::error(Group::Kubernetes, ID, error),
        Ok(true) if named.is_empty() => Check::ok(Group::Kubernetes, ID, "granted"),
        Ok(true) => Check::ok(Group::Kubernetes, ID, format!("granted on {}", named.join(", "))),
        Ok(false) => match right.without {
            Some(lost) => Check::warn(Group::Kubernetes, ID, format!("{user} may not: {lost}")),
            None => Check::fail(Group::Kubernetes, ID, format!("{user} may not")),
        }
        .cure(right.rule(home)),
    };
    check.about(subject)
}

/// The `NodePool` API.
#[must_use]
pub(crate) fn api(served: &Served, schema: Option<&NodePoolSchema>) -> Check {
    const ID: &str = "karpenter-api";
    let versions = served.karpenter.join(", ");
    if !served.karpenter.iter().any(|version| version == "v1") {
        let message = match versions.as_str() {
            "" => {
                "karpenter.sh is not served: no Karpenter, or another cluster than the one meant".to_owned()
            }
            old => format!("only karpenter.sh/{old} is served: this Karpenter is older than {OLDEST}"),
        };
        return Check::fail(Group::Kubernetes, ID, message).cure(format!(
            "install Karpenter {OLDEST} or newer; is this the cluster you mean (--context)?"
        ));
    }
    match schema {
        None => Check::warn(
            Group::Kubernetes,
            ID,
            "karpenter.sh/v1 is served; the API server does not tell its schema",
        ),
        Some(schema) => match schema.refusal() {
            Some(refusal) => Check::fail(Group::Kubernetes, ID, format!("{refusal}: `apply` refuses it"))
                .cure("use a newer Brimful, or a Karpenter of the tested range"),
            None => Check::ok(
                Group::Kubernetes,
                ID,
                format!(
                    "karpenter.sh/{versions}, weights from 1 to 100; the CRDs are those of Karpenter {}",
                    schema.versions()
                ),
            ),
        },
    }
}

/// Karpenter's version: by its Deployment where that can be seen, else by the schema.
#[must_use]
pub(crate) fn version(served: &Served, schema: Option<&NodePoolSchema>, deployed: Option<&str>) -> Check {
    const ID: &str = "karpenter-version";
    let range = format!("tested: {OLDEST} to {NEWEST}");
    let ok = |message: String| Check::ok(Group::Kubernetes, ID, message);
    let Some(text) = deployed else {
        if served.auto_mode {
            return ok(format!(
                "EKS Auto Mode: AWS runs Karpenter and updates it ({range})"
            ));
        }
        return match schema {
            Some(schema) => ok(format!(
                "{} by its CRDs; its Deployment is not visible here ({range})",
                schema.versions()
            )),
            None => Check::skipped(
                Group::Kubernetes,
                ID,
                format!("neither its Deployment nor its schema can be seen ({range})"),
            ),
        };
    };
    let Some(version) = Version::parse(text) else {
        return ok(format!("{text}: a build of your own ({range})"));
    };
    if version > NEWEST {
        let message = format!(
            "{text} is newer than what Brimful is tested with ({range}); `apply` goes on while the API stays v1"
        );
        return Check::warn(Group::Kubernetes, ID, message)
            .cure("use a newer Brimful once there is one; until then watch the first runs: brimful apply --dry-run server");
    }
    if version < OLDEST {
        return Check::fail(Group::Kubernetes, ID, format!("{text} is too old ({range})"))
            .cure(format!("upgrade Karpenter to {OLDEST} or newer"));
    }
    let stale = schema.filter(|schema| schema.to.is_some_and(|to| to < version));
    match stale {
        Some(schema) => {
            let message = format!(
                "{text} runs on the CRDs of {}: fields of the newer version are not served",
                schema.versions()
            );
            Check::warn(Group::Kubernetes, ID, message)
                .cure("update the CRDs with Karpenter: helm upgrade karpenter-crd … (a chart of its own)")
        }
        None => ok(format!("{text} ({range})")),
    }
}

/// `NodeOverlay`s.
#[must_use]
pub(crate) fn overlays(found: &Result<Overlays, Error>) -> Check {
    const ID: &str = "node-overlays";
    match found {
        Err(error) => Check {
            status: super::Status::Warn,
            ..Check::error(Group::Kubernetes, ID, error)
        },
        Ok(Overlays::NotServed) => {
            Check::ok(Group::Kubernetes, ID, "none: this Karpenter has no NodeOverlays")
        }
        Ok(Overlays::Forbidden) => Check::skipped(
            Group::Kubernetes,
            ID,
            "whether NodeOverlays change prices cannot be seen: listing them is not granted (nor needed by `apply`)",
        ),
        Ok(Overlays::Pricing(names)) if names.is_empty() => {
            Check::ok(Group::Kubernetes, ID, "none changes prices")
        }
        Ok(Overlays::Pricing(names)) => {
            let message = format!(
                "{} change the prices that Karpenter compares: where on-demand looks cheaper than Spot, consolidation moves Spot nodes to it, \
                 whatever the weights, and beyond what the plans pay",
                names.join(", ")
            );
            Check::warn(Group::Kubernetes, ID, message).cure(format!(
                "leave the steering to one of them, e.g.\nkubectl delete nodeoverlay {}",
                names.join(" ")
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::doctor::Status;
    use brimful_karpenter::rights::RIGHTS;

    fn schema(minor: u32) -> NodePoolSchema {
        let mut spec = json!({"weight": {"type": "integer", "minimum": 1, "maximum": 100}});
        if minor >= 8 {
            spec["replicas"] = json!({});
        }
        let document = json!({"components": {"schemas": {"p": {
            "x-kubernetes-group-version-kind": [{"kind": "NodePool"}], "properties": {"spec": {"properties": spec}},
        }}}});
        NodePoolSchema::from_openapi(&document).unwrap()
    }

    fn served(versions: &[&str]) -> Served {
        Served {
            karpenter: versions.iter().map(ToString::to_string).collect(),
            auto_mode: false,
        }
    }

    #[test]
    fn an_api_older_than_v1_or_none_is_a_failure() {
        assert_eq!(
            api(&served(&["v1", "v1beta1"]), Some(&schema(0))).status,
            Status::Ok
        );
        let old = api(&served(&["v1beta1"]), None);
        assert!(
            old.status == Status::Fail && old.message.contains("older than 1.0"),
            "{old:?}"
        );
        let none = api(&served(&[]), None);
        assert!(
            none.status == Status::Fail && none.message.contains("no Karpenter"),
            "{none:?}"
        );
    }

    #[test]
    fn a_version_outside_the_tested_range_is_told() {
        let judge = |deployed: Option<&str>| version(&served(&["v1"]), Some(&schema(8)), deployed);
        assert_eq!(judge(Some("1.8.2")).status, Status::Ok);
        assert_eq!(judge(Some("1.16.0")).status, Status::Warn);
        assert_eq!(judge(Some("0.37.0")).status, Status::Fail);
        assert!(
            judge(None).message.starts_with("1.8 by its CRDs"),
            "{:?}",
            judge(None)
        );
        let stale = judge(Some("1.12.0"));
        assert!(
            stale.status == Status::Warn && stale.message.contains("CRDs of 1.8"),
            "{stale:?}"
        );
        let auto = Served {
            auto_mode: true,
            ..served(&["v1"])
        };
        assert!(version(&auto, None, None).message.contains("Auto Mode"));
    }

    #[test]
    fn a_missing_right_fails_unless_apply_goes_on_without_it() {
        let judge = |index: usize, answer: bool| right(&RIGHTS[index], "brimful", &Ok(answer), &[], "jane");
        assert_eq!(judge(2, true).status, Status::Ok);
        let patch = judge(2, false);
        assert_eq!(
            (patch.status, patch.message.as_str()),
            (Status::Fail, "jane may not")
        );
        assert!(patch.cure.unwrap().contains("verbs: [patch]"));
        assert_eq!(judge(3, false).status, Status::Warn);
    }

    #[test]
    fn rights_are_asked_for_as_far_as_the_run_needs_them() {
        let asked = |mode: Mode, in_file: bool| -> Vec<(&str, &str, bool)> {
            let needed = RIGHTS.iter().filter_map(|right| needed(right, mode, in_file));
            needed
                .map(|right| (right.verb, right.resource, right.without.is_none()))
                .collect()
        };
        assert_eq!(asked(Mode::Apply, false).len(), RIGHTS.len());
        assert!(
            asked(Mode::Apply, true)
                .iter()
                .all(|(_, resource, _)| *resource != "configmaps")
        );
        let patch = |mode: Mode| asked(mode, true).contains(&("patch", "nodepools", true));
        assert!(patch(Mode::Apply) && !patch(Mode::Observe));
        assert!(asked(Mode::Observe, true).contains(&("patch", "nodepools", false)));
    }

    #[test]
    fn only_overlays_that_change_prices_matter() {
        assert_eq!(overlays(&Ok(Overlays::Pricing(vec![]))).status, Status::Ok);
        assert_eq!(overlays(&Ok(Overlays::Forbidden)).status, Status::Skipped);
        let found = overlays(&Ok(Overlays::Pricing(vec!["cheap".into()])));
        assert!(
            found.status == Status::Warn && found.message.contains("cheap"),
            "{found:?}"
        );
    }
}
