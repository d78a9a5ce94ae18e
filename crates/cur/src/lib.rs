//! The Cost and Usage Report: where it lies, which files belong to it, and its line items. Nothing here reaches a
//! network: files come through an [`ObjectStore`](store::ObjectStore), a table's answers through a
//! [`QueryEngine`](athena::QueryEngine).

pub mod athena;
pub mod batch;
pub mod choice;
pub mod columns;
pub mod layout;
pub mod ledger_builder;
pub mod ledger_cache;
pub mod line_items;
pub mod location;
pub mod manifest;
pub mod object;
pub mod pages;
mod parquet_file;
pub mod period;
pub mod reader;
pub mod scan;
pub mod settings;
pub mod snapshot;
pub mod store;
pub mod symbols;
