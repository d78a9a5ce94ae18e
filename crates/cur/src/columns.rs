//! Which column of a report holds which fact: the report's formats, recognised by their columns.
//!
//! Names are those of the CUR user guide ("Data dictionary") and of the Data Exports table dictionary. Columns
//! are found by name in every file anew, since they differ between months and even between files of a month.

use arrow_schema::{DataType, Field, Schema};
use serde::{Deserialize, Serialize};

use self::focus::FocusColumns;
use brimful_types::{Error, Result};

pub(crate) mod focus;
mod pruning;

pub(crate) use pruning::is_region;

/// The report's format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Format {
    /// Legacy Cost and Usage Report, parquet form.
    Legacy,
    /// CUR 2.0 (Data Exports, table `COST_AND_USAGE_REPORT`).
    Cur2,
    /// FOCUS 1.0 or 1.2 with AWS columns (Data Exports, tables `FOCUS_1_0_AWS`, `FOCUS_1_2_AWS`).
    Focus,
}

impl Format {
    /// The format's name in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Legacy => "legacy",
            Self::Cur2 => "cur2",
            Self::Focus => "focus",
        }
    }

    /// The format's name for people.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Legacy => "legacy CUR",
            Self::Cur2 => "CUR 2.0",
            Self::Focus => "FOCUS",
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
    /// Of a fee or a refund, what it says for people.
    Description,
    NodePoolTag,
    ClusterTag,
}

impl Text {
    /// All of them, in order; the tags come last.
    pub const ALL: [Self; TEXTS] = [
        Self::LineItemType,
        Self::UsageType,
        Self::Operation,
        Self::ProductCode,
        Self::PlanArn,
        Self::UsageAccount,
        Self::Region,
        Self::Currency,
        Self::OfferingType,
        Self::PaymentOption,
        Self::PlanRegion,
        Self::PlanFamily,
        Self::PlanStart,
        Self::PlanEnd,
        Self::Description,
        Self::NodePoolTag,
        Self::ClusterTag,
    ];
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

impl Number {
    /// All of them, in order.
    pub const ALL: [Self; NUMBERS] = [
        Self::UsageAmount,
        Self::UnblendedCost,
        Self::OnDemandCost,
        Self::PlanRate,
        Self::EffectiveCost,
        Self::UsedCommitment,
        Self::TotalCommitment,
    ];
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
pub(crate) const TEXTS: usize = 17;
pub(crate) const NUMBERS: usize = 7;
pub(crate) const TIMES: usize = 2;

const TEXT_NAMES: [(Text, &[&str]); 15] = [
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
    (Text::Description, &["line_item_line_item_description"]),
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

/// Without these no plan's use can be shown.
const REQUIRED: [&str; 6] = [
    "line_item_line_item_type",
    "line_item_usage_start_date",
    "line_item_usage_end_date",
    "savings_plan_savings_plan_a_r_n",
    "savings_plan_used_commitment",
    "savings_plan_total_commitment_to_date",
];

/// What the names of all plans' columns begin with. A legacy report of a month (and account) without plans has none of them:
/// its columns are those that its rows fill (CUR user guide, "Data dictionary").
const OF_PLANS: &str = "savings_plan_";

/// Without these use is shown, but not checked, dated or turned into decisions.
const NEEDED_TO_DECIDE: [&str; 6] = [
    "line_item_product_code",
    "line_item_usage_type",
    "line_item_operation",
    "line_item_usage_amount",
    "savings_plan_savings_plan_rate",
    "savings_plan_savings_plan_effective_cost",
];

/// Whom decisions are about, as far as it is known beforehand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Own<'a> {
    /// The cluster, by its tag; all clusters' `NodePool`s are kept apart when `None`.
    pub cluster: Option<&'a str>,
    /// The account of its nodes, whose usage is kept apart, tagged or not.
    pub account: Option<&'a str>,
}

/// How much of a report is wanted: each has what the one before it has, and more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Detail {
    /// Plans, their hours, and the on-demand usage that they might have covered.
    Plans,
    /// Also Spot, what the plans covered, and which cluster and `NodePool` used what, in which account. Everyone else's
    /// usage is added up over accounts: hundreds of them would make a ledger hundreds of times as large.
    Usage,
    /// Also which account used everything else: AWS applies plans to the owner's usage first.
    Accounts,
}

/// Which facts are wanted of a report, beside the times.
#[derive(Debug, Clone, Copy)]
pub struct Wanted {
    /// Texts.
    pub texts: &'static [Text],
    /// Numbers.
    pub numbers: &'static [Number],
}

const TAGS: [Text; 2] = [Text::NodePoolTag, Text::ClusterTag];

impl Detail {
    /// The facts that it takes. Tags are wide, and who used something matters to decisions only.
    #[must_use]
    pub fn wanted(self) -> Wanted {
        Wanted {
            texts: match self {
                Self::Plans => Text::ALL.split_at(TEXTS - TAGS.len()).0,
                Self::Usage | Self::Accounts => &Text::ALL,
            },
            numbers: &Number::ALL,
        }
    }
}

/// A tag that says where an instance belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tag {
    /// Karpenter's `karpenter.sh/nodepool`, or EKS Auto Mode's `eks:kubernetes-node-pool-name` (EKS user guide, "EKS Auto Mode":
    /// the tags of its instances).
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
            "karpenter_sh_nodepool" | "eks_kubernetes_node_pool_name" => Some(Self::NodePool),
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
    /// What only FOCUS has.
    pub(crate) focus: Option<FocusColumns>,
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
        let format = detect(schema);
        if format == Format::Focus {
            return Self::find_focus(schema, file);
        }
        let is_of_plans = |name: &str| name.starts_with(OF_PLANS);
        let has_plans = format != Format::Legacy || schema.fields().iter().any(|f| is_of_plans(f.name()));
        let absent = |names: &[&'static str]| -> Vec<&'static str> {
            let names = names
                .iter()
                .copied()
                .filter(|name| has_plans || !is_of_plans(name));
            names.filter(|name| position(name).is_none()).collect()
        };
        let required = absent(&REQUIRED);
        if !required.is_empty() {
            return Err(missing_columns(file, format, &required, schema));
        }
        // A column without a type (of nulls alone) is there, and says nothing.
        let filled = |name: &str| position(name).filter(|index| !schema.field(*index).data_type().is_null());
        let mut texts: [Vec<usize>; TEXTS] = Default::default();
        for (text, names) in TEXT_NAMES {
            texts[text as usize].extend(names.iter().find_map(|name| filled(name)));
        }
        let mut tag_maps = Vec::new();
        for (index, field) in schema.fields().iter().enumerate() {
            match (field.data_type(), Tag::of(field.name())) {
                (DataType::Map(..), _) if ["resource_tags", "tags"].contains(&field.name().as_str()) => {
                    tag_maps.push(index);
                }
                (DataType::Map(..) | DataType::Null, _) => {}
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
            numbers: NUMBER_NAMES.map(|(_, name)| filled(name)),
            // Both are required, so both were found above.
            times: TIME_NAMES.map(|(_, name)| position(name).unwrap_or_default()),
            tag_maps,
            focus: None,
            missing: absent(&NEEDED_TO_DECIDE),
        };
        columns.check_types(schema, file)?;
        Ok(columns)
    }

    /// Leaves out what is not wanted.
    #[must_use]
    pub(crate) fn only(mut self, wanted: Wanted) -> Self {
        for text in Text::ALL.iter().filter(|text| !wanted.texts.contains(text)) {
            self.texts[*text as usize].clear();
        }
        for number in Number::ALL
            .iter()
            .filter(|number| !wanted.numbers.contains(number))
        {
            self.numbers[*number as usize] = None;
        }
        if !TAGS.iter().any(|tag| wanted.texts.contains(tag)) {
            self.tag_maps.clear();
        }
        self.product_map = self.product_map.filter(|_| wanted.texts.contains(&Text::Region));
        self
    }

    /// Root columns to read, ascending.
    pub(crate) fn roots(&self) -> Vec<usize> {
        let mut roots: Vec<usize> = self.texts.iter().flatten().copied().collect();
        roots.extend(self.numbers.iter().flatten());
        roots.extend(self.times);
        roots.extend(&self.tag_maps);
        roots.extend(self.product_map);
        roots.extend(self.focus.iter().flat_map(FocusColumns::roots));
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
        let focus = self.focus.as_ref();
        let of_focus = focus.into_iter().flat_map(FocusColumns::texts);
        // A pipeline may make real times of a plan's: they are read as usage times are.
        let plan_times = [Text::PlanStart, Text::PlanEnd].map(|fact| &self.texts[fact as usize]);
        for index in self.texts.iter().flatten().copied().chain(of_focus) {
            let data_type = schema.field(index).data_type();
            let is_time = matches!(data_type, DataType::Timestamp(..) | DataType::Date32)
                && plan_times.iter().any(|known| known.contains(&index));
            if !is_text(data_type) && !is_time {
                return Err(wrong(index, "text"));
            }
        }
        let quantity = focus.and_then(|focus| focus.quantity);
        for index in self.numbers.iter().flatten().chain(&quantity) {
            let data_type = schema.field(*index).data_type();
            if !(data_type.is_numeric() || is_text(data_type)) {
                return Err(wrong(*index, "a number"));
            }
        }
        for index in &self.times {
            let data_type = schema.field(*index).data_type();
            if !(matches!(data_type, DataType::Timestamp(..) | DataType::Null) || is_text(data_type)) {
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

fn detect(schema: &Schema) -> Format {
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
        return Format::Focus;
    }
    if has("bill_payer_account_name") || is_map("product") || is_map("resource_tags") {
        return Format::Cur2;
    }
    Format::Legacy
}

fn missing_columns(file: &str, format: Format, missing: &[&str], schema: &Schema) -> Error {
    let list = missing.join(", ");
    let known = schema
        .fields()
        .iter()
        .filter(|f| f.name().starts_with("line_item_") || f.name().starts_with("savings_plan_"))
        .count();
    if known == 0 && format != Format::Focus {
        return Error::report(format!(
            "{file}: not a Cost and Usage Report: it has none of {list}"
        ))
        .hint("point --cur at the folder of an hourly CUR or CUR 2.0 report in parquet form");
    }
    let hint = match format {
        Format::Cur2 => "add them, under their own names, to the export's QueryStatement (SELECT list)",
        Format::Focus => {
            "export the table with all its columns, under their own names (Data Exports, FOCUS_1_2_AWS)"
        }
        Format::Legacy => "point --cur at the report as AWS delivers it, with all its columns",
    };
    Error::report(format!("{file}: required columns are missing: {list}")).hint(hint)
}

#[cfg(test)]
mod tests;
