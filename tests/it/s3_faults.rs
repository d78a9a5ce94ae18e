//! What broken networks and half-broken servers do to each request of a run against S3: it ends in time, with the right
//! code and the way out, and never with wrong figures. `docs/reliability.md` has the table.

use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use aws_config::retry::RetryConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_s3::config::{Credentials, SharedCredentialsProvider};
use brimful::analysis::{Analysis, read_history};
use brimful::config::Config;
use brimful::render::json::UtilizationReport;
use brimful::{coordination as shared, source};
use brimful_aws::AwsAccess;
use brimful_aws::access::{Patience, http_client};
use brimful_cur::columns::{Detail, Own};
use brimful_cur::ledger_cache::LedgerCache;
use brimful_cur::location::{Location, Place};
use brimful_cur::reader::ReadOptions;
use brimful_cur::store::PutResult;
use brimful_types::Error;

use crate::support::block_on;
use crate::support::faulty_s3::{Asked, Fault, FaultyS3};
use crate::support::run::{NOW, fixture};
use crate::support::s3::{Identity, S3};

/// The bounds of a run, but short.
const PATIENCE: Patience = Patience {
    connect: Duration::from_secs(2),
    silence: Duration::from_secs(2),
    attempt: Duration::from_secs(3),
    call: Duration::from_secs(8),
    credentials: Duration::from_secs(2),
    listing: Duration::from_secs(8),
    pause: Duration::from_millis(50),
    tries: 3,
    rate: 64 << 10,
};

/// No request of a run takes longer by these bounds, whatever befalls it; a busy machine is allowed for.
const MOST: Duration = Duration::from_secs(40);

/// The newest month of the report.
const FILES: &str = "cur/legacy/billing/acme-hourly/acme-hourly/year=2026/month=11";

const FAULTS: [Fault; 10] = [
    Fault::Silence,
    Fault::SlowHead,
    Fault::Trickle,
    Fault::Cut,
    Fault::Reset,
    Fault::TooMany,
    Fault::SlowDown,
    Fault::Failure,
    Fault::Redirect,
    Fault::OtherEtag,
];

/// Requests of a run, each as the table names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Which {
    List,
    Manifest,
    Footer,
    Chunk,
    Verify,
    CacheGet,
    CachePut,
    CoordinationList,
    CoordinationGet,
    CoordinationPut,
}

impl Which {
    const OF_THE_REPORT: [Self; 5] = [
        Self::List,
        Self::Manifest,
        Self::Footer,
        Self::Chunk,
        Self::Verify,
    ];

    fn title(self) -> &'static str {
        match self {
            Self::List => "list the report",
            Self::Manifest => "read a manifest",
            Self::Footer => "read a file's footer",
            Self::Chunk => "read column chunks",
            Self::Verify => "look at a file again",
            Self::CacheGet => "read the cache",
            Self::CachePut => "write the cache",
            Self::CoordinationList => "list what clusters tell",
            Self::CoordinationGet => "read what clusters tell",
            Self::CoordinationPut => "tell the clusters",
        }
    }

    fn is(self, asked: &Asked<'_>) -> bool {
        let lists = asked.target.contains("list-type=2");
        let gets = asked.method == "GET" && !lists;
        let file = gets && asked.target.contains(".snappy.parquet");
        match self {
            Self::Manifest => gets && asked.target.contains("Manifest.json"),
            Self::Footer => file && is_end(asked.last_byte),
            Self::Chunk => file && !is_end(asked.last_byte),
            Self::Verify => asked.method == "HEAD",
            Self::CacheGet => gets && asked.target.contains("/ledgers/"),
            Self::CachePut => asked.method == "PUT" && asked.target.contains("/ledgers/"),
            Self::List | Self::CoordinationList => lists,
            Self::CoordinationGet => gets,
            Self::CoordinationPut => asked.method == "PUT",
        }
    }
}

/// True for the last byte of one of the report's files.
fn is_end(byte: Option<u64>) -> bool {
    static SIZES: OnceLock<Vec<u64>> = OnceLock::new();
    let sizes = SIZES.get_or_init(|| {
        let files = std::fs::read_dir(fixture(FILES)).expect("the fixture").flatten();
        files.map(|file| file.metadata().expect("a file").len()).collect()
    });
    byte.is_some_and(|byte| sizes.contains(&(byte + 1)))
}

fn bucket() -> String {
    static BUCKETS: AtomicU32 = AtomicU32::new(0);
    let bucket = format!("faults-{}", BUCKETS.fetch_add(1, Ordering::Relaxed));
    S3::shared().create_bucket(&bucket);
    bucket
}

/// The bucket with the report, which all of these tests only read.
fn report() -> &'static str {
    static BUCKET: OnceLock<String> = OnceLock::new();
    BUCKET.get_or_init(|| {
        let bucket = bucket();
        S3::shared().put_dir(&fixture("cur/legacy"), &bucket, "");
        bucket
    })
}

fn access(endpoint: &str) -> AwsAccess {
    let (access, secret) = Identity::Full.keys();
    let settings = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .http_client(http_client())
        .endpoint_url(endpoint)
        .region(Region::from_static("us-east-1"))
        .retry_config(RetryConfig::standard())
        .credentials_provider(SharedCredentialsProvider::new(Credentials::new(
            access, secret, None, None, "tests",
        )))
        .build();
    AwsAccess {
        settings: Some(settings),
        patience: PATIENCE,
        ..AwsAccess::default()
    }
}

fn read(access: &AwsAccess, cache: Option<&LedgerCache>) -> Result<Analysis, Error> {
    let location: Location = format!("s3://{}", report()).parse().expect("a place");
    let options = ReadOptions {
        location: &location,
        cache,
        detail: Detail::Usage,
        own: Own::default(),
        threads: 2,
        progress: &|_, _| (),
        stop: &AtomicBool::new(false),
    };
    let now = NOW.parse().expect("the fixtures' clock");
    block_on(async { read_history(access, &options, &Config::default(), now).await })
}

/// What decisions rest on.
fn figures(analysis: &Analysis) -> serde_json::Value {
    let document = UtilizationReport::new(analysis);
    serde_json::to_value(document).expect("a document")["plans"].take()
}

fn right() -> &'static serde_json::Value {
    static RIGHT: OnceLock<serde_json::Value> = OnceLock::new();
    RIGHT.get_or_init(|| figures(&read(&access(S3::shared().endpoint()), None).expect("it is read")))
}

/// How a run ended, in the table's words; what must never be fails the test.
fn outcome(ended: Result<Analysis, Error>, warning: &str) -> String {
    match ended {
        Err(error) => {
            assert!(error.next_step().is_some(), "a way out: {error:#}");
            assert!(!error.to_string().contains("secret-of"), "{error:#}");
            format!("ends with {}", error.kind().exit_code())
        }
        Ok(analysis) if analysis.doubt.is_some() => "freezes".to_owned(),
        Ok(analysis) => {
            assert_eq!(&figures(&analysis), right());
            if analysis.warnings.iter().any(|one| one.code.as_str() == warning) {
                format!("right, warns `{warning}`")
            } else {
                "right".to_owned()
            }
        }
    }
}

/// The outcome of a run in which `which` meets `fault` so often.
fn meets(which: Which, fault: Fault, times: usize) -> String {
    let front = FaultyS3::of(S3::shared().endpoint(), fault, times, move |asked| {
        which.is(asked)
    });
    let access = access(front.endpoint());
    let started = Instant::now();
    let outcome = match which {
        Which::CacheGet | Which::CachePut => {
            let place: Place = format!("s3://{}/ledgers", bucket()).parse().expect("a place");
            if which == Which::CacheGet {
                let filled = self::access(S3::shared().endpoint());
                let cache = block_on(source::cache(place.clone(), &filled)).expect("a cache");
                read(&filled, Some(&cache)).expect("the cache is filled");
            }
            let cache = block_on(source::cache(place, &access)).expect("a cache");
            let direct = self::access(S3::shared().endpoint());
            outcome(read(&direct, Some(&cache)), "cache-unusable")
        }
        Which::CoordinationList | Which::CoordinationGet | Which::CoordinationPut => {
            coordination(which, &access)
        }
        _ => outcome(read(&access, None), ""),
    };
    let took = started.elapsed();
    assert!(took < MOST, "{which:?} {fault:?}: {took:?}");
    assert!(front.struck() > 0, "{which:?} {fault:?}: never asked");
    outcome
}

fn coordination(which: Which, access: &AwsAccess) -> String {
    let bucket = bucket();
    let tells = "what it tells, ".repeat(40);
    S3::shared().put(&bucket, "plans/staging.json", tells.as_bytes());
    let place: Place = format!("s3://{bucket}/plans").parse().expect("a place");
    let told = block_on(async {
        let board = source::coordination(&place, access).await?;
        if which == Which::CoordinationPut {
            let written = shared::write(board.as_ref(), "prod.json", "this", None).await?;
            return Ok(matches!(written, PutResult::Done(_)));
        }
        let entries = shared::read(board.as_ref()).await?;
        assert_eq!(entries.len(), 1);
        Ok(entries[0].note.content.as_ref() == Ok(&tells))
    });
    if which == Which::CoordinationPut && matches!(told, Ok(true)) {
        assert_eq!(
            S3::shared().get(&bucket, "plans/prod.json"),
            Some(b"this".to_vec())
        );
    }
    match told {
        Ok(true) => "right".to_owned(),
        Ok(false) if which == Which::CoordinationPut => "planned without the others".to_owned(),
        // The peer's own warning names it.
        Ok(false) => "planned without that one".to_owned(),
        Err(error) => {
            let error: Error = error;
            assert!(error.next_step().is_some(), "a way out: {error:#}");
            "planned without the others".to_owned()
        }
    }
}

/// All outcomes for some requests, once and for good, side by side.
fn table(all: &[Which]) -> Vec<String> {
    let _ = (report(), right());
    let cells: Vec<(Which, Fault)> = all
        .iter()
        .flat_map(|which| faults_of(*which).map(|fault| (*which, fault)))
        .collect();
    let next = AtomicU32::new(0);
    let found = std::sync::Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| {
        for _ in 0..12 {
            scope.spawn(|| {
                while let Some((which, fault)) = cells.get(next.fetch_add(1, Ordering::Relaxed) as usize) {
                    let outcomes = [1, usize::MAX].map(|times| meets(*which, *fault, times));
                    let index = cells.iter().position(|cell| cell == &(*which, *fault));
                    found.lock().unwrap().insert(index, outcomes);
                }
            });
        }
    });
    let found = found.into_inner().unwrap();
    let rows = cells.iter().zip(found.values());
    rows.map(|((which, fault), [once, always])| {
        format!("| {} | {} | {once} | {always} |", which.title(), words(*fault))
    })
    .collect()
}

fn faults_of(which: Which) -> impl Iterator<Item = Fault> {
    let lists = matches!(which, Which::List);
    let own: &[Fault] = if lists {
        &[Fault::BrokenOff, Fault::Endless]
    } else {
        &[]
    };
    // Neither a list nor the answer to a write, and no answer to a look, has a body of that kind.
    let applies = move |fault: &Fault| match fault {
        Fault::OtherEtag => matches!(
            which,
            Which::Footer | Which::Chunk | Which::Manifest | Which::Verify
        ),
        Fault::Trickle | Fault::Cut | Fault::Reset => {
            !matches!(which, Which::Verify | Which::CachePut | Which::CoordinationPut)
        }
        _ => true,
    };
    FAULTS.into_iter().filter(applies).chain(own.iter().copied())
}

fn words(fault: Fault) -> &'static str {
    match fault {
        Fault::Silence => "no answer",
        Fault::SlowHead => "head byte by byte",
        Fault::Trickle => "body at 20 B/s",
        Fault::Cut => "ends within the body",
        Fault::Reset => "reset within the body",
        Fault::TooMany => "429, Retry-After",
        Fault::SlowDown => "503 SlowDown",
        Fault::Failure => "500",
        Fault::Redirect => "301 to nowhere",
        Fault::OtherEtag => "another ETag",
        Fault::BrokenOff => "list breaks off",
        Fault::Endless => "list without end",
    }
}

/// The table as it was seen is the table of the document.
fn as_documented(rows: &[String]) {
    let document = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/reliability.md");
    let documented = std::fs::read_to_string(document).expect("the document");
    let all = rows.join("\n");
    for row in rows {
        assert!(
            documented.contains(row),
            "not in docs/reliability.md:\n{row}\nall rows:\n{all}"
        );
    }
}

#[test]
fn a_read_that_is_given_up_ends_at_once_wherever_it_waits() {
    for which in Which::OF_THE_REPORT {
        let front = FaultyS3::of(
            S3::shared().endpoint(),
            Fault::Silence,
            usize::MAX,
            move |asked| which.is(asked),
        );
        let mut access = access(front.endpoint());
        access.patience = Patience::default();
        let location: Location = format!("s3://{}", report()).parse().expect("a place");
        let started = Instant::now();
        block_on(async {
            let options = ReadOptions {
                location: &location,
                cache: None,
                detail: Detail::Usage,
                own: Own::default(),
                threads: 2,
                progress: &|_, _| (),
                stop: &AtomicBool::new(false),
            };
            let (config, now) = (Config::default(), NOW.parse().expect("the fixtures' clock"));
            let asked = async {
                while front.struck() == 0 {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            };
            tokio::select! {
                read = read_history(&access, &options, &config, now) => panic!("{which:?}: nobody answers: {read:?}"),
                () = asked => {}
            }
        });
        assert!(started.elapsed() < Duration::from_secs(15), "{which:?}");
    }
}

#[test]
fn no_fault_of_a_request_for_the_report_hangs_or_makes_a_wrong_figure() {
    as_documented(&table(&Which::OF_THE_REPORT));
}

#[test]
fn no_fault_of_the_cache_hangs_or_keeps_the_report_from_being_read() {
    as_documented(&table(&[Which::CacheGet, Which::CachePut]));
}

#[test]
fn no_fault_of_the_clusters_place_hangs() {
    as_documented(&table(&[
        Which::CoordinationList,
        Which::CoordinationGet,
        Which::CoordinationPut,
    ]));
}
