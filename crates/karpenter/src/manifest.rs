//! `NodePool`s and Nodes from files instead of a cluster: YAML or JSON, several documents or a List. As `kubectl -f`
//! takes them: one file, a folder of files, or `-` for standard input.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use serde_json::Value;
use serde_saphyr::{Options, Spanned, UserMessageFormatter};

use super::json::owner;
use super::node::Node;
use super::nodepool::{API_VERSION, NodePool};
use brimful_types::{Error, Result};

/// The kind and the group of what weights are set on.
const NODE_POOL: (&str, &str) = ("NodePool", "karpenter.sh");

/// Reads the `NodePool`s of manifests, sorted by name; objects of other kinds are passed over.
///
/// # Errors
/// A usage error that names the file and, where it can, document and line: unreadable, malformed, a `NodePool`
/// given twice, no `NodePool` at all, or none of `karpenter.sh/v1`.
pub fn node_pools(path: &Path) -> Result<Vec<NodePool>> {
    parse_node_pools(&place(path), &sources(path)?)
}

/// Reads the Nodes of manifests, sorted by name; objects of other kinds are passed over. An empty List is a cluster
/// without Nodes.
///
/// # Errors
/// A usage error that names the file and, where it can, document and line: unreadable, malformed, a Node given
/// twice, or other objects only.
pub fn nodes(path: &Path) -> Result<Vec<Node>> {
    parse_nodes(&place(path), &sources(path)?)
}

/// A file's name and text.
type Source = (String, String);

fn place(path: &Path) -> String {
    if path == Path::new("-") {
        return "standard input".to_owned();
    }
    path.display().to_string()
}

/// The files at a path, in the order of their names.
fn sources(path: &Path) -> Result<Vec<Source>> {
    if path == Path::new("-") {
        return Ok(vec![(place(path), standard_input()?)]);
    }
    if !path.is_dir() {
        return Ok(vec![(place(path), read(path)?)]);
    }
    let files = manifests_in(path).map_err(|error| unreadable(path, &error))?;
    if files.is_empty() {
        let what = format!("{}: no manifest in this folder", path.display());
        return Err(Error::usage(what)
            .hint("it takes *.yaml, *.yml and *.json; folders below it are not looked into"));
    }
    files.iter().map(|file| Ok((place(file), read(file)?))).collect()
}

/// The manifests in a folder itself. A kustomization lists objects and is none.
fn manifests_in(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let is_manifest = path
            .extension()
            .is_some_and(|extension| ["yaml", "yml", "json"].iter().any(|known| extension == *known));
        let is_kustomization = path.file_stem().is_some_and(|stem| stem == "kustomization");
        if is_manifest && !is_kustomization && path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Standard input, which can be read only once, but may hold `NodePool`s and Nodes.
fn standard_input() -> Result<String> {
    static TEXT: OnceLock<Result<String, String>> = OnceLock::new();
    let read = || {
        let mut text = String::new();
        let read = std::io::stdin().lock().read_to_string(&mut text);
        read.map(|_| text).map_err(|error| error.to_string())
    };
    let text = TEXT.get_or_init(read).clone();
    text.map_err(|error| Error::usage(format!("cannot read standard input: {error}")))
}

fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).map_err(|error| unreadable(path, &error))
}

fn unreadable(path: &Path, error: &std::io::Error) -> Error {
    Error::usage(format!("cannot read {}: {error}", path.display()))
}

fn parse_node_pools(place: &str, sources: &[Source]) -> Result<Vec<NodePool>> {
    let objects = all_objects(sources)?;
    for object in &objects {
        object.check_identity()?;
    }
    let wanted = |object: &&Object| (object.kind(), object.group()) == NODE_POOL;
    let found: Vec<_> = objects.iter().filter(wanted).collect();
    if found.is_empty() {
        return Err(none_found(place, "NodePool of karpenter.sh", &objects));
    }
    let mut pools = parse_all(&found, NodePool::from_json)?;
    if !pools.iter().any(NodePool::is_v1) {
        let version = &pools[0].api_version;
        return Err(Error::usage(format!(
            "{place}: every NodePool in it is {version}; Brimful needs {API_VERSION}"
        ))
        .hint("read them from a cluster with Karpenter 1.0 or later, or convert them"));
    }
    pools.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(pools)
}

fn parse_nodes(place: &str, sources: &[Source]) -> Result<Vec<Node>> {
    let objects = all_objects(sources)?;
    let found: Vec<_> = objects
        .iter()
        .filter(|object| object.kind() == "Node" && object.group().is_empty())
        .collect();
    if found.is_empty() && !objects.is_empty() {
        return Err(none_found(place, "Node", &objects));
    }
    let mut nodes = parse_all(&found, Node::from_json)?;
    nodes.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(nodes)
}

fn none_found(place: &str, wanted: &str, objects: &[Object]) -> Error {
    let kinds: BTreeSet<_> = objects.iter().map(Object::shown_kind).collect();
    let kinds: Vec<_> = kinds.into_iter().collect();
    let found = if kinds.is_empty() {
        "it is empty".to_owned()
    } else {
        format!("it has {}", kinds.join(", "))
    };
    Error::usage(format!("{place}: no {wanted} in it ({found})"))
}

fn parse_all<T>(objects: &[&Object], parse: impl Fn(&Value) -> Result<T>) -> Result<Vec<T>> {
    let mut seen: BTreeMap<String, &Object> = BTreeMap::new();
    let mut all = Vec::new();
    for object in objects {
        all.push(parse(&object.value).map_err(|error| object.error(&error))?);
        let name = owner(object.kind(), &object.value);
        object.check_name(&name)?;
        if let Some(first) = seen.insert(name.clone(), object) {
            let error = object.error(format_args!("{name} is given twice, first in {}", first.place()));
            return Err(error.hint("leave one of the two out"));
        }
    }
    Ok(all)
}

/// An object and where its document stands.
struct Object {
    file: String,
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

    /// The kind, with the group where the kind alone could be taken for what was looked for.
    fn shown_kind(&self) -> String {
        match (self.kind(), self.group()) {
            ("", _) => "no kind".to_owned(),
            (kind, group) if kind == NODE_POOL.0 && !group.is_empty() => format!("{kind} of {group}"),
            (kind, _) => kind.to_owned(),
        }
    }

    /// Refuses what would otherwise be passed over in silence although a `NodePool` is meant.
    fn check_identity(&self) -> Result<()> {
        let (kind, version) = (self.kind(), self.text("apiVersion"));
        let hint = "a NodePool begins with `apiVersion: karpenter.sh/v1` and `kind: NodePool`";
        let what = if kind.is_empty() {
            "an object without a kind".to_owned()
        } else if kind != NODE_POOL.0 && kind.eq_ignore_ascii_case(NODE_POOL.0) {
            format!("kind {kind:?} is written NodePool")
        } else if kind == NODE_POOL.0 && version.is_empty() {
            format!("{} has no apiVersion", owner(kind, &self.value))
        } else if kind == NODE_POOL.0 && self.group() != NODE_POOL.1 && is_misspelled(version) {
            format!(
                "{}: apiVersion {version:?} is not Karpenter's",
                owner(kind, &self.value)
            )
        } else {
            return Ok(());
        };
        Err(self.error(what).hint(hint))
    }

    /// Refuses a name that no API server would take; a terminal might not either.
    fn check_name(&self, owner: &str) -> Result<()> {
        let name = self.value.pointer("/metadata/name").and_then(Value::as_str);
        let is_allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.');
        match name {
            Some(name) if !name.is_empty() && name.len() <= 253 && name.chars().all(is_allowed) => Ok(()),
            _ => Err(self.error(format_args!(
                "{owner}: metadata.name: lower-case letters, digits, - and . are what Kubernetes takes"
            ))),
        }
    }

    fn place(&self) -> String {
        format!("{}: document {} (line {})", self.file, self.document, self.line)
    }

    fn error(&self, what: impl std::fmt::Display) -> Error {
        Error::usage(format!("{}: {what}", self.place()))
    }
}

/// Whether an API version is meant to be Karpenter's and is not: another controller's kind of the same name has a
/// group of its own.
fn is_misspelled(version: &str) -> bool {
    let group = version.split_once('/').map_or("", |(group, _)| group);
    group.is_empty() || group.eq_ignore_ascii_case(NODE_POOL.1) || group == "karpenter"
}

/// The objects of all files.
fn all_objects(sources: &[Source]) -> Result<Vec<Object>> {
    let mut all = Vec::new();
    for (file, text) in sources {
        all.extend(objects(file, text)?);
    }
    Ok(all)
}

/// The objects of a file, lists taken apart.
fn objects(file: &str, text: &str) -> Result<Vec<Object>> {
    let documents = if text.trim_start().starts_with('{') {
        json(text).map_err(|what| Error::usage(format!("{file}: {what}")))?
    } else {
        yaml(file, text)?
    };
    let mut objects = Vec::new();
    for (index, (line, value)) in documents.into_iter().enumerate() {
        let object = |value| Object {
            file: file.to_owned(),
            document: index + 1,
            line,
            value,
        };
        match items(value) {
            Ok(list) => objects.extend(list.into_iter().map(object)),
            Err(value) if value.is_object() => objects.push(object(value)),
            Err(value) => return Err(object(value).error("not a Kubernetes object")),
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
fn yaml(file: &str, text: &str) -> Result<Vec<(u64, Value)>> {
    let documents: Vec<Spanned<Value>> = serde_saphyr::from_multiple_with_options(text, options())
        .map_err(|error| malformed(file, text, &error))?;
    Ok(documents
        .into_iter()
        .map(|document| (document.referenced.line(), document.value))
        .collect())
}

/// What the parser says, and what is to be done about the mistakes that are made most.
fn malformed(file: &str, text: &str, error: &serde_saphyr::Error) -> Error {
    let said = error.render_with_formatter(&UserMessageFormatter);
    let malformed = Error::usage(format!("{file}: {}", said.trim_start_matches("error: ")));
    let line = error.location().and_then(|at| usize::try_from(at.line()).ok());
    let line = line.and_then(|number| text.lines().nth(number.saturating_sub(1)));
    let is_tabbed = |line: &str| {
        let indent = line.len() - line.trim_start().len();
        line[..indent].contains('\t')
    };
    if matches!(
        error.without_snippet(),
        serde_saphyr::Error::DuplicateMappingKey { .. }
    ) {
        malformed.hint("a key may stand once in a mapping: keep the one that is meant")
    } else if line.is_some_and(is_tabbed) {
        malformed.hint("YAML is indented by blanks: replace the tab")
    } else {
        malformed
    }
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
