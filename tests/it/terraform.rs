//! The Terraform module, without Terraform: it parses, refers only to what it declares, and what it would put into IAM
//! and S3 is what the manifests and the documents say. No provider is asked, so argument names are not checked.

#![allow(
    clippy::needless_pass_by_value,
    reason = "hcl hands a function's arguments over"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use hcl::eval::{Context, Evaluate, FuncArgs, FuncDef, ParamType};
use hcl::{Block, BlockLabel, Body};
use serde_json::{Value, json};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(relative: &str) -> String {
    fs::read_to_string(root().join(relative)).unwrap_or_else(|error| panic!("{relative}: {error}"))
}

/// All files of the module, one after the other.
fn text() -> String {
    let mut files: Vec<_> = fs::read_dir(root().join("terraform"))
        .expect("the module")
        .map(|entry| entry.expect("a file").path())
        .filter(|path| path.extension().is_some_and(|end| end == "tf"))
        .collect();
    files.sort();
    let texts = files.iter().map(|path| fs::read_to_string(path).expect("a file"));
    texts.collect()
}

fn module() -> Body {
    hcl::parse(&text()).unwrap_or_else(|error| panic!("{error}"))
}

fn blocks<'a>(module: &'a Body, kind: &str) -> Vec<&'a Block> {
    module
        .blocks()
        .filter(|block| block.identifier() == kind)
        .collect()
}

fn labels(block: &Block) -> Vec<&str> {
    block.labels().iter().map(BlockLabel::as_str).collect()
}

fn joined(args: FuncArgs) -> Result<hcl::Value, String> {
    let words = args[1].as_array().ok_or("a list")?.iter();
    let words: Option<Vec<&str>> = words.map(hcl::Value::as_str).collect();
    Ok(words
        .ok_or("strings")?
        .join(args[0].as_str().ok_or("a separator")?)
        .into())
}

fn parts(args: FuncArgs) -> Result<hcl::Value, String> {
    let (separator, text) = (
        args[0].as_str().ok_or("a separator")?,
        args[1].as_str().ok_or("a text")?,
    );
    Ok(text.split(separator).map(hcl::Value::from).collect())
}

fn element(args: FuncArgs) -> Result<hcl::Value, String> {
    let index = args[1]
        .as_number()
        .and_then(hcl::Number::as_u64)
        .ok_or("an index")?;
    let list = args[0].as_array().ok_or("a list")?;
    list.get(usize::try_from(index).map_err(|error| error.to_string())?)
        .cloned()
        .ok_or_else(|| "no such element".to_owned())
}

/// The module's locals, with the variables and facts of a cluster as the documents name them.
fn locals() -> Value {
    let mut context = Context::new();
    let function = |one: ParamType, other: ParamType| FuncDef::builder().param(one).param(other);
    let (string, list) = (ParamType::String, || ParamType::array_of(ParamType::Any));
    context.declare_func("join", function(string.clone(), list()).build(joined));
    context.declare_func("split", function(string.clone(), string).build(parts));
    context.declare_func("element", function(list(), ParamType::Number).build(element));
    context.declare_var(
        "var",
        hcl::value!({
            bucket = "BUCKET", prefix = "PREFIX", namespace = "brimful", service_account = "brimful",
            oidc_provider_arn = "arn:aws:iam::111122223333:oidc-provider/OIDC_PROVIDER",
        }),
    );
    context.declare_var(
        "data",
        hcl::value!({
            aws_partition = { current = { partition = "aws" } },
            aws_caller_identity = { payer = { account_id = "444455556666" } },
        }),
    );
    let role = hcl::value!({ this = { arn = "arn:aws:iam::111122223333:role/brimful" } });
    context.declare_var("aws_iam_role", role);
    let module = module();
    let mut known = hcl::Map::new();
    for attribute in blocks(&module, "locals")
        .iter()
        .flat_map(|block| block.body().attributes())
    {
        context.declare_var("local", hcl::Value::Object(known.clone()));
        let value = attribute.expr().evaluate(&context);
        let value = value.unwrap_or_else(|error| panic!("{}: {error}", attribute.key()));
        known.insert(attribute.key().to_owned(), value);
    }
    serde_json::to_value(known).expect("values are JSON")
}

/// The names behind a prefix such as `var.`, wherever they stand.
fn named(text: &str, prefix: &str) -> BTreeSet<String> {
    let parts = text.match_indices(prefix).filter(|(at, _)| {
        let before = text[..*at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | '.'))
    });
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    parts
        .map(|(at, _)| {
            text[at + prefix.len()..]
                .split(|c| !is_name(c))
                .next()
                .unwrap_or_default()
                .to_owned()
        })
        .collect()
}

#[test]
fn everything_that_is_used_is_declared_and_nothing_else() {
    let (text, module) = (text(), module());
    let declared = |kind: &str| -> BTreeSet<String> {
        let blocks = blocks(&module, kind).into_iter();
        blocks.map(|block| labels(block).join(".")).collect()
    };
    assert_eq!(declared("variable"), named(&text, "var."));
    let locals = locals();
    let locals: BTreeSet<String> = locals.as_object().expect("locals").keys().cloned().collect();
    assert_eq!(locals, named(&text, "local."));
    for resource in declared("resource") {
        let kind = resource.split('.').next().unwrap_or_default();
        assert!(kind.starts_with("aws_"), "{resource}");
    }
    for (kind, prefix) in [("resource", ""), ("data", "data.")] {
        for resource in declared(kind) {
            let (kind, name) = resource.split_once('.').expect("kind and name");
            for other in named(&text, &format!("{prefix}{kind}.")) {
                assert_eq!(other, name, "{prefix}{kind}.{other} is not declared");
            }
        }
    }
    for block in blocks(&module, "variable")
        .into_iter()
        .chain(blocks(&module, "output"))
    {
        let described = block
            .body()
            .attributes()
            .any(|attribute| attribute.key() == "description");
        assert!(described, "{:?} says what it is", labels(block));
    }
}

#[test]
fn the_role_gets_the_rights_of_the_shipped_policy_and_no_others() {
    let shipped: Value = serde_json::from_str(&read("manifests/iam-policy.json")).expect("JSON");
    assert_eq!(locals()["read_policy"], shipped);
}

/// The JSON documents of a page, in order.
fn json_blocks(page: &str) -> Vec<Value> {
    let text = read(page);
    let blocks = text.split("```json\n").skip(1);
    blocks
        .map(|block| serde_json::from_str(block.split("```").next().unwrap_or_default()).expect("JSON"))
        .collect()
}

#[test]
fn who_may_take_the_role_is_who_the_documents_say() {
    let [pod_identity, irsa] = json_blocks("docs/install/aws.md")
        .try_into()
        .expect("two trust policies");
    let locals = locals();
    assert_eq!(locals["trust_pod_identity"], pod_identity);
    assert_eq!(locals["trust_irsa"], irsa);
}

#[test]
fn the_export_has_the_columns_of_the_query_in_the_documents() {
    let page = read("docs/report.md");
    let query = page
        .split("```sql\n")
        .nth(1)
        .expect("a query")
        .split("```")
        .next()
        .unwrap_or_default();
    let (select, settings) = query.split_once("--").expect("the settings in a comment");
    let columns = select
        .trim()
        .strip_prefix("SELECT")
        .and_then(|text| text.strip_suffix("FROM COST_AND_USAGE_REPORT"));
    let columns: Vec<&str> = columns
        .expect("a plain query")
        .split(',')
        .map(str::trim)
        .collect();
    assert_eq!(locals()["columns"], json!(columns));
    let text = text();
    for setting in settings.trim().split(", ") {
        let (name, value) = setting.split_once('=').expect("name=value");
        let is_set = text.lines().any(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            words == [name, "=", &format!("\"{value}\"")]
        });
        assert!(is_set, "{setting}");
    }
}

#[test]
fn aws_may_deliver_for_this_payer_only_and_nobody_else_may_anything() {
    let policy = locals()["bucket_policy"].clone();
    let statements = policy["Statement"].as_array().expect("statements");
    let allowed: Vec<&Value> = statements
        .iter()
        .filter(|statement| statement["Effect"] == "Allow")
        .collect();
    let [deliver, list, read] = allowed.as_slice() else {
        panic!("{allowed:#?}");
    };
    assert_eq!(
        deliver["Principal"].as_object().expect("services").len(),
        1,
        "services only"
    );
    let limited = &deliver["Condition"]["StringLike"];
    assert_eq!(limited["aws:SourceAccount"], "444455556666");
    for source in limited["aws:SourceArn"].as_array().expect("sources") {
        assert!(
            source.as_str().is_some_and(|arn| arn.contains(":444455556666:")),
            "{source}"
        );
    }
    for (statement, action) in [(list, "s3:ListBucket"), (read, "s3:GetObject")] {
        assert_eq!(
            statement["Principal"],
            json!({"AWS": "arn:aws:iam::111122223333:role/brimful"})
        );
        assert_eq!(statement["Action"], action);
    }
}
