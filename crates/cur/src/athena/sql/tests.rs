use super::*;
use crate::athena::table::Described;
use brimful_savings_plans::usage::{LineItemType, UsageKind};

/// The columns of a table, one a line: name and type; partition keys stand behind a dash.
fn described(text: &str) -> Described {
    let (mut columns, mut keys) = (Vec::new(), Vec::new());
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (list, line) = match line.strip_prefix("- ") {
            Some(line) => (&mut keys, line),
            None => (&mut columns, line),
        };
        let (name, kind) = line.split_once(' ').unwrap();
        list.push((name.to_owned(), kind.to_owned()));
    }
    Described::of(&columns, &keys)
}

const LEGACY: &str = "
    line_item_line_item_type string
    line_item_usage_start_date timestamp
    line_item_usage_end_date timestamp
    line_item_usage_account_id string
    line_item_product_code string
    line_item_usage_type string
    line_item_operation string
    line_item_usage_amount double
    line_item_unblended_cost double
    line_item_currency_code string
    line_item_line_item_description string
    pricing_public_on_demand_cost double
    product_region string
    resource_tags_user_karpenter_sh_nodepool string
    resource_tags_aws_eks_cluster_name string
    resource_tags_user_eks_cluster_name string
    savings_plan_savings_plan_a_r_n string
    savings_plan_savings_plan_rate double
    savings_plan_savings_plan_effective_cost double
    savings_plan_used_commitment double
    savings_plan_total_commitment_to_date double
    savings_plan_offering_type string
    savings_plan_payment_option string
    savings_plan_region string
    savings_plan_start_time string
    savings_plan_end_time string
    - year string
    - month string";

fn question(described: &Described, detail: Detail, since: Option<Hour>) -> String {
    let columns = Columns::find(&described.schema, "table").unwrap();
    let columns = columns.only(detail.wanted());
    let periods = ["2026-10", "2026-11", "2027-01"].map(|period| BillingPeriod::parse(period).unwrap());
    let question = Question {
        table: &table("athenacurcfn_acme", "acme"),
        schema: &described.schema,
        columns: &columns,
        detail,
        periods: described.period.map(|columns| (columns, periods.as_slice())),
        since,
    };
    question.sql()
}

fn november() -> Hour {
    BillingPeriod::parse("2026-11").unwrap().first_hour()
}

#[test]
fn the_query_of_a_legacy_table_can_be_read() {
    let sql = question(&described(LEGACY), Detail::Usage, Some(november()));
    assert_eq!(sql, include_str!("legacy.sql").trim_end(), "\n{sql}");
}

#[test]
fn a_query_for_plans_alone_reads_no_tags_and_no_consumers() {
    let sql = question(&described(LEGACY), Detail::Plans, None);
    assert!(
        !sql.contains("resource_tags") && !sql.contains("TIMESTAMP"),
        "{sql}"
    );
    assert!(sql.contains(
        "CASE WHEN \"line_item_line_item_type\" IN ('SavingsPlanRecurringFee') THEN coalesce(\"line_item_usage_account_id\", '') ELSE '' END AS usage_account"
    ));
    assert!(sql.contains("    '' AS node_pool_tag,"));
}

#[test]
fn an_export_is_asked_by_its_own_partition_maps_and_types() {
    let text = LEGACY
        .replace("product_region string", "product map<string,string>")
        .replace("line_item_usage_amount double", "line_item_usage_amount string")
        .replace(
            "line_item_unblended_cost double",
            "line_item_unblended_cost decimal(20,10)",
        )
        .replace(
            "resource_tags_user_karpenter_sh_nodepool string",
            "resource_tags map<string,string>",
        );
    let text = text.replace("- year string\n    - month string", "- BILLING_PERIOD string");
    let sql = question(&described(&text), Detail::Usage, Some(november()));
    for part in [
        "\"billing_period\" IN ('2026-10', '2026-11', '2027-01')",
        "CASE WHEN contains(map_keys(\"resource_tags\"), 'user_karpenter_sh_nodepool') THEN \"resource_tags\"['user_karpenter_sh_nodepool'] END",
        "coalesce(CASE WHEN contains(map_keys(\"product\"), 'region') THEN \"product\"['region'] END, '') AS region",
        "TRY_CAST(trim(\"line_item_usage_amount\") AS DOUBLE)",
        "coalesce(CAST(\"line_item_unblended_cost\" AS DOUBLE), 0E0) AS unblended_cost",
    ] {
        assert!(sql.contains(part), "{part}\n{sql}");
    }
}

#[test]
fn a_table_without_periods_is_asked_for_all_its_rows() {
    let described = described(LEGACY.split("- year").next().unwrap());
    assert!(question(&described, Detail::Usage, None).contains("WHERE (\"line_item_line_item_type\" IN"));
    assert_eq!(periods("t", described.period, None), "SELECT count(*) FROM t");
    let whole = periods("t", Some(PeriodColumns::Whole), None);
    assert_eq!(
        whole,
        "SELECT \"billing_period\", count(*) FROM t GROUP BY \"billing_period\""
    );
}

#[test]
fn months_are_asked_for_in_the_form_of_their_columns() {
    let months = ["2026-09", "2026-10"].map(|period| BillingPeriod::parse(period).unwrap());
    let only = |columns| {
        let sql = periods("t", Some(columns), Some(&months));
        let from = sql.find("WHERE").unwrap();
        sql[from..sql.find(" GROUP").unwrap()].to_owned()
    };
    assert_eq!(
        only(PeriodColumns::Whole),
        "WHERE \"billing_period\" IN ('2026-09', '2026-10')"
    );
    assert_eq!(
        only(PeriodColumns::YearMonth([true, false])),
        "WHERE (\"year\" = '2026' AND \"month\" IN (9) OR \"year\" = '2026' AND \"month\" IN (10))"
    );
}

#[test]
fn names_and_texts_cannot_end_their_quotes() {
    assert_eq!(table("a\"b", "c"), "\"a\"\"b\".\"c\"");
    assert_eq!(literal("it's"), "'it''s'");
}

#[test]
fn every_key_under_which_a_tag_is_looked_for_is_that_tags() {
    for tag in [Tag::NodePool, Tag::Cluster] {
        let keys = keys_of(tag);
        assert!(keys.iter().all(|key| Tag::of(key) == Some(tag)), "{keys:?}");
    }
    for known in [
        "user_karpenter_sh_nodepool",
        "resourceTags/user:karpenter.sh/nodepool",
        "karpenter.sh/nodepool",
        "user_eks_kubernetes_node_pool_name",
        "resourceTags/user:eks:kubernetes-node-pool-name",
        "eks:kubernetes-node-pool-name",
    ] {
        assert!(keys_of(Tag::NodePool).iter().any(|key| key == known), "{known}");
    }
    for known in [
        "aws_eks_cluster_name",
        "user_eks_eks_cluster_name",
        "resourceTags/aws:eks:cluster-name",
    ] {
        assert!(keys_of(Tag::Cluster).iter().any(|key| key == known), "{known}");
    }
}

#[test]
fn facts_have_the_names_of_their_numbers() {
    assert_eq!(TEXT_NAMES[Text::LineItemType as usize], "line_item_type");
    assert_eq!(TEXT_NAMES[Text::PlanFamily as usize], "plan_family");
    assert_eq!(TEXT_NAMES[Text::ClusterTag as usize], "cluster_tag");
    assert_eq!(NUMBER_NAMES[Number::OnDemandCost as usize], "on_demand_cost");
    assert_eq!(NUMBER_NAMES[Number::TotalCommitment as usize], "total_commitment");
}

/// Whatever the builder makes something of is asked for.
#[test]
fn no_usage_that_matters_is_left_out() {
    let is_asked = |product: &str, usage_type: &str| {
        let of_product = OF_INTEREST
            .iter()
            .filter(|(products, _)| products.contains(&product));
        of_product.flat_map(|(_, names)| *names).any(|name| {
            let plain = usage_type.split(':').next().unwrap();
            plain == *name || plain.ends_with(&format!("-{name}"))
        })
    };
    let heads = [
        "BoxUsage",
        "HostBoxUsage",
        "HostUsage",
        "DedicatedUsage",
        "UnusedBox",
        "UnusedDed",
        "Reservation",
        "DedicatedRes",
        "HeavyUsage",
        "SpotUsage",
        "Fargate-vCPU-Hours",
        "SpotUsage-Fargate-GB-Hours",
        "Lambda-GB-Second",
        "Lambda-Provisioned-Concurrency",
        "Request-ARM",
        "DataTransfer-Regional-Bytes",
        "EBS",
    ];
    let mut mattered = 0;
    for product in ["AmazonEC2", "AmazonECS", "AmazonEKS", "AWSLambda", "AmazonS3", ""] {
        for head in heads {
            for usage_type in [
                head.to_owned(),
                format!("USE2-{head}:m5.large"),
                format!("EU-{head}"),
            ] {
                if UsageKind::of(product, &usage_type, "RunInstances") != UsageKind::Other {
                    assert!(is_asked(product, &usage_type), "{product} {usage_type}");
                    mattered += 1;
                }
            }
        }
    }
    assert!(mattered > 30, "{mattered}");
    for name in [RECURRING_FEE, COVERED_USAGE, REFUND, USAGE, DISCOUNTED_USAGE] {
        assert_ne!(LineItemType::of(name), LineItemType::Other);
    }
}
