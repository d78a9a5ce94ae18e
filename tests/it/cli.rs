//! The binary on the bundled fixtures: documents, tables, exit codes and messages. No servers are needed.

mod backtest;
mod completion;
mod coordination;
mod demo;
mod docs;
mod doctor;
mod documents;
mod explain;
mod history;
mod links;
mod patience;
mod pools;
mod reference;
mod report;
mod reports;
mod settings;
mod stopping;
mod tables;
mod terminal;
