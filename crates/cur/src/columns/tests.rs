//! Formats recognised, columns found, tags recognised.

use super::*;
use std::sync::Arc;

fn schema(names: &[(&str, DataType)]) -> Schema {
    Schema::new(
        names
            .iter()
            .map(|(name, data_type)| Field::new(*name, data_type.clone(), true))
            .collect::<Vec<_>>(),
    )
}

fn required() -> Vec<(&'static str, DataType)> {
    let time = DataType::Timestamp(arrow_schema::TimeUnit::Millisecond, None);
    vec![
        ("savings_plan_total_commitment_to_date", DataType::Float64),
        ("line_item_line_item_type", DataType::Utf8),
        ("line_item_usage_start_date", time.clone()),
        ("line_item_usage_end_date", time),
        ("savings_plan_savings_plan_a_r_n", DataType::Utf8),
        ("savings_plan_used_commitment", DataType::Utf8),
    ]
}

#[test]
fn columns_are_found_by_name_whatever_their_position_and_numbers_may_be_text() {
    let columns = Columns::find(&schema(&required()), "a.parquet").unwrap();
    assert_eq!(columns.format, Format::Legacy);
    assert_eq!(columns.numbers[Number::TotalCommitment as usize], Some(0));
    assert_eq!(columns.missing.len(), NEEDED_TO_DECIDE.len());
}

#[test]
fn every_missing_required_column_is_named() {
    let mut names = required();
    names.remove(5);
    names.remove(0);
    let error = Columns::find(&schema(&names), "part-1.parquet").unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("part-1.parquet") && text.contains("savings_plan_used_commitment"),
        "{text}"
    );
    assert!(text.contains("savings_plan_total_commitment_to_date"), "{text}");
}

#[test]
fn a_commitment_that_is_a_date_is_refused_by_name() {
    let mut names = required();
    names[0].1 = DataType::Date32;
    let error = Columns::find(&schema(&names), "x.parquet").unwrap_err();
    assert!(
        error
            .to_string()
            .contains("column savings_plan_total_commitment_to_date has type Date32"),
        "{error}"
    );
}

#[test]
fn cur2_is_known_by_its_maps_and_focus_by_its_commitments_in_any_case() {
    let entries = Field::new(
        "entries",
        DataType::Struct(
            vec![
                Field::new("key", DataType::Utf8, false),
                Field::new("value", DataType::Utf8, true),
            ]
            .into(),
        ),
        false,
    );
    let mut names = required();
    names.push(("resource_tags", DataType::Map(Arc::new(entries), false)));
    let columns = Columns::find(&schema(&names), "x").unwrap();
    assert_eq!((columns.format, columns.tag_maps.len()), (Format::Cur2, 1));
    let focus = schema(&[("commitmentdiscountid", DataType::Utf8)]);
    assert!(
        Columns::find(&focus, "x")
            .unwrap_err()
            .to_string()
            .contains("ChargeCategory")
    );
}

#[test]
fn tags_are_recognised_in_every_form_of_their_key() {
    for key in [
        "resource_tags_user_karpenter_sh_nodepool",
        "user_karpenter_sh_nodepool",
        "resourceTags/user:karpenter.sh/nodepool",
        "resource_tags_user_eks_kubernetes_node_pool_name",
        "user_eks_kubernetes_node_pool_name",
        "resourceTags/user:eks:kubernetes-node-pool-name",
        "eks:kubernetes-node-pool-name",
    ] {
        assert_eq!(Tag::of(key), Some(Tag::NodePool), "{key}");
    }
    for key in [
        "resource_tags_aws_eks_cluster_name",
        "aws_eks_cluster_name",
        "resourceTags/aws:eks:cluster-name",
        "user_eks_eks_cluster_name",
    ] {
        assert_eq!(Tag::of(key), Some(Tag::Cluster), "{key}");
    }
    assert_eq!(Tag::of("user_team"), None);
    assert_eq!(Tag::of("user_eks_kubernetes_node_class_name"), None);
}
