//! `apply` and `reset` on a real kube-apiserver, with the report on a real S3 server and the rights of the shipped
//! manifests.

mod apply;
mod bench;
mod contest;
mod coordination;
mod doctor;
mod faults;
mod guard;
mod history;
mod kills;
mod lease;
mod limits;
mod modes;
mod notify;
pub(crate) mod operator;
mod protection;
mod refusals;
mod reset;
pub(crate) mod rights;
mod stopping;
mod telemetry;
pub(crate) mod top_up;
pub(crate) mod world;
