//! The shapes of the documents that `-o json` prints, as the contract fixes them: no field more, none less.

use std::sync::LazyLock;

use jsonschema::Validator;
use serde_json::{Value, json};

/// What a plan document says.
pub(crate) static PLAN: LazyLock<Validator> = LazyLock::new(|| validator(&plan(&[])));

/// The same with `applied`.
pub(crate) static APPLIED: LazyLock<Validator> = LazyLock::new(|| {
    let applied = list(object(&[
        ("nodePool", text()),
        ("result", one_of(&["patched", "unchanged", "conflict", "refused"])),
        ("message", text()),
    ]));
    validator(&plan(&[("applied", applied)]))
});

/// What a utilization document says.
pub(crate) static UTILIZATION: LazyLock<Validator> = LazyLock::new(|| {
    let hour = object(&[
        ("hour", time()),
        ("commitment", unknown_or(money())),
        ("used", unknown_or(money())),
        ("unused", unknown_or(number())),
        ("utilization", unknown_or(number())),
        ("covered", unknown_or(money())),
        ("demand", unknown_or(money())),
        ("mature", json!({"type": "boolean"})),
        ("reconciles", unknown_or(json!({"type": "boolean"}))),
    ]);
    let total = object(&[
        ("hours", count()),
        ("commitment", unknown_or(money())),
        ("used", unknown_or(money())),
        ("unused", unknown_or(number())),
        ("utilization", unknown_or(number())),
    ]);
    let plan = object(&[
        ("arn", arn()),
        ("kind", kind()),
        ("region", unknown_or(text())),
        ("family", unknown_or(text())),
        (
            "owner",
            unknown_or(json!({"type": "string", "pattern": "^[0-9]{12}$"})),
        ),
        ("paymentOption", unknown_or(text())),
        ("start", unknown_or(time())),
        ("end", unknown_or(time())),
        ("hours", list(hour)),
        ("total", total.clone()),
        ("incomplete", total),
    ]);
    validator(&object(&[
        ("schema", json!({"const": "brimful/utilization/v1"})),
        ("source", object(&source())),
        ("plans", list(plan)),
        ("warnings", warnings()),
    ]))
});

/// What a diagnosis says.
pub(crate) static DOCTOR: LazyLock<Validator> = LazyLock::new(|| {
    let status = || one_of(&["ok", "warn", "fail", "skipped"]);
    let check = object(&[
        (
            "id",
            json!({"type": "string", "pattern": "^[a-z0-9]+(-[a-z0-9]+)*$"}),
        ),
        (
            "group",
            one_of(&["configuration", "report", "aws", "kubernetes", "nodePools"]),
        ),
        ("status", status()),
        ("subject", unknown_or(text())),
        ("message", text()),
        ("cure", unknown_or(text())),
    ]);
    validator(&object(&[
        ("schema", json!({"const": "brimful/doctor/v1"})),
        ("checks", list(check)),
        ("worst", status()),
    ]))
});

/// What a history says.
pub(crate) static HISTORY: LazyLock<Validator> = LazyLock::new(|| {
    let change = |value: Value| {
        unknown_or(object(&[
            ("from", unknown_or(value.clone())),
            ("to", unknown_or(value)),
        ]))
    };
    let effect = object(&[
        ("until", unknown_or(time())),
        ("hours", count()),
        ("complete", json!({"type": "boolean"})),
        ("saved", unknown_or(number())),
        ("cost", unknown_or(number())),
        ("why", unknown_or(text())),
    ]);
    let entry = object(&[
        ("time", time()),
        ("nodePool", text()),
        ("action", one_of(&["set", "restore", "reset"])),
        ("result", one_of(&["patched", "conflict", "refused"])),
        (
            "decision",
            unknown_or(one_of(&["fill", "hold", "drain", "freeze", "none"])),
        ),
        ("weight", change(weight())),
        ("limits", change(quantities())),
        ("protection", change(json!({"type": "boolean"}))),
        ("reason", text()),
        ("message", unknown_or(text())),
        ("tries", json!({"type": "integer", "minimum": 1})),
        ("lastTried", unknown_or(time())),
        ("demand", unknown_or(money())),
        ("commitment", unknown_or(money())),
        ("headroom", unknown_or(number())),
        ("effect", unknown_or(effect)),
    ]);
    let total = object(&[
        ("changes", count()),
        ("told", count()),
        ("saved", unknown_or(number())),
        ("cost", unknown_or(number())),
    ]);
    validator(&object(&[
        ("schema", json!({"const": "brimful/history-report/v1"})),
        ("now", time()),
        ("source", unknown_or(object(&source()))),
        ("entries", list(entry)),
        ("total", total),
        ("warnings", warnings()),
    ]))
});

/// What a backtest document says.
pub(crate) static BACKTEST: LazyLock<Validator> = LazyLock::new(|| {
    let policy = object(&[
        ("policy", text()),
        ("commitment", money()),
        ("unused", money()),
        ("avoidableUnused", number()),
        ("spill", money()),
        ("avoidableSpill", number()),
        ("cost", money()),
        ("totalPerMonth", money()),
        ("savedPerMonth", number()),
        ("regret", number()),
        ("weightChangesPerDay", unknown_or(money())),
        ("limitChangesPerDay", unknown_or(money())),
        ("patchesPerDay", unknown_or(money())),
        ("movesPerDay", unknown_or(money())),
    ]);
    let choice = || {
        object(&[
            ("fill", money()),
            ("hold", money()),
            ("drain", money()),
            ("lookahead", text()),
            ("savedPerMonth", number()),
        ])
    };
    let boolean = || json!({"type": "boolean"});
    let replayed = object(&[
        ("from", time()),
        ("to", time()),
        ("warmUpDays", count()),
        ("days", count()),
        ("missingHours", count()),
    ]);
    let model = object(&[
        ("groups", list(group())),
        ("cluster", unknown_or(text())),
        ("own", one_of(&["tags", "all-spot"])),
        ("nodeVcpu", money()),
        ("meanNodes", money()),
        ("savingsPlanPerVcpu", money()),
        ("onDemandPerVcpu", money()),
        ("spotPerVcpu", money()),
        ("nodeLifetimeHours", money()),
        ("nodeLifetimeLearned", boolean()),
    ]);
    let thresholds = object(&[
        ("policy", text()),
        ("configured", choice()),
        ("best", choice()),
        ("stable", boolean()),
        ("bestByWeek", list(choice())),
        ("tried", list(choice())),
    ]);
    validator(&object(&[
        ("schema", json!({"const": "brimful/backtest/v1"})),
        ("now", time()),
        ("source", object(&source())),
        ("replayed", replayed),
        ("model", model),
        ("trust", object(&[("applicationOrderError", unknown_or(money()))])),
        (
            "asItWas",
            object(&[
                ("commitment", money()),
                ("unused", money()),
                ("spill", money()),
                ("cost", money()),
                ("totalPerMonth", money()),
            ]),
        ),
        ("policies", list(policy)),
        (
            "consents",
            list(object(&[("consents", list(text())), ("savedPerMonth", number())])),
        ),
        ("thresholds", thresholds),
        ("assumptions", list(text())),
        ("warnings", warnings()),
    ]))
});

/// Checks a document against its shape.
#[track_caller]
pub(crate) fn check(validator: &Validator, document: &Value) {
    let errors: Vec<String> = validator
        .iter_errors(document)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(
        errors.is_empty(),
        "the document is not as the contract says:\n{}",
        errors.join("\n")
    );
}

fn plan(more: &[(&str, Value)]) -> Value {
    let mut source = source();
    source.push(("ageHours", unknown_or(number())));
    let observed = object(&[
        ("hour", time()),
        ("used", unknown_or(money())),
        ("demand", unknown_or(money())),
        ("utilization", unknown_or(number())),
    ]);
    let nowcast = object(&[
        ("used", money()),
        ("demand", money()),
        ("low", money()),
        ("high", money()),
        ("method", one_of(&["live", "profile", "last-mature"])),
    ]);
    let plan = object(&[
        ("arn", arn()),
        ("kind", kind()),
        ("region", unknown_or(text())),
        ("family", unknown_or(text())),
        ("commitment", unknown_or(money())),
        ("observed", unknown_or(observed)),
        ("nowcast", unknown_or(nowcast)),
        ("group", unknown_or(group())),
    ]);
    let group = object(&[
        ("id", group()),
        ("plans", list(arn())),
        ("commitment", money()),
        ("demand", unknown_or(money())),
        ("spill", unknown_or(money())),
        ("headroom", unknown_or(number())),
        (
            "share",
            json!({"type": "number", "exclusiveMinimum": 0, "maximum": 1}),
        ),
    ]);
    let change = |field: &str, value: &Value| {
        object(&[
            ("nodePool", text()),
            ("field", json!({ "const": field })),
            ("from", unknown_or(value.clone())),
            ("to", unknown_or(value.clone())),
            ("reason", text()),
        ])
    };
    let change = json!({"anyOf": [change("spec.weight", &weight()), change("spec.limits", &quantities()), change("spec.disruption.budgets", &json!({"type": "array"}))]});
    let mut fields = vec![
        ("schema", json!({"const": "brimful/plan/v1"})),
        ("now", time()),
        ("source", object(&source)),
        ("plans", list(plan)),
        ("groups", list(group)),
        ("nodePools", list(node_pool())),
        ("changes", list(change)),
        ("warnings", warnings()),
    ];
    fields.extend(more.iter().cloned());
    object(&fields)
}

fn quantities() -> Value {
    json!({"type": "object", "additionalProperties": {"type": "string"}})
}

fn node_pool() -> Value {
    let fit = object(&[("instanceType", text()), ("rate", money()), ("count", count())]);
    object(&[
        ("name", text()),
        ("role", one_of(&["committed", "spot", "mixed", "none"])),
        ("managed", json!({"type": "boolean"})),
        ("plans", list(arn())),
        ("groups", list(group())),
        ("decision", one_of(&["fill", "hold", "drain", "freeze", "none"])),
        ("reason", text()),
        ("headroom", unknown_or(number())),
        ("capacity", quantities()),
        ("fits", list(fit)),
        (
            "weight",
            object(&[
                ("current", unknown_or(weight())),
                ("proposed", unknown_or(weight())),
            ]),
        ),
        (
            "limits",
            unknown_or(object(&[
                ("current", unknown_or(quantities())),
                ("proposed", unknown_or(quantities())),
            ])),
        ),
        (
            "protection",
            unknown_or(object(&[
                ("current", json!({"type": "boolean"})),
                ("proposed", json!({"type": "boolean"})),
            ])),
        ),
    ])
}

fn source() -> Vec<(&'static str, Value)> {
    vec![
        ("uri", text()),
        ("format", unknown_or(one_of(&["legacy", "cur2", "focus"]))),
        (
            "billingPeriods",
            list(json!({"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}$"})),
        ),
        ("horizon", unknown_or(time())),
        ("files", count()),
        ("rows", count()),
        ("bytesRead", count()),
    ]
}

/// The subject of a warning, a pool or a plan, is left out where there is none.
fn warnings() -> Value {
    let mut warning = object(&[
        (
            "code",
            json!({"type": "string", "pattern": "^[a-z]+(-[a-z0-9]+)*$"}),
        ),
        ("nodePool", text()),
        ("plan", arn()),
        ("message", text()),
    ]);
    warning["required"] = json!(["code", "message"]);
    list(warning)
}

fn validator(schema: &Value) -> Validator {
    jsonschema::draft202012::new(schema).expect("a JSON Schema")
}

fn object(fields: &[(&str, Value)]) -> Value {
    let names: Vec<&str> = fields.iter().map(|(name, _)| *name).collect();
    let properties: serde_json::Map<String, Value> = fields
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.clone()))
        .collect();
    json!({"type": "object", "properties": properties, "required": names, "additionalProperties": false})
}

#[allow(clippy::needless_pass_by_value, reason = "schemas are built inside out")]
fn list(items: Value) -> Value {
    json!({"type": "array", "items": items})
}

#[allow(clippy::needless_pass_by_value, reason = "schemas are built inside out")]
fn unknown_or(value: Value) -> Value {
    json!({"anyOf": [{"type": "null"}, value]})
}

fn one_of(values: &[&str]) -> Value {
    json!({"enum": values})
}

fn text() -> Value {
    json!({"type": "string", "minLength": 1})
}

fn number() -> Value {
    json!({"type": "number"})
}

fn money() -> Value {
    json!({"type": "number", "minimum": 0})
}

fn count() -> Value {
    json!({"type": "integer", "minimum": 0})
}

fn weight() -> Value {
    json!({"type": "integer", "minimum": 1, "maximum": 100})
}

fn time() -> Value {
    json!({"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$"})
}

fn arn() -> Value {
    json!({"type": "string", "pattern": "^arn:aws:savingsplans::[0-9]{12}:savingsplan/"})
}

fn kind() -> Value {
    one_of(&["compute", "ec2Instance", "sageMaker", "database", "other"])
}

fn group() -> Value {
    json!({"type": "string", "pattern": "^(compute|ec2Instance/[a-z0-9-]+/[a-z0-9-]+)$"})
}
