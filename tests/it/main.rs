//! Brimful from the outside: the binary on real reports, a real S3 server and a real kube-apiserver, and the library
//! against an independent oracle.

mod cli;
mod cluster;
mod oracle;
mod s3_report;
mod support;
mod traps;
