//! The Cost and Usage Report: where it lies, which files belong to it, and its line items.

pub mod athena;
pub mod aws;
pub mod batch;
pub mod caller;
pub mod columns;
pub mod discover;
pub mod facts;
pub mod layout;
pub mod ledger_builder;
pub mod ledger_cache;
pub mod location;
pub mod manifest;
pub mod object;
pub mod pages;
mod parquet_file;
pub mod period;
pub mod plan_rates;
pub mod reader;
pub mod s3;
pub mod scan;
pub mod snapshot;
pub mod store;
pub mod symbols;
