//! Tab, as shells and kubectl ask.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output};

use crate::support::hermetic_env;
use crate::support::run::Brimful;

const PROGRAM: &str = env!("CARGO_BIN_EXE_brimful");

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// What bash would offer for the last word.
fn offered(words: &[&str]) -> Vec<String> {
    let asked = Command::new(PROGRAM)
        .env_clear()
        .envs(hermetic_env())
        .env("BRIMFUL_COMPLETE", "bash")
        .env("_CLAP_COMPLETE_INDEX", words.len().to_string())
        .env("_CLAP_IFS", "\n")
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["--", "brimful"])
        .args(words)
        .output()
        .expect("the program starts");
    said(&asked).lines().map(str::to_owned).collect()
}

#[test]
fn each_shell_gets_a_script_that_asks_the_program() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = Brimful::new("completions").arg(shell).ends(0).stdout;
        assert!(
            script.contains("BRIMFUL_COMPLETE") && script.contains("brimful"),
            "{shell}: {script}"
        );
    }
}

#[test]
fn commands_flags_and_values_are_offered() {
    assert!(offered(&["uti"]).contains(&"utilization".to_owned()));
    assert!(offered(&["plan", "--nodep"]).contains(&"--nodepools".to_owned()));
    assert_eq!(offered(&["plan", "-o", "mark"]), ["markdown"]);
}

#[test]
fn node_pools_come_from_the_file_on_the_command_line_and_contexts_from_the_kubeconfig() {
    let pools = "fixtures/nodepools.yaml";
    let some = offered(&["plan", "--nodepools", pools, "--explain", "mem"]);
    assert_eq!(some, ["memory-committed"]);
    assert!(offered(&["plan", "--nodepools", pools, "--explain", ""]).len() > 5);
    assert!(offered(&["plan", "--nodepools", "no-such-file", "--explain", ""]).is_empty());

    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("config");
    let contexts = r#"{"apiVersion": "v1", "kind": "Config", "clusters": [], "users": [], "contexts":
        [{"name": "prod", "context": {"cluster": "a", "user": "b"}}, {"name": "staging", "context": {"cluster": "a", "user": "b"}}]}"#;
    std::fs::write(&file, contexts).expect("a kubeconfig");
    let kubeconfig = file.to_str().expect("UTF-8");
    assert_eq!(
        offered(&["plan", "--kubeconfig", kubeconfig, "--context", "st"]),
        ["staging"]
    );
    // No cluster answers there: nothing to offer, and nothing to say.
    assert!(offered(&["reset", "--kubeconfig", kubeconfig, "--nodepool", ""]).is_empty());
}

/// The program as kubectl finds it in a folder of the PATH.
fn as_plugin(folder: &Path) -> String {
    symlink(PROGRAM, folder.join("kubectl-brimful")).expect("a link");
    let path = std::env::var_os("PATH").unwrap_or_default();
    format!("{}:{}", folder.display(), path.to_string_lossy())
}

#[test]
fn as_a_plugin_of_kubectl_it_speaks_of_itself_as_such_and_answers_kubectls_tab() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = as_plugin(folder.path());
    let help = Command::new(folder.path().join("kubectl-brimful"))
        .args(["plan", "--help"])
        .output();
    let help = said(&help.expect("the plugin starts"));
    assert!(help.contains("Usage: kubectl brimful plan"), "{help}");

    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/kubectl_complete-brimful");
    let complete = |words: &[&str]| {
        let asked = Command::new(&script).env("PATH", &path).args(words).output();
        said(&asked.expect("the script starts"))
    };
    assert_eq!(complete(&["uti"]), "utilization\n:4\n");
    let pools = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/nodepools.yaml");
    assert_eq!(
        complete(&["plan", "--nodepools", pools, "--explain", "mem"]),
        "memory-committed\n:4\n"
    );
    assert!(complete(&["plan", "--explain", "no-such-pool"]).ends_with(":0\n"));
}
