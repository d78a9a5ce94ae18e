//! What people and programs see: JSON of the contract, YAML, CSV and tables.

pub mod backtest;
pub mod backtest_table;
pub mod clean;
pub mod doctor_table;
pub mod explain;
pub mod history;
pub mod json;
pub mod picture;
pub mod plan_table;
pub mod sparkline;
pub mod text;
pub mod utilization_table;
