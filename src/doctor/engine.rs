//! Which engine suits the report: reading its files, or asking Athena.

use super::{Check, Group};
use crate::analysis::Analysis;
use crate::config::Config;
use crate::render::text::grouped;
use brimful_cur::athena::{price, size};
use brimful_types::hour::human_duration;

pub(super) const ID: &str = "report-engine";

/// More than this is read from S3 in minutes, not in seconds: a pod takes 100 MB or so a second.
const MUCH: u64 = 20_000_000_000;
/// Less than this is not worth figures.
const LITTLE: u64 = 1_000_000_000;
/// A core counts some ten million rows a second.
const MANY: u64 = 300_000_000;
/// Runs of the CronJob in a day, unless its schedule was changed.
const RUNS: u64 = 144;

/// What the report's size says of `cur.engine`.
pub(super) fn check(analysis: &Analysis, config: &Config) -> Check {
    let source = &analysis.source;
    let (bytes, rows) = (source.bytes_read, source.rows);
    let is_large = bytes > MUCH || rows > MANY;
    let once = price(bytes, 3);
    let a_day = price(bytes.saturating_mul(RUNS), 3 * RUNS);
    let asked = source.scan_cost.is_some();
    let amount = if bytes < LITTLE {
        format!("less than {}", size(LITTLE))
    } else {
        size(bytes)
    };
    let of = format!(
        "{amount} of needed columns, {} rows in the last {}",
        grouped(&rows.to_string()),
        human_duration(config.cur.lookback.0)
    );
    match (asked, is_large) {
        (false, false) if bytes < LITTLE => Check::ok(Group::Report, ID, format!("local suits: {of}")),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::unread;
    use crate::doctor::Status;
    use brimful_cur::location::Location;
    use brimful_types::Error;
    use brimful_types::money::Money;

    fn judged(bytes: u64, rows: u64, is_asked: bool) -> (Status, String) {
        let mut analysis = unread(&Location::Path("x".into()), &Error::report("x"));
        analysis.source.bytes_read = bytes;
        analysis.source.rows = rows;
        analysis.source.scan_cost = is_asked.then_some(Money::ZERO);
        let check = check(&analysis, &Config::default());
        (check.status, check.message)
    }

    #[test]
    fn athena_is_advised_for_what_no_run_reads_in_a_minute() {
        assert_eq!(
            judged(3_000_000_000, 40_000_000, false),
            (
                Status::Ok,
                "local suits: 3.0 GB of needed columns, 40,000,000 rows in the last 35 d; Athena would cost about $0.0150 a run"
                    .to_owned()
            )
        );
        for (bytes, rows) in [(30_000_000_000, 1), (1, 400_000_000)] {
            let (status, message) = judged(bytes, rows, false);
            assert_eq!(status, Status::Warn);
            assert!(
                message.starts_with("athena may suit better than local"),
                "{message}"
            );
        }
    }

    #[test]
    fn athena_is_advised_against_where_files_are_read_quicker() {
        let (status, message) = judged(30_000_000_000, 1, true);
        assert_eq!(status, Status::Ok);
        assert!(message.contains("about $0.15 a run, $21.60 a day"), "{message}");
        let (status, message) = judged(2_000_000_000, 1, true);
        assert_eq!(status, Status::Warn);
        assert!(
            message.starts_with("local would suit better than athena: 2.0 GB"),
            "{message}"
        );
    }
}
