//! What a release is made with: workflows, the manifests of package managers, and one version everywhere.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use crate::support::tools;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(relative: &str) -> String {
    fs::read_to_string(root().join(relative)).unwrap_or_else(|error| panic!("{relative}: {error}"))
}

fn script(name: &str, args: &[&str]) -> Output {
    let script = root().join("packaging").join(name);
    Command::new(script).args(args).output().expect("bash runs it")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn the_workflows_pass_actionlint() {
    // Programs that a developer may have, and that would say more on one machine than on another.
    let mut lint = Command::new(tools::path("bin/actionlint"));
    lint.args(["-shellcheck=", "-pyflakes=", "-no-color"]);
    let workflows = fs::read_dir(root().join(".github/workflows")).expect("workflows");
    lint.args(workflows.map(|entry| entry.expect("a workflow").path()));
    let ended = lint.output().expect("actionlint starts");
    assert!(
        ended.status.success(),
        "{}",
        String::from_utf8_lossy(&ended.stdout)
    );
}

#[test]
fn actions_get_no_more_rights_than_their_job_needs() {
    for name in ["ci", "release", "site"] {
        let workflow: Value =
            serde_saphyr::from_str(&read(&format!(".github/workflows/{name}.yml"))).expect("YAML");
        assert_eq!(workflow["permissions"]["contents"], "read", "{name}: by default");
        for (job, settings) in workflow["jobs"].as_object().expect("jobs") {
            assert!(
                settings["timeout-minutes"].is_number(),
                "{name}/{job} has a bound"
            );
            let rights = settings["permissions"].as_object();
            let writes = |right: &str| {
                rights.is_some_and(|rights| rights.get(right).is_some_and(|may| may == "write"))
            };
            assert_eq!(
                writes("contents"),
                job == "release",
                "{name}/{job} writes to the repository"
            );
        }
    }
}

#[test]
fn one_version_stands_everywhere() {
    let version = env!("CARGO_PKG_VERSION");
    let ended = script("version.sh", &[version]);
    assert!(ended.status.success(), "{}", said(&ended));
    let ended = script("version.sh", &["9.9.9"]);
    assert_eq!(
        said(&ended).lines().count(),
        4,
        "each place is named: {}",
        said(&ended)
    );
}

#[test]
fn the_image_is_built_with_the_toolchain_of_the_repository() {
    let channel = read("rust-toolchain.toml");
    let channel = channel.lines().find_map(|line| line.strip_prefix("channel = "));
    let base = format!("FROM rust:{}-", channel.expect("a channel").trim_matches('"'));
    assert!(read("Dockerfile").contains(&base), "{base}");
}

const PLATFORMS: [&str; 4] = ["linux_amd64", "linux_arm64", "darwin_amd64", "darwin_arm64"];

/// Checksums as `sha256sum` writes them, each another.
fn checksums(folder: &Path, platforms: &[&str]) -> PathBuf {
    let lines = platforms.iter().enumerate().map(|(index, platform)| {
        let sum = format!("{:064x}", index + 10);
        format!("{sum}  brimful_1.2.3_{platform}.tar.gz\n")
    });
    let path = folder.join("checksums.txt");
    fs::write(&path, lines.collect::<String>()).expect("checksums");
    path
}

fn rendered(platforms: &[&str]) -> (tempfile::TempDir, Output) {
    let folder = tempfile::tempdir().expect("a folder");
    let sums = checksums(folder.path(), platforms);
    let (sums, out) = (
        sums.to_str().expect("UTF-8"),
        folder.path().to_str().expect("UTF-8"),
    );
    let ended = script("render.sh", &["1.2.3", sums, "https://example.com/brimful", out]);
    (folder, ended)
}

#[test]
fn krew_and_homebrew_get_each_platforms_archive_with_its_checksum() {
    let (folder, ended) = rendered(&PLATFORMS);
    assert!(ended.status.success(), "{}", said(&ended));
    let krew = fs::read_to_string(folder.path().join("krew.yaml")).expect("the manifest");
    let krew: Value = serde_saphyr::from_str(&krew).expect("YAML");
    assert_eq!(krew["spec"]["version"], "v1.2.3");
    let platforms = krew["spec"]["platforms"].as_array().expect("platforms");
    assert_eq!(platforms.len(), PLATFORMS.len());
    let formula = fs::read_to_string(folder.path().join("brimful.rb")).expect("the formula");
    assert!(!formula.contains('@'), "{formula}");
    for (index, (platform, entry)) in PLATFORMS.iter().zip(platforms).enumerate() {
        let labels = &entry["selector"]["matchLabels"];
        let named = format!(
            "{}_{}",
            labels["os"].as_str().unwrap(),
            labels["arch"].as_str().unwrap()
        );
        assert_eq!(&named, platform);
        let uri =
            format!("https://example.com/brimful/releases/download/v1.2.3/brimful_1.2.3_{platform}.tar.gz");
        let sum = format!("{:064x}", index + 10);
        assert_eq!(
            (&entry["uri"], &entry["sha256"]),
            (&Value::from(uri.as_str()), &Value::from(sum.as_str()))
        );
        let lines = format!("url \"{uri}\"\n      sha256 \"{sum}\"");
        assert!(formula.contains(&lines), "{lines}\n{formula}");
    }
}

#[test]
fn a_release_without_one_of_its_archives_is_refused() {
    let (folder, ended) = rendered(&PLATFORMS[..3]);
    assert!(!ended.status.success());
    assert!(
        said(&ended).contains("no checksum of brimful_1.2.3_darwin_arm64.tar.gz"),
        "{}",
        said(&ended)
    );
    assert!(!folder.path().join("krew.yaml").exists(), "nothing half done");
}
