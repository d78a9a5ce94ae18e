//! `NodePool`s and Nodes from a file instead of a cluster: YAML or JSON, several documents or a List.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;
use serde_saphyr::{Options, Spanned};

use super::json::owner;
use super::node::Node;
use super::nodepool::NodePool;
use brimful_types::{Error, Result};

/// Reads the `NodePool`s of a manifest file, sorted by name; objects of other kinds are passed over.
///
/// # Errors
/// A usage error that names the file and, where it can, document and line: unreadable, malformed, a `NodePool`
/// given twice, no `NodePool` at all, or none of `karpenter.sh/v1`.
pub fn node_pools(path: &Path) -> Result<Vec<NodePool>> {
    parse_node_pools(&path.display().to_string(), &read(path)?)
}

/// Reads the Nodes of a manifest file, sorted by name; objects of other kinds are passed over. An empty List is
/// a cluster without Nodes.
///
/// # Errors
/// A usage error that names the file and, where it can, document and line: unreadable, malformed, a Node given
/// twice, or other objects only.
pub fn nodes(path: &Path) -> Result<Vec<Node>> {
    parse_nodes(&path.display().to_string(), &read(path)?)
}

fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path)
        .map_err(|error| Error::usage(format!("cannot read {}: {error}", path.display())))
}

fn parse_node_pools(file: &str, text: &str) -> Result<Vec<NodePool>> {
    let objects = objects(file, text)?;
    let wanted = |object: &&Object| object.kind() == "NodePool" && object.group() == "karpenter.sh";
    let found: Vec<_> = objects.iter().filter(wanted).collect();
    if found.is_empty() {
        return Err(none_found(file, "NodePool of karpenter.sh", &objects));
    }
    let mut pools = parse_all(file, &found, NodePool::from_json)?;
    if !pools.iter().any(NodePool::is_v1) {
        let version = &pools[0].api_version;
        return Err(Error::usage(format!(
            "{file}: every NodePool in it is {version}; Brimful needs karpenter.sh/v1"
        ))
        .hint("read them from a cluster with Karpenter 1.0 or later, or convert them"));
    }
    pools.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(pools)
}

fn parse_nodes(file: &str, text: &str) -> Result<Vec<Node>> {
    let objects = objects(file, text)?;
    let found: Vec<_> = objects
        .iter()
        .filter(|object| object.kind() == "Node" && object.group().is_empty())
        .collect();
    if found.is_empty() && !objects.is_empty() {
        return Err(none_found(file, "Node", &objects));
    }
    let mut nodes = parse_all(file, &found, Node::from_json)?;
    nodes.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(nodes)
}

fn none_found(file: &str, wanted: &str, objects: &[Object]) -> Error {
    let kinds: BTreeSet<_> = objects.iter().map(Object::kind).collect();
    let kinds: Vec<_> = kinds
        .into_iter()
        .map(|kind| if kind.is_empty() { "no kind" } else { kind })
        .collect();
    let found = if kinds.is_empty() {
        "it is empty".to_owned()
    } else {
        format!("it has {}", kinds.join(", "))
    };
    Error::usage(format!("{file}: no {wanted} in it ({found})"))
}

fn parse_all<T>(file: &str, objects: &[&Object], parse: impl Fn(&Value) -> Result<T>) -> Result<Vec<T>> {
    let mut seen = BTreeSet::new();
    let one = |object: &&Object| {
        let parsed = parse(&object.value).map_err(|error| object.error(file, &error))?;
        let name = owner(object.kind(), &object.value);
        if seen.insert(name.clone()) {
            Ok(parsed)
        } else {
            Err(object.error(file, format_args!("{name} is given twice")))
        }
    };
    objects.iter().map(one).collect()
}

/// An object and where its document stands in the file.
struct Object {
    document: usize,
    line: u64,
    value: Value,
}

impl Object {
    fn text(&self, field: &str) -> &str {
        self.value.get(field).and_then(Value::as_str).unwrap_or_default()
    }

    fn kind(&self) -> &str {
        self.text("kind")
    }

    /// The API group; empty for the core group.
    fn group(&self) -> &str {
        self.text("apiVersion")
            .split_once('/')
            .map_or("", |(group, _)| group)
    }

    fn error(&self, file: &str, what: impl std::fmt::Display) -> Error {
        Error::usage(format!(
            "{file}: document {} (line {}): {what}",
            self.document, self.line
        ))
    }
}

/// The objects of a file, lists taken apart.
fn objects(file: &str, text: &str) -> Result<Vec<Object>> {
    let documents = if text.trim_start().starts_with('{') {
        json(text)
    } else {
        yaml(text)
    };
    let documents = documents.map_err(|what| Error::usage(format!("{file}: {what}")))?;
    let mut objects = Vec::new();
    for (index, (line, value)) in documents.into_iter().enumerate() {
        let object = |value| Object {
            document: index + 1,
            line,
            value,
        };
        match items(value) {
            Ok(list) => objects.extend(list.into_iter().map(object)),
            Err(value) if value.is_object() => objects.push(object(value)),
            Err(value) => return Err(object(value).error(file, "not a Kubernetes object")),
        }
    }
    Ok(objects)
}

/// The items of a `List`, `NodePoolList` or `NodeList`, or the value itself. Items of a typed list leave out what
/// the list already says of them.
fn items(mut value: Value) -> Result<Vec<Value>, Value> {
    let text = |field| value.get(field).and_then(Value::as_str).map(str::to_owned);
    let (kind, version) = (text("kind"), text("apiVersion"));
    let Some(kind) = kind.as_deref().and_then(|kind| kind.strip_suffix("List")) else {
        return Err(value);
    };
    let Some(Value::Array(items)) = value.get_mut("items").map(Value::take) else {
        return Err(value);
    };
    let complete = |mut item: Value| {
        if let (Some(object), false) = (item.as_object_mut(), kind.is_empty()) {
            object.entry("kind").or_insert_with(|| kind.into());
            object
                .entry("apiVersion")
                .or_insert_with(|| version.clone().into());
        }
        item
    };
    Ok(items.into_iter().map(complete).collect())
}

/// The documents of a YAML stream with their lines.
fn yaml(text: &str) -> Result<Vec<(u64, Value)>, String> {
    let documents: Vec<Spanned<Value>> =
        serde_saphyr::from_multiple_with_options(text, options()).map_err(|error| error.to_string())?;
    Ok(documents
        .into_iter()
        .map(|document| (document.referenced.line(), document.value))
        .collect())
}

/// The user's own file, as large as a big cluster's Nodes: the parser's guards against hostile input step back.
/// A bare `n` or `on` stays the name that it is.
fn options() -> Options {
    serde_saphyr::options! {
        strict_booleans: true,
        budget: serde_saphyr::budget! {
            max_events: 100_000_000,
            max_nodes: 50_000_000,
            max_documents: 1_000_000,
            max_total_scalar_bytes: 1 << 30,
        },
    }
}

/// The documents of a JSON stream with their lines.
fn json(text: &str) -> Result<Vec<(u64, Value)>, String> {
    let mut stream = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    let mut documents = Vec::new();
    loop {
        let start = stream.byte_offset();
        let gap = text[start..].len() - text[start..].trim_start().len();
        let line = 1 + text[..start + gap].matches('\n').count() as u64;
        match stream.next() {
            None => return Ok(documents),
            Some(document) => documents.push((line, document.map_err(|error| error.to_string())?)),
        }
    }
}

#[cfg(test)]
mod tests;
