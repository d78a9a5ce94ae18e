//! What each room may know: the crates' own manifests are the walls, and this says which must stand.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Rooms that are values and arithmetic alone.
const PURE: [&str; 6] = [
    "types",
    "savings-plans",
    "karpenter",
    "policy",
    "simulation",
    "study",
];

/// The crates that a room is built with, its own tests' left out: those of this workspace with all that they need.
fn needed(room: &str) -> BTreeSet<String> {
    let mut needed = BTreeSet::new();
    let mut rooms = vec![room.to_owned()];
    while let Some(room) = rooms.pop() {
        for name in dependencies(&format!("crates/{room}/Cargo.toml")) {
            if let Some(other) = name.strip_prefix("brimful-") {
                rooms.push(other.to_owned());
            }
            needed.insert(name);
        }
    }
    needed
}

/// Names in `[dependencies]`, and in such sections for some targets.
fn dependencies(manifest: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(manifest);
    let text = fs::read_to_string(path).expect("a manifest");
    let mut names = Vec::new();
    let mut counts = false;
    for line in text.lines().map(str::trim) {
        if line.starts_with('[') {
            counts = line.ends_with("dependencies]") && !line.contains("dev-") && !line.contains("workspace");
        } else if counts && let Some(name) = line.split(['.', '=', ' ']).next() {
            names.extend((!name.is_empty() && !name.starts_with('#')).then(|| name.to_owned()));
        }
    }
    assert!(!names.is_empty(), "{manifest} names no dependencies");
    names
}

fn assert_knows_none(room: &str, refused: &[&str]) {
    let known: Vec<String> = needed(room)
        .into_iter()
        .filter(|name| {
            let is_of = |refused: &str| name == refused || name.starts_with(&format!("{refused}-"));
            refused.iter().any(|refused| is_of(refused))
        })
        .collect();
    assert!(known.is_empty(), "crates/{room} must not know {known:?}");
}

#[test]
fn pure_rooms_know_neither_files_of_reports_nor_aws_nor_a_cluster_nor_a_clock() {
    for room in PURE {
        let refused = [
            "arrow",
            "parquet",
            "aws",
            "kube",
            "k8s-openapi",
            "tokio",
            "reqwest",
            "hyper",
            "brimful-cur",
            "brimful-aws",
            "brimful-kube",
        ];
        assert_knows_none(room, &refused);
    }
}

#[test]
fn the_report_and_the_policy_never_meet() {
    assert_knows_none("policy", &["brimful-cur"]);
    assert_knows_none("cur", &["brimful-policy", "brimful-karpenter"]);
}

#[test]
fn the_report_is_read_without_a_network() {
    let network = [
        "aws",
        "kube",
        "k8s-openapi",
        "rustls",
        "hyper",
        "reqwest",
        "brimful-aws",
        "brimful-kube",
    ];
    assert_knows_none("cur", &network);
}

#[test]
fn aws_and_the_cluster_do_not_know_each_other() {
    assert_knows_none(
        "aws",
        &[
            "kube",
            "k8s-openapi",
            "brimful-kube",
            "brimful-karpenter",
            "brimful-policy",
        ],
    );
    assert_knows_none(
        "kube",
        &[
            "aws",
            "arrow",
            "parquet",
            "brimful-cur",
            "brimful-savings-plans",
            "brimful-policy",
        ],
    );
}

#[test]
fn the_program_reaches_a_network_through_features_alone() {
    let manifest = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml")).unwrap();
    let is_optional =
        |name: &str| manifest.contains(&format!("{name} = {{ workspace = true, optional = true }}"));
    let edges = ["aws-", "kube", "k8s-", "rustls", "hyper", "axum"];
    for name in dependencies("Cargo.toml") {
        let is_edge = edges.iter().any(|edge| name.starts_with(edge));
        assert!(!is_edge || is_optional(&name), "{name}: belongs behind a feature");
    }
    for room in ["brimful-aws", "brimful-kube"] {
        assert!(is_optional(room), "{room} is no optional dependency");
    }
}
