//! Brimful from the outside: the binary on real reports, a real S3 server and a real kube-apiserver, and the library
//! against an independent oracle.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod athena;
mod aws_access;
mod browser;
mod chart;
mod cli;
mod cluster;
mod contract;
mod coordination;
mod discovery;
mod hostile;
mod inventory;
mod karpenter;
mod oracle;
mod packaging;
mod plan_rates;
mod prometheus;
mod s3_cache;
mod s3_faults;
mod s3_report;
mod s3_rewriting;
mod support;
mod terraform;
mod traps;
mod walls;
