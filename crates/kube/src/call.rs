//! What a call to the Kubernetes API was about, and how its failures read.

use std::error::Error as StdError;
use std::fmt;
use std::path::Path;

use http::header::{LOCATION, RETRY_AFTER};
use http::response::Parts;
use kube::core::Status;
use kube::core::response::StatusDetails;

use brimful_types::Error;

/// A verb on a resource, for messages and hints.
pub(super) struct Call<'a> {
    verb: &'static str,
    group: &'static str,
    resource: &'static str,
    name: Option<&'a str>,
    namespace: Option<&'a str>,
}

impl<'a> Call<'a> {
    pub(super) fn new(verb: &'static str, group: &'static str, resource: &'static str) -> Self {
        Self {
            verb,
            group,
            resource,
            name: None,
            namespace: None,
        }
    }

    pub(super) fn named(self, name: &'a str) -> Self {
        Self {
            name: Some(name),
            ..self
        }
    }

    pub(super) fn within(self, namespace: &'a str) -> Self {
        Self {
            namespace: Some(namespace),
            ..self
        }
    }

    /// The error that a failed call leads to; `url` is the API server's.
    pub(super) fn failed(&self, url: &str, error: kube::Error) -> Error {
        let message = match &error {
            kube::Error::Api(status) => return self.refused(status),
            kube::Error::Auth(cause) => {
                let hint = "log in again, or check the user of this context in the kubeconfig";
                return Error::kubernetes(format!("cannot {self}: no credentials: {cause}"))
                    .hint(hint)
                    .source(error);
            }
            kube::Error::Service(_) | kube::Error::HyperError(_) => {
                format!(
                    "cannot {self}: the Kubernetes API at {url} does not answer: {}",
                    root_cause(&error)
                )
            }
            kube::Error::SerdeError(cause) => format!(
                "cannot {self}: what the Kubernetes API at {url} answers is not whole, or not its own: {cause}"
            ),
            other => return Error::kubernetes(format!("cannot {self}: {other}")).source(error),
        };
        Error::kubernetes(message)
            .hint("check that the cluster is up and reachable, and --kubeconfig and --context")
            .source(error)
    }

    /// The error of an answer with an HTTP error code.
    fn refused(&self, status: &Status) -> Error {
        let answer = answer(status);
        let error = Error::kubernetes(format!("cannot {self}: {answer}"));
        match status.code {
            401 => error.hint("the API server does not accept these credentials: renew them or log in again"),
            403 => error.hint(self.grant()),
            300..=399 => {
                error.hint("something in between redirects: check the server in the kubeconfig, and proxies")
            }
            404 if self.name.is_none() => error.hint(format!("is {} installed in this cluster?", self.group)),
            429 | 500..=599 => error.hint("the API server is overloaded or failing: try again later"),
            _ => error,
        }
    }

    /// What an administrator has to add.
    fn grant(&self) -> String {
        let role = if self.namespace.is_some() {
            "Role"
        } else {
            "ClusterRole"
        };
        let place = self
            .namespace
            .map(|namespace| format!(" in namespace {namespace:?}"))
            .unwrap_or_default();
        format!(
            "grant it with a {role}{place}: apiGroups [{:?}], resources [{:?}], verbs [{:?}]",
            self.group, self.resource, self.verb
        )
    }
}

impl fmt::Display for Call<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.verb, self.resource)?;
        if !self.group.is_empty() {
            write!(f, ".{}", self.group)?;
        }
        if let Some(name) = self.name {
            write!(f, " {name:?}")?;
        }
        if let Some(namespace) = self.namespace {
            write!(f, " in namespace {namespace:?}")?;
        }
        Ok(())
    }
}

/// How much is kept of an answer that is no Status, such as a proxy's page.
const MAX_TEXT: usize = 300;

const NO_DETAILS: StatusDetails = StatusDetails {
    name: String::new(),
    group: String::new(),
    kind: String::new(),
    uid: String::new(),
    causes: Vec::new(),
    retry_after_seconds: 0,
};

/// An answer that is no success as an error: the API's own Status, else what it says in plain text.
pub(super) fn refusal(head: &Parts, body: &[u8]) -> kube::Error {
    let own = serde_json::from_slice(body).ok();
    let mut status = own.filter(|status: &Status| status.code != 0).unwrap_or_else(|| {
        let text = String::from_utf8_lossy(body);
        let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let words: String = words
            .chars()
            .filter(|one| !one.is_control())
            .take(MAX_TEXT)
            .collect();
        let target = head.headers.get(LOCATION).and_then(|target| target.to_str().ok());
        let message = match target {
            Some(target) if head.status.is_redirection() => format!("it redirects to {target:?}"),
            _ => words,
        };
        let reason = head.status.canonical_reason().unwrap_or_default();
        Status::failure(&message, &reason.replace(' ', ""))
    });
    status.code = head.status.as_u16();
    let asked = head
        .headers
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok()?.parse().ok());
    if let Some(seconds) = asked {
        let details = status.details.get_or_insert(NO_DETAILS);
        details.retry_after_seconds = details.retry_after_seconds.max(seconds);
    }
    kube::Error::Api(status.boxed())
}

/// `403 Forbidden: nodes is forbidden: …`, without what the server left out.
pub(super) fn answer(status: &Status) -> String {
    // For bodies that are no Status, kube puts a sentence of its own where the reason belongs.
    let reason = if status.reason.contains(' ') {
        ""
    } else {
        &status.reason
    };
    let head = format!("{} {reason}", status.code);
    let (head, message) = (head.trim(), status.message.trim());
    if message.is_empty() {
        head.to_owned()
    } else {
        format!("{head}: {message}")
    }
}

/// No configuration could be made of what the user named.
pub(super) fn no_config(error: impl StdError + Send + Sync + 'static) -> Error {
    Error::kubernetes(format!("cannot use the kubeconfig: {}", chain(&error)))
        .hint("check --kubeconfig and --context, and `kubectl config get-contexts`")
        .source(error)
}

/// Neither a kubeconfig nor a service account was found.
pub(super) fn no_config_anywhere(error: impl StdError + Send + Sync + 'static) -> Error {
    Error::kubernetes(format!("no cluster to talk to: {}", chain(&error)))
        .hint("name one with --kubeconfig or --context")
        .source(error)
}

/// There is no kubeconfig, at the place that is looked at if there is one, and this is no pod.
pub(super) fn no_kubeconfig(place: Option<&Path>) -> Error {
    let at = place.map_or_else(String::new, |place| format!(" at {}", place.display()));
    let message =
        format!("no cluster to talk to: there is no kubeconfig{at}, and this is no pod in a cluster");
    Error::kubernetes(message).hint("name a kubeconfig with --kubeconfig or KUBECONFIG")
}

fn root_cause(error: &(dyn StdError + 'static)) -> String {
    let last = std::iter::successors(Some(error), |error| (*error).source()).last();
    last.map(ToString::to_string).unwrap_or_default()
}

/// The whole chain of causes, each said once.
fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    for cause in std::iter::successors(error.source(), |error| (*error).source()) {
        let cause = cause.to_string();
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;

    fn refused(call: &Call<'_>, code: u16, reason: &str, message: &str) -> Error {
        let status = Status::failure(message, reason).with_code(code);
        let error = call.failed("https://10.0.0.1:6443", kube::Error::Api(status.boxed()));
        assert_eq!(error.kind().exit_code(), 7);
        error
    }

    #[test]
    fn a_forbidden_call_says_what_to_grant() {
        let call = Call::new("list", "karpenter.sh", "nodepools");
        let error = refused(
            &call,
            403,
            "Forbidden",
            "nodepools.karpenter.sh is forbidden: User \"x\" cannot list",
        );
        assert_eq!(
            error.to_string(),
            "cannot list nodepools.karpenter.sh: 403 Forbidden: nodepools.karpenter.sh is forbidden: User \"x\" cannot list"
        );
        assert_eq!(
            error.next_step(),
            Some(
                r#"grant it with a ClusterRole: apiGroups ["karpenter.sh"], resources ["nodepools"], verbs ["list"]"#
            )
        );
        let call = Call::new("patch", "", "configmaps")
            .named("state")
            .within("brimful");
        let error = refused(&call, 403, "Forbidden", "");
        assert_eq!(
            error.to_string(),
            r#"cannot patch configmaps "state" in namespace "brimful": 403 Forbidden"#
        );
        assert!(
            error
                .next_step()
                .is_some_and(|hint| hint.contains(r#"a Role in namespace "brimful": apiGroups [""]"#))
        );
    }

    #[test]
    fn every_refusal_carries_code_reason_and_message() {
        let call = || Call::new("patch", "karpenter.sh", "nodepools").named("general");
        let error = refused(&call(), 401, "Unauthorized", "Unauthorized");
        assert!(error.next_step().is_some_and(|hint| hint.contains("credentials")));
        let error = refused(&call(), 422, "Invalid", "spec.weight is wrong");
        assert_eq!(
            error.to_string(),
            r#"cannot patch nodepools.karpenter.sh "general": 422 Invalid: spec.weight is wrong"#
        );
        assert_eq!(error.next_step(), None);
        let error = refused(&call(), 502, "Failed to parse error data", "Bad Gateway");
        assert!(error.to_string().ends_with("502: Bad Gateway"), "{error}");
    }

    #[test]
    fn a_server_that_does_not_answer_is_named_with_the_cause() {
        let cause = std::io::Error::other("connection refused");
        let error = kube::Error::Service(Box::new(cause));
        let error = Call::new("list", "", "nodes").failed("https://10.0.0.1:6443", error);
        let wanted = "cannot list nodes: the Kubernetes API at https://10.0.0.1:6443 does not answer: connection refused";
        assert_eq!(error.to_string(), wanted);
        assert!(error.next_step().is_some_and(|hint| hint.contains("--context")));
    }
}
