//! The fuzzer's targets on stable: sound input, cut, overwritten, doubled and filled with extremes.

use std::fs;

use proptest::prelude::*;
use proptest::sample::Index;

use crate::support::cur::{COMPUTE, File, Focus, Row};

#[path = "../../fuzz/targets.rs"]
#[allow(unreachable_pub, reason = "the fuzzer has them public")]
mod targets;

/// A small change of some bytes.
#[derive(Debug, Clone)]
enum Change {
    Cut(Index),
    Set(Index, u8),
    /// A number of four bytes: a length, an offset, a size.
    Number(Index, u32),
    Doubled(Index, Index),
    Removed(Index, Index),
}

impl Change {
    fn make(&self, bytes: &mut Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        let span = |a: &Index, b: &Index| {
            let (a, b) = (a.index(bytes.len()), b.index(bytes.len()));
            a.min(b)..a.max(b)
        };
        match self {
            Self::Cut(at) => bytes.truncate(at.index(bytes.len())),
            Self::Set(at, value) => {
                let at = at.index(bytes.len());
                bytes[at] = *value;
            }
            Self::Number(at, value) => {
                let at = at.index(bytes.len());
                for (byte, value) in bytes[at..].iter_mut().zip(value.to_le_bytes()) {
                    *byte = value;
                }
            }
            Self::Doubled(from, to) => {
                let span = span(from, to);
                let copy = bytes[span.clone()].to_vec();
                bytes.splice(span.start..span.start, copy);
            }
            Self::Removed(from, to) => {
                bytes.drain(span(from, to));
            }
        }
    }
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let at = any::<Index>;
    let number = prop_oneof![
        Just(0),
        Just(u32::MAX),
        Just(i32::MAX as u32),
        Just(1 << 31),
        any::<u32>()
    ];
    let change = prop_oneof![
        1 => at().prop_map(Change::Cut),
        6 => (at(), any::<u8>()).prop_map(|(at, value)| Change::Set(at, value)),
        3 => (at(), number).prop_map(|(at, value)| Change::Number(at, value)),
        1 => (at(), at()).prop_map(|(from, to)| Change::Doubled(from, to)),
        1 => (at(), at()).prop_map(|(from, to)| Change::Removed(from, to)),
    ];
    prop::collection::vec(change, 0..4)
}

fn seeds(target: &str) -> Vec<Vec<u8>> {
    let fixture = |path: &str| {
        let path = format!("{}/{path}", env!("CARGO_MANIFEST_DIR"));
        fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
    };
    match target {
        "report" => {
            let rows: Vec<Row> = (0..4).flat_map(|h| Row::hour_of(COMPUTE, h, 1.0, 0.5)).collect();
            [File::legacy(), File::cur2(), File::focus(Focus::OneTwo)]
                .map(|file| file.bytes(&rows))
                .to_vec()
        }
        "manifest" => vec![
            br#"{"assemblyId":"d4b1","reportKeys":["p/r/r/year=2026/month=11/r-00001.snappy.parquet","../../x"]}"#.to_vec(),
            br#"{"executionId":"x","dataFiles":["s3://b/p/e/data/BILLING_PERIOD=2026-11/e-00001.snappy.parquet"]}"#.to_vec(),
        ],
        "node_pools" => vec![fixture("fixtures/nodepools.yaml"), fixture("fixtures/nodes.yaml")],
        "config" => vec![b"cur: {uri: s3://b/p, maturity: 24h}\npolicy: {dwell: 30m, thresholds: {fill: 1.0}}\n".to_vec()],
        "state" => vec![br#"{"schema":"brimful/state/v1","nodePools":{"a":{"decision":"fill","since":"2026-11-21T18:00:00Z","overSince":"2026-11-21T17:00:00Z"}}}"#.to_vec()],
        "demand" => vec![br#"{"schema":"brimful/demand/v1","cluster":"a","time":"2026-11-21T18:00:00Z","groups":{}}"#.to_vec()],
        other => panic!("no seeds for {other}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(250))]

    #[test]
    fn whatever_bytes_come_they_are_read_or_refused(seed in any::<Index>(), changes in changes()) {
        for (name, target) in targets::TARGETS {
            let seeds = seeds(name);
            let mut bytes = seeds[seed.index(seeds.len())].clone();
            for change in &changes {
                change.make(&mut bytes);
            }
            target(&bytes);
        }
    }
}

#[test]
fn every_target_takes_its_sound_input() {
    for (name, target) in targets::TARGETS {
        for seed in seeds(name) {
            target(&seed);
        }
    }
}
