//! `brimful demo`: the story in a second, for whoever has the binary alone.

use crate::support::run::{Brimful, NOW};

#[test]
fn the_demo_shows_two_commands_and_what_they_print() {
    let shown = Brimful::new("demo").ends(0).stdout;
    let cur = ["--cur", "fixtures/cur/legacy"];
    let utilization = Brimful::new("utilization").args(cur).args(["--now", NOW]).ends(0);
    let plan = Brimful::plan("fixtures/cur/legacy").ends(0);
    let expected = format!(
        "$ brimful utilization --cur fixtures/cur/legacy --now {NOW}\n{}\n$ brimful plan --cur fixtures/cur/legacy \
         --nodepools fixtures/nodepools.yaml --nodes fixtures/nodes.yaml --now {NOW}\n{}",
        utilization.stdout, plan.stdout
    );
    let next = shown.strip_prefix(&expected).expect("the two commands first");
    assert!(
        next.contains("$ brimful backtest --cur fixtures/cur/legacy"),
        "{next}"
    );
}

#[test]
fn it_needs_no_checkout_and_heeds_no_setting_of_the_caller() {
    let elsewhere = tempfile::tempdir().expect("a folder");
    let demo = Brimful::new("demo")
        .env("BRIMFUL_CONFIG", "/nonexistent.yaml")
        .env("BRIMFUL_OUTPUT", "json")
        .env("BRIMFUL_CUR", "s3://somewhere/else")
        .current_dir(elsewhere.path());
    let shown = demo.ends(0).stdout;
    assert!(shown.contains(&Brimful::plan("fixtures/cur/legacy").ends(0).stdout));
    // Its paths lead nowhere here.
    assert!(
        !shown.contains("$ brimful") && shown.contains("demo --keep DIR"),
        "{shown}"
    );
    let left = std::fs::read_dir(elsewhere.path()).expect("the folder").count();
    assert_eq!(left, 0, "nothing is left behind");
}

#[test]
fn its_files_can_be_kept_and_tried() {
    let folder = tempfile::tempdir().expect("a folder");
    let kept = folder.path().join("month");
    let demo = Brimful::new("demo").arg("--keep").arg(&kept).ends(0);
    assert!(demo.stdout.contains("run these commands in"), "{demo:?}");
    let doctor = Brimful::new("doctor").on_the_fixtures_cluster();
    let doctor = doctor.args(["--cur", "fixtures/cur/legacy"]).current_dir(&kept);
    assert!(doctor.ends(0).stdout.contains("0 checks failed"));
    let file = folder.path().join("file");
    std::fs::write(&file, "").expect("a file");
    let error = Brimful::new("demo").arg("--keep").arg(&file).fails(1);
    assert!(error.contains("--keep DIR"), "{error}");
}
