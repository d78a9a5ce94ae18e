use super::*;
use brimful_types::ErrorKind;

const TWO_POOLS: &str = r#"
# a comment first
apiVersion: karpenter.sh/v1
kind: NodePool
metadata:
  name: spot
spec:
  weight: 10
  limits:
    cpu: 100
  template:
    spec:
      requirements:
        - key: karpenter.sh/capacity-type
          operator: In
          values: ["spot"]
        - {key: karpenter.k8s.aws/instance-generation, operator: Gt, values: ["4"]}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: other}
---
apiVersion: karpenter.sh/v1
kind: NodePool
metadata:
  name: committed
  labels:
    brimful.dev/managed: "true"
spec:
  template:
    spec:
      requirements: []
"#;

fn pools(text: &str) -> Result<Vec<NodePool>> {
    parse_node_pools("pools.yaml", &[("pools.yaml".to_owned(), text.to_owned())])
}

fn node_list(text: &str) -> Result<Vec<Node>> {
    parse_nodes("nodes.yaml", &[("nodes.yaml".to_owned(), text.to_owned())])
}

fn names(text: &str) -> Vec<String> {
    pools(text).unwrap().into_iter().map(|pool| pool.name).collect()
}

fn error(text: &str) -> String {
    let error = pools(text).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage);
    error.to_string()
}

#[test]
fn several_documents_are_read_sorted_and_other_kinds_passed_over() {
    let pools = pools(TWO_POOLS).unwrap();
    assert_eq!(names(TWO_POOLS), ["committed", "spot"]);
    assert_eq!(
        (pools[1].weight, pools[1].limits["cpu"].as_str()),
        (Some(10), "100")
    );
    assert!(
        pools[1]
            .requirements
            .get("karpenter.k8s.aws/instance-generation")
            .allows("5")
    );
    assert_eq!(pools[0].labels["brimful.dev/managed"], "true");
}

#[test]
fn lists_in_yaml_and_json_are_taken_apart() {
    let list = r#"{"apiVersion":"v1","kind":"List","items":[
        {"apiVersion":"karpenter.sh/v1","kind":"NodePool","metadata":{"name":"a"},"spec":{"template":{"spec":{}}}}]}
        {"apiVersion":"karpenter.sh/v1","kind":"NodePoolList","items":[{"metadata":{"name":"b"},"spec":{"template":{"spec":{}}}}]}"#;
    assert_eq!(
        names(list),
        ["a", "b"],
        "two JSON documents, one of them a typed list"
    );
    let yaml = "kind: NodePoolList\napiVersion: karpenter.sh/v1\nitems:\n- metadata: {name: c}\n  spec: {template: {spec: {}}}\n";
    assert_eq!(names(yaml), ["c"]);
}

#[test]
fn errors_name_file_document_line_pool_and_field() {
    let text = TWO_POOLS.replace("requirements: []", "requirements: [{key: a, operator: Near}]");
    assert_eq!(
        error(&text),
        "pools.yaml: document 3 (line 23): NodePool \"committed\": spec.template.spec.requirements[0]: label a: unknown operator \"Near\""
    );
    let text = TWO_POOLS.replace("\"true\"", "true");
    assert!(
        error(&text)
            .ends_with("metadata.labels.brimful.dev/managed: expected a string, found true (quote it)")
    );
    let text = error("kind: NodePool\n  metadata: x");
    assert!(
        text.starts_with("pools.yaml: ") && text.contains("line 2"),
        "{text}"
    );
    assert!(error("{\"kind\": }").contains("line 1 column 10"));
    assert!(error("just words").contains("document 1 (line 1): not a Kubernetes object"));
}

#[test]
fn a_pool_given_twice_is_an_error() {
    let text = TWO_POOLS.replace("name: committed", "name: spot");
    assert_eq!(
        error(&text),
        "pools.yaml: document 3 (line 23): NodePool \"spot\" is given twice, first in pools.yaml: document 1 (line 3)"
    );
}

#[test]
fn a_file_without_usable_pools_says_what_it_has() {
    assert_eq!(
        error(""),
        "pools.yaml: no NodePool of karpenter.sh in it (it is empty)"
    );
    let other = "kind: Deployment\n---\nkind: NodePool\napiVersion: example.com/v1\n";
    assert_eq!(
        error(other),
        "pools.yaml: no NodePool of karpenter.sh in it (it has Deployment, NodePool of example.com)"
    );
    let beta = TWO_POOLS.replace("karpenter.sh/v1", "karpenter.sh/v1beta1");
    assert_eq!(
        error(&beta),
        "pools.yaml: every NodePool in it is karpenter.sh/v1beta1; Brimful needs karpenter.sh/v1"
    );
}

#[test]
fn nodes_may_be_none_but_not_something_else() {
    let list = |items: &str| format!("apiVersion: v1\nkind: List\nitems: [{items}]\n");
    let node = "{apiVersion: v1, kind: Node, metadata: {name: n, creationTimestamp: 2026-11-20T08:00:00Z}}";
    assert_eq!(node_list(&list("")).unwrap(), []);
    assert_eq!(node_list(&list(node)).unwrap().len(), 1);
    let error = node_list(&list("{kind: Pod}")).unwrap_err();
    assert_eq!(error.to_string(), "nodes.yaml: no Node in it (it has Pod)");
}

#[test]
fn a_missing_file_is_a_usage_error_that_names_it() {
    let error = node_pools(Path::new("/nonexistent/pools.yaml")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage);
    assert!(
        error
            .to_string()
            .starts_with("cannot read /nonexistent/pools.yaml: "),
        "{error}"
    );
}

#[test]
fn the_nodes_of_a_large_cluster_are_within_the_parsers_bounds() {
    let labels: Vec<String> = (0..60)
        .map(|n| format!("    example.com/label-{n}: value\n"))
        .collect();
    let labels = labels.concat();
    let node = |n| {
        format!(
            "kind: Node\nmetadata:\n  name: n{n}\n  creationTimestamp: 2026-11-20T08:00:00Z\n  labels:\n{labels}---\n"
        )
    };
    let nodes: Vec<String> = (0..2500).map(node).collect();
    let text = nodes.concat();
    assert_eq!(node_list(&text).unwrap().len(), 2500);
}

#[test]
fn mistakes_that_are_made_most_are_told_with_their_cure() {
    let told = |text: &str| {
        let error = pools(text).unwrap_err();
        (
            error.to_string(),
            error.next_step().unwrap_or_default().to_owned(),
        )
    };
    let (twice, cure) = told(
        "apiVersion: karpenter.sh/v1\nkind: NodePool\nmetadata: {name: a}\nspec:\n  weight: 1\n  weight: 2\n",
    );
    assert!(
        twice.starts_with("pools.yaml: line 6 column 3: duplicate mapping key `weight`"),
        "{twice}"
    );
    assert!(
        !twice.contains("DuplicateKeyPolicy"),
        "no word of the parser's own settings: {twice}"
    );
    assert_eq!(
        cure,
        "a key may stand once in a mapping: keep the one that is meant"
    );

    let (tab, cure) = told("kind: NodePool\nspec:\n\tweight: 1\n");
    assert!(tab.contains("line 3"), "{tab}");
    assert_eq!(cure, "YAML is indented by blanks: replace the tab");

    let cure = "a NodePool begins with `apiVersion: karpenter.sh/v1` and `kind: NodePool`";
    for (text, wrong) in [
        (
            "apiVersion: karpenter.sh/v1\nmetadata: {name: a}\n",
            "an object without a kind",
        ),
        (
            "kind: NodePool\nmetadata: {name: a}\n",
            "NodePool \"a\" has no apiVersion",
        ),
        (
            "kind: NodePool\napiVersion: karpenter/v1\nmetadata: {name: a}\n",
            "NodePool \"a\": apiVersion \"karpenter/v1\" is not Karpenter's",
        ),
        (
            "kind: Nodepool\napiVersion: karpenter.sh/v1\n",
            "kind \"Nodepool\" is written NodePool",
        ),
    ] {
        let file = format!("pools.yaml: document 1 (line 1): {wrong}");
        assert_eq!(told(text), (file, cure.to_owned()));
    }
}

#[test]
fn a_name_that_kubernetes_would_refuse_is_refused_without_being_acted_on() {
    let text = TWO_POOLS.replace("name: committed", r#"name: "a\e[2J\u202e""#);
    let error = error(&text);
    assert!(
        error.contains(r#"NodePool "a\u{1b}[2J\u{202e}": metadata.name"#),
        "{error}"
    );
    assert!(error.chars().all(|c| !c.is_control()), "{error:?}");
}

#[test]
fn a_folder_is_all_manifests_in_it_but_not_below_it() {
    let folder = tempfile::tempdir().unwrap();
    let pool = |name: &str| {
        format!(
            "apiVersion: karpenter.sh/v1\nkind: NodePool\nmetadata: {{name: {name}}}\nspec: {{template: {{spec: {{}}}}}}\n"
        )
    };
    let write = |file: &str, text: &str| std::fs::write(folder.path().join(file), text).unwrap();
    let read = || node_pools(folder.path());
    let empty = read().unwrap_err();
    assert!(
        empty.to_string().contains("no manifest in this folder"),
        "{empty}"
    );
    std::fs::create_dir(folder.path().join("below.yaml")).unwrap();
    write("b.yml", &pool("b"));
    write("a.yaml", &pool("z"));
    write("notes.txt", "{{");
    write("kustomization.yaml", "resources: [a.yaml, b.yml]\n");
    let names: Vec<String> = read().unwrap().into_iter().map(|pool| pool.name).collect();
    assert_eq!(names, ["b", "z"]);
    write(
        "c.json",
        r#"{"apiVersion":"karpenter.sh/v1","kind":"NodePool","metadata":{"name":"z"},"spec":{"template":{"spec":{}}}}"#,
    );
    let twice = read().unwrap_err().to_string();
    assert!(
        twice.contains("c.json: document 1") && twice.contains("a.yaml: document 1"),
        "{twice}"
    );
}
