//! Which column of a report holds which fact: the report's formats, told apart by their columns.
//!
//! Names are those of the CUR user guide ("Data dictionary") and of the Data Exports table dictionary. Columns
//! are found by name in every file anew, since they differ between months and even between files of a month.

use arrow::datatypes::{DataType, Field, Schema};
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// The report's format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Format {
    /// Legacy Cost and Usage Report, parquet form.
    Legacy,
    /// CUR 2.0 (Data Exports, table `COST_AND_USAGE_REPORT`).
    Cur2,
}

impl Format {
    /// The format's name in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Legacy => "legacy",
            Self::Cur2 => "cur2",
        }
    }
}

/// Text facts of a line item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(usize)]
#[allow(missing_docs)] // each is named after its column
pub enum Text {
    LineItemType,
    UsageType,
    Operation,
    ProductCode,
    PlanArn,
    UsageAccount,
    Region,
    Currency,
    OfferingType,
    PaymentOption,
    PlanRegion,
    PlanFamily,
    PlanStart,
    PlanEnd,
    NodePoolTag,
    ClusterTag,
}

/// Numeric facts of a line item: dollars, $/unit, or units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(usize)]
#[allow(missing_docs)]
pub enum Number {
    UsageAmount,
    UnblendedCost,
    OnDemandCost,
    PlanRate,
    EffectiveCost,
    UsedCommitment,
    TotalCommitment,
}

/// Time facts of a line item: the half-open usage interval, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(usize)]
#[allow(missing_docs)]
pub enum Time {
    Start,
    End,
}

/// How many facts of each sort there are.
pub(crate) const TEXTS: usize = 16;
pub(crate) const NUMBERS: usize = 7;
pub(crate) const TIMES: usize = 2;

const TEXT_NAMES: [(Text, &[&str]); 14] = [
    (Text::LineItemType, &["line_item_line_item_type"]),
    (Text::UsageType, &["line_item_usage_type"]),
    (Text::Operation, &["line_item_operation"]),
    (Text::ProductCode, &["line_item_product_code"]),
    (Text::PlanArn, &["savings_plan_savings_plan_a_r_n"]),
    (Text::UsageAccount, &["line_item_usage_account_id"]),
    (Text::Region, &["product_region_code", "product_region"]),
    (Text::Currency, &["line_item_currency_code"]),
    (Text::OfferingType, &["savings_plan_offering_type"]),
    (Text::PaymentOption, &["savings_plan_payment_option"]),
    (Text::PlanRegion, &["savings_plan_region"]),
    (Text::PlanFamily, &["savings_plan_instance_type_family"]),
    (Text::PlanStart, &["savings_plan_start_time"]),
    (Text::PlanEnd, &["savings_plan_end_time"]),
];

// `savings_plan_total_commitment_to_date` ends in `_date` and is a number: never infer a type from a suffix.
const NUMBER_NAMES: [(Number, &str); NUMBERS] = [
    (Number::UsageAmount, "line_item_usage_amount"),
    (Number::UnblendedCost, "line_item_unblended_cost"),
    (Number::OnDemandCost, "pricing_public_on_demand_cost"),
    (Number::PlanRate, "savings_plan_savings_plan_rate"),
    (Number::EffectiveCost, "savings_plan_savings_plan_effective_cost"),
    (Number::UsedCommitment, "savings_plan_used_commitment"),
    (Number::TotalCommitment, "savings_plan_total_commitment_to_date"),
];

const TIME_NAMES: [(Time, &str); TIMES] = [
    (Time::Start, "line_item_usage_start_date"),
    (Time::End, "line_item_usage_end_date"),
];

/// Without these no plan's use can be told.
const REQUIRED: [&str; 6] = [
    "line_item_line_item_type",
    "line_item_usage_start_date",
    "line_item_usage_end_date",
    "savings_plan_savings_plan_a_r_n",
    "savings_plan_used_commitment",
    "savings_plan_total_commitment_to_date",
];

/// Without these use is told, but not checked, dated or turned into decisions.
const NEEDED_TO_DECIDE: [&str; 6] = [
    "line_item_product_code",
    "line_item_usage_type",
    "line_item_operation",
    "line_item_usage_amount",
    "savings_plan_savings_plan_rate",
    "savings_plan_savings_plan_effective_cost",
];

/// How much of a report is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// Plans, their hours, and the on-demand usage that they might have covered.
    Plans,
    /// Also Spot, what the plans covered, and which account, cluster and `NodePool` used what.
    Usage,
}

/// A tag that says where an instance belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tag {
    /// Karpenter's `karpenter.sh/nodepool`.
    NodePool,
    /// `aws:eks:cluster-name`, Karpenter's `eks:eks-cluster-name`, or eksctl's.
    Cluster,
}

impl Tag {
    /// Recognises a tag key in any of the forms reports use: a legacy column (`resource_tags_user_…`), a key of the
    /// CUR 2.0 map `resource_tags` (`user_…`, `aws_…`) or of `tags` (`resourceTags/user:…`).
    #[must_use]
    pub fn of(key: &str) -> Option<Self> {
        let mut name = String::with_capacity(key.len());
        for c in key.chars() {
            name.push(if c.is_ascii_alphanumeric() {
                c.to_ascii_lowercase()
            } else {
                '_'
            });
        }
        let name = ["resource_tags_", "resourcetags_", "user_", "aws_"]
            .iter()
            .fold(name.as_str(), |name, prefix| {
                name.strip_prefix(prefix).unwrap_or(name)
            });
        match name {
            "karpenter_sh_nodepool" => Some(Self::NodePool),
            "eks_cluster_name" | "eks_eks_cluster_name" | "alpha_eksctl_io_cluster_name" => {
                Some(Self::Cluster)
            }
            _ => None,
        }
    }
}

/// Where one file keeps the facts: root column numbers, `None` where the file lacks them.
#[derive(Debug, Clone)]
pub struct Columns {
    /// The file's format.
    pub format: Format,
    /// Columns of text facts, best first; several only for tags, where the first that is not empty counts.
    pub(crate) texts: [Vec<usize>; TEXTS],
    pub(crate) numbers: [Option<usize>; NUMBERS],
    pub(crate) times: [usize; TIMES],
    /// Map columns that may hold tags (`resource_tags`, `tags`).
    pub(crate) tag_maps: Vec<usize>,
    /// The map `product`, read only for its `region` when no region column is there.
    pub(crate) product_map: Option<usize>,
    /// Columns that decisions need and this file lacks.
    pub missing: Vec<&'static str>,
}

impl Columns {
    /// Finds the facts among the root columns of `file`.
    ///
    /// # Errors
    /// A report error that names the file and every required column that it lacks or that has another type.
    pub fn find(schema: &Schema, file: &str) -> Result<Self> {
        let position = |name: &str| schema.fields().iter().position(|f| f.name() == name);
        let format = detect(schema, file)?;
        let absent = |names: &[&'static str]| -> Vec<&'static str> {
            names.iter().copied().filter(|n| position(n).is_none()).collect()
        };
        let required = absent(&REQUIRED);
        if !required.is_empty() {
            return Err(missing_columns(file, format, &required, schema));
        }
        let mut texts: [Vec<usize>; TEXTS] = Default::default();
        for (text, names) in TEXT_NAMES {
            texts[text as usize].extend(names.iter().find_map(|name| position(name)));
        }
        let mut tag_maps = Vec::new();
        for (index, field) in schema.fields().iter().enumerate() {
            match (field.data_type(), Tag::of(field.name())) {
                (DataType::Map(..), _) if ["resource_tags", "tags"].contains(&field.name().as_str()) => {
                    tag_maps.push(index);
                }
                (DataType::Map(..), _) => {}
                (_, Some(tag)) if field.name().starts_with("resource_tags_") => {
                    texts[text_of(tag) as usize].push(index);
                }
                _ => {}
            }
        }
        let columns = Self {
            format,
            product_map: texts[Text::Region as usize]
                .is_empty()
                .then(|| position("product"))
                .flatten(),
            texts,
            numbers: NUMBER_NAMES.map(|(_, name)| position(name)),
            // Both are required, so both were found above.
            times: TIME_NAMES.map(|(_, name)| position(name).unwrap_or_default()),
            tag_maps,
            missing: absent(&NEEDED_TO_DECIDE),
        };
        columns.check_types(schema, file)?;
        Ok(columns)
    }

    /// Leaves the tags out: they are wide, and who used something matters to decisions only.
    #[must_use]
    pub(crate) fn without_tags(mut self) -> Self {
        for tag in [Tag::NodePool, Tag::Cluster] {
            self.texts[text_of(tag) as usize].clear();
        }
        self.tag_maps.clear();
        self
    }

    /// Root columns to read, ascending.
    pub(crate) fn roots(&self) -> Vec<usize> {
        let mut roots: Vec<usize> = self.texts.iter().flatten().copied().collect();
        roots.extend(self.numbers.iter().flatten());
        roots.extend(self.times);
        roots.extend(&self.tag_maps);
        roots.extend(self.product_map);
        roots.sort_unstable();
        roots.dedup();
        roots
    }

    fn check_types(&self, schema: &Schema, file: &str) -> Result<()> {
        let wrong = |index: usize, wanted: &str| {
            let field: &Field = schema.field(index);
            Error::report(format!(
                "{file}: column {} has type {}, expected {wanted}",
                field.name(),
                field.data_type()
            ))
            .hint("export the report again without a cast of this column, or point --cur at the original report")
        };
        for index in self.texts.iter().flatten() {
            if !is_text(schema.field(*index).data_type()) {
                return Err(wrong(*index, "text"));
            }
        }
        for index in self.numbers.iter().flatten() {
            let data_type = schema.field(*index).data_type();
            if !(data_type.is_numeric() || is_text(data_type)) {
                return Err(wrong(*index, "a number"));
            }
        }
        for index in &self.times {
            let data_type = schema.field(*index).data_type();
            if !(matches!(data_type, DataType::Timestamp(..)) || is_text(data_type)) {
                return Err(wrong(*index, "a timestamp"));
            }
        }
        Ok(())
    }
}

pub(crate) fn text_of(tag: Tag) -> Text {
    match tag {
        Tag::NodePool => Text::NodePoolTag,
        Tag::Cluster => Text::ClusterTag,
    }
}

pub(crate) fn is_text(data_type: &DataType) -> bool {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Binary => true,
        DataType::Dictionary(_, value) => is_text(value),
        _ => false,
    }
}

fn detect(schema: &Schema, file: &str) -> Result<Format> {
    let has = |name: &str| {
        schema
            .fields()
            .iter()
            .any(|f| f.name().eq_ignore_ascii_case(name))
    };
    let is_map = |name: &str| {
        schema
            .fields()
            .iter()
            .any(|f| f.name() == name && matches!(f.data_type(), DataType::Map(..)))
    };
    if has("CommitmentDiscountId") {
        return Err(Error::report(format!(
            "{file}: this is a FOCUS export, which Brimful cannot read yet"
        ))
        .hint(
            "point --cur at a CUR 2.0 export (Data Exports, table COST_AND_USAGE_REPORT) or a legacy report",
        ));
    }
    if has("bill_payer_account_name") || is_map("product") || is_map("resource_tags") {
        return Ok(Format::Cur2);
    }
    Ok(Format::Legacy)
}

fn missing_columns(file: &str, format: Format, missing: &[&str], schema: &Schema) -> Error {
    let list = missing.join(", ");
    let known = schema
        .fields()
        .iter()
        .filter(|f| f.name().starts_with("line_item_") || f.name().starts_with("savings_plan_"))
        .count();
    if known == 0 {
        return Error::report(format!(
            "{file}: not a Cost and Usage Report: it has none of {list}"
        ))
        .hint("point --cur at the folder of an hourly CUR or CUR 2.0 report in parquet form");
    }
    let hint = match format {
        Format::Cur2 => "add them, under their own names, to the export's QueryStatement (SELECT list)",
        Format::Legacy => "point --cur at the report as AWS delivers it, with all its columns",
    };
    Error::report(format!("{file}: required columns are missing: {list}")).hint(hint)
}

#[cfg(test)]
mod tests {
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
        let time = DataType::Timestamp(arrow::datatypes::TimeUnit::Millisecond, None);
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
    fn cur2_is_known_by_its_maps_and_focus_is_refused() {
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
                .contains("FOCUS")
        );
    }

    #[test]
    fn tags_are_recognised_in_every_form_of_their_key() {
        for key in [
            "resource_tags_user_karpenter_sh_nodepool",
            "user_karpenter_sh_nodepool",
            "resourceTags/user:karpenter.sh/nodepool",
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
    }
}
