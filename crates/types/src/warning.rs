//! Warnings: what does not stop a run but should be known. Part of every JSON output.

use serde::Serialize;

/// One warning. Codes are part of the contract; messages are for people.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Warning {
    /// Stable, kebab-case.
    pub code: &'static str,
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
    /// A warning about the run as a whole.
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            plan: None,
            node_pool: None,
            message: message.into(),
        }
    }

    /// A warning about one plan.
    pub fn of_plan(code: &'static str, arn: &str, message: impl Into<String>) -> Self {
        Self {
            plan: Some(arn.to_owned()),
            ..Self::new(code, message)
        }
    }

    /// A warning about one `NodePool`.
    pub fn of_pool(code: &'static str, name: &str, message: impl Into<String>) -> Self {
        Self {
            node_pool: Some(name.to_owned()),
            ..Self::new(code, message)
        }
    }
}
