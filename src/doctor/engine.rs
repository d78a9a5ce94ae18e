//! Which engine suits the report: reading its files, or asking Athena.

use super::{Check, Group};
use crate::config::Config;
use crate::cur::athena::{price, size};
use crate::hour::human_duration;
use crate::pipeline::Judged;

pub(super) const ID: &str = "report-engine";

/// More than this is read from S3 in minutes, not in seconds: a pod takes 100 MB or so a second.
const MUCH: u64 = 20_000_000_000;
/// A core counts some ten million rows a second.
const MANY: u64 = 300_000_000;
/// Runs of the CronJob in a day, unless its schedule was changed.
const RUNS: u64 = 144;

/// What the report's size says of `cur.engine`.
pub(super) fn check(judged: &Judged, config: &Config) -> Check {
    let source = &judged.source;
    let (bytes, rows) = (source.bytes_read, source.rows);
    let is_large = bytes > MUCH || rows > MANY;
    let once = price(bytes, 3);
    let a_day = price(bytes.saturating_mul(RUNS), 3 * RUNS);
    let asked = source.scan_cost.is_some();
    let of = format!(
        "{} of needed columns, {rows} rows in the last {}",
        size(bytes),
        human_duration(config.cur.lookback.0)
    );
    match (asked, is_large) {
        (false, false) => Check::ok(
            Group::Report,
            ID,
            format!("local suits: {of}; Athena would cost about {once} a run"),
        ),
        (false, true) => Check::warn(
            Group::Report,
            ID,
            format!("athena may suit better than local: {of}, more than a run reads in a minute or two"),
        )
        .cure(format!(
            "set cur.cache, which makes runs read what is new only, or cur.engine to athena: about {once} a run, {a_day} a day at a \
             run every ten minutes"
        )),
        (true, true) => Check::ok(
            Group::Report,
            ID,
            format!("athena suits: {of}; about {once} a run, {a_day} a day at a run every ten minutes"),
        ),
        (true, false) => Check::warn(
            Group::Report,
            ID,
            format!(
                "local would suit better than athena: {of}; Athena costs about {once} a run, {a_day} a day at a run every ten minutes"
            ),
        )
        .cure("set cur.engine to local and cur.uri to the report, unless its bucket is far away or may not be read"),
    }
}
