//! Damaged files and absurd manifests: an error that names the file, never a panic and never a smaller report.

#![allow(clippy::unwrap_used, reason = "helpers of tests, which may")]

use std::fs;
use std::path::Path;

use brimful_types::ErrorKind;
use serde_json::{Value as Json, json};

use crate::support::cur::{Bucket, COMPUTE, File, Focus, Layout, Row, Seen, message, read, usd};

fn rows() -> Vec<Row> {
    (0..4).flat_map(|h| Row::hour_of(COMPUTE, h, 1.0, 0.5)).collect()
}

/// Asserts that a file with these bytes is refused and named.
fn assert_refused(path: &Path, bytes: &[u8], what: &str) {
    fs::write(path, bytes).unwrap();
    let refused = message(read(path).try_utilization());
    assert!(refused.contains("damaged.parquet"), "{what}: {refused}");
    assert!(!refused.contains("panic"), "{what}: {refused}");
}

/// How many bytes the footer has, with its length and the magic.
fn footer_length(bytes: &[u8]) -> usize {
    let length = u32::from_le_bytes(bytes[bytes.len() - 8..bytes.len() - 4].try_into().unwrap());
    usize::try_from(length).unwrap() + 8
}

#[test]
fn a_file_cut_off_anywhere_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("damaged.parquet");
    for file in [File::legacy(), File::cur2(), File::focus(Focus::OneTwo)] {
        let whole = file.bytes(&rows());
        let step = whole.len() / 60;
        let ends = (0..12)
            .chain((12..whole.len()).step_by(step))
            .chain(whole.len() - 12..whole.len());
        for end in ends {
            assert_refused(
                &path,
                &whole[..end],
                &format!("cut off at {end} of {}", whole.len()),
            );
        }
        // A piece missing in the middle leaves a footer that points beyond its data.
        let middle = [&whole[..whole.len() / 3], &whole[whole.len() / 2..]].concat();
        fs::write(&path, middle).unwrap();
        assert_report_error_or_sound(read(&path).try_utilization(), "a piece is missing");
    }
}

#[test]
fn files_of_another_sort_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("damaged.parquet");
    assert_refused(&path, b"", "empty");
    assert_refused(&path, b"identity/LineItemId,bill/BillType\n", "text");
    assert_refused(&path, &[0; 4096], "zeros");
    assert_refused(&path, &b"PAR1".repeat(50), "nothing but magic");
    let mut encrypted = File::legacy().bytes(&rows());
    let end = encrypted.len();
    encrypted[end - 4..].copy_from_slice(b"PARE");
    assert_refused(&path, &encrypted, "another magic");
    let mut endless = File::legacy().bytes(&rows());
    endless[end - 8..end - 4].copy_from_slice(&u32::MAX.to_le_bytes());
    assert_refused(&path, &endless, "a footer longer than the file");
}

/// Damage may go unnoticed where it changes nothing that is needed; it may not be anything but a report error.
fn assert_report_error_or_sound(result: brimful_types::Result<Seen>, what: &str) -> bool {
    match result {
        Ok(_) => false,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Report, "{what}: {error:#}");
            assert!(error.to_string().contains("damaged.parquet"), "{what}: {error:#}");
            true
        }
    }
}

#[test]
fn a_flipped_byte_in_the_footer_is_never_a_panic() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("damaged.parquet");
    let whole = File::legacy().bytes(&rows());
    let begin = whole.len() - footer_length(&whole);
    let mut refused = 0;
    for position in (begin..whole.len()).step_by(7) {
        let mut bytes = whole.clone();
        bytes[position] ^= 0xff;
        fs::write(&path, &bytes).unwrap();
        let result = read(&path).try_utilization();
        refused += u32::from(assert_report_error_or_sound(result, &format!("byte {position}")));
    }
    assert!(refused > 50, "only {refused} flips were noticed");
}

#[test]
fn a_flipped_byte_in_the_data_is_never_a_panic() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("damaged.parquet");
    for file in [
        File::legacy(),
        File::cur2(),
        File::focus(Focus::Details),
        File::legacy().delta_strings(),
    ] {
        let whole = file.bytes(&rows());
        let end = whole.len() - footer_length(&whole);
        for position in (4..end).step_by(end / 120) {
            let mut bytes = whole.clone();
            bytes[position] ^= 0xff;
            fs::write(&path, &bytes).unwrap();
            assert_report_error_or_sound(read(&path).try_utilization(), &format!("byte {position}"));
        }
    }
}

#[test]
fn one_damaged_file_among_good_ones_stops_the_report() {
    let bucket = Bucket::new(Layout::Export);
    let keys = bucket.deliver("2026-11", "1", &[&rows(), &rows()]);
    let whole = fs::read(bucket.join(&keys[1])).unwrap();
    bucket.write_bytes(&keys[1], &whole[..whole.len() / 2]);
    let refused = message(read(bucket.path()).try_utilization());
    assert!(refused.contains(&keys[1]), "{refused}");
}

#[test]
fn a_place_without_a_report_is_said() {
    let empty = tempfile::tempdir().unwrap();
    assert!(message(read(empty.path()).try_utilization()).contains("no Cost and Usage Report"));
    let refused = message(read(&empty.path().join("nothing")).try_utilization());
    assert!(
        refused.contains("nothing") && refused.contains("no such file or directory"),
        "{refused}"
    );
}

/// A report whose manifest holds that.
fn with_manifest(layout: Layout, manifest: &[u8]) -> Bucket {
    let bucket = Bucket::new(layout);
    bucket.deliver("2026-11", "1", &[&rows()]);
    bucket.write_bytes(&bucket.manifest_key("2026-11"), manifest);
    bucket
}

#[test]
fn a_manifest_that_is_none_is_refused_by_name() {
    for layout in Layout::ALL {
        let deep = "[".repeat(100_000);
        for manifest in [
            "",
            "not json",
            "{",
            "null",
            "[]",
            "{}",
            r#"{"dataFiles": "all"}"#,
            r#"{"dataFiles": [1, null]}"#,
            r#"{"reportKeys": [["a"]]}"#,
            &deep,
        ] {
            let bucket = with_manifest(layout, manifest.as_bytes());
            let refused = message(read(bucket.path()).try_utilization());
            assert!(
                refused.contains("acme-Manifest.json"),
                "{manifest:.20}: {refused}"
            );
            assert!(refused.contains("manifest"), "{manifest:.20}: {refused}");
        }
    }
}

#[test]
fn a_manifest_that_names_a_file_that_is_not_there_is_refused_with_its_name() {
    let own = "billing/acme/acme/year=2026/month=11/acme-00001.snappy.parquet";
    for entry in [
        "billing/acme/acme/year=2026/month=11/acme-00002.snappy.parquet",
        "billing/acme/acme/year=2026/month=10/acme-00001.snappy.parquet",
        "../../../../etc/passwd.parquet",
        "/etc/hosts.parquet",
        "s3://other/../../secret.parquet",
        "",
    ] {
        let manifest = json!({"reportKeys": [own, entry]});
        let bucket = with_manifest(Layout::Legacy, manifest.to_string().as_bytes());
        let refused = message(read(bucket.path()).try_utilization());
        assert!(refused.contains(entry), "{entry}: {refused}");
    }
}

#[test]
fn a_manifest_cannot_lead_out_of_the_reports_place() {
    let outside = tempfile::tempdir().unwrap();
    let stolen = outside.path().join("year=2026/month=11/stolen.parquet");
    File::legacy().write(&stolen, &rows());
    for entry in [
        stolen.display().to_string(),
        format!(
            "../{}/year=2026/month=11/stolen.parquet",
            outside.path().file_name().unwrap().display()
        ),
    ] {
        let bucket = with_manifest(
            Layout::Legacy,
            json!({"reportKeys": [entry]}).to_string().as_bytes(),
        );
        assert!(message(read(bucket.path()).try_utilization()).contains("missing file"));
    }
}

// Reports are replicated and copied, so the bucket in a manifest is the one that AWS wrote to.
#[test]
fn a_manifest_of_another_bucket_or_prefix_names_the_files_here() {
    let key = "year=2026/month=11/acme-00001.snappy.parquet";
    for entry in [
        format!("s3://elsewhere/old/prefix/{key}"),
        format!("old/{key}"),
        format!("billing//acme/acme/{key}"),
    ] {
        let manifest: Json = json!({"reportKeys": [entry], "unknown": {"key": 1}});
        let bucket = with_manifest(Layout::Legacy, manifest.to_string().as_bytes());
        assert_eq!(
            read(bucket.path()).utilization().sum(COMPUTE).used,
            usd(2.0),
            "{entry}"
        );
    }
}

#[test]
fn a_file_named_twice_is_counted_once() {
    let own = "billing/acme/acme/year=2026/month=11/acme-00001.snappy.parquet";
    let manifest = json!({"reportKeys": [own, format!("s3://acme-billing/{own}")]});
    let bucket = with_manifest(Layout::Legacy, manifest.to_string().as_bytes());
    assert_eq!(read(bucket.path()).utilization().sum(COMPUTE).used, usd(2.0));
}
