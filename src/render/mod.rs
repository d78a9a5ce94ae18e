//! What people and programs see: JSON of the contract, YAML, CSV and tables.

pub(crate) mod backtest;
pub(crate) mod backtest_table;
pub(crate) mod clean;
pub(crate) mod consents;
pub(crate) mod doctor_table;
pub(crate) mod explain;
pub(crate) mod headline;
pub(crate) mod history;
pub(crate) mod html;
pub mod json;
pub(crate) mod markdown;
pub(crate) mod picture;
pub(crate) mod plan_table;
pub(crate) mod sparkline;
pub(crate) mod text;
pub(crate) mod utilization_table;
