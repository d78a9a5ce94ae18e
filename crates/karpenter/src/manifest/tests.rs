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

fn names(text: &str) -> Vec<String> {
    parse_node_pools("pools.yaml", text)
        .unwrap()
        .into_iter()
        .map(|pool| pool.name)
        .collect()
}

fn error(text: &str) -> String {
    let error = parse_node_pools("pools.yaml", text).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage);
    error.to_string()
}

#[test]
fn several_documents_are_read_sorted_and_other_kinds_passed_over() {
    let pools = parse_node_pools("pools.yaml", TWO_POOLS).unwrap();
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
        "pools.yaml: document 3 (line 23): NodePool \"spot\" is given twice"
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
        "pools.yaml: no NodePool of karpenter.sh in it (it has Deployment, NodePool)"
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
    assert_eq!(parse_nodes("nodes.yaml", &list("")).unwrap(), []);
    assert_eq!(parse_nodes("nodes.yaml", &list(node)).unwrap().len(), 1);
    let error = parse_nodes("nodes.yaml", &list("{kind: Pod}")).unwrap_err();
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
    assert_eq!(parse_nodes("nodes.yaml", &text).unwrap().len(), 2500);
}
