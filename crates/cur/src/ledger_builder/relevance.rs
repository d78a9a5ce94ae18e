//! Which rows could matter, by one text at a time: a row does where its texts have a bit in common.

use brimful_savings_plans::usage::{LineItemType, OF_INTEREST, UsageKind};

/// Rows that concern a plan, whatever was used. Each sort of usage [`OF_INTEREST`] has one of the bits above it.
pub(super) const OF_PLANS: u8 = 1;
/// Rows that describe a plan for people, too: fees and refunds.
pub(super) const OF_FEES: u8 = 1 << 7;
/// Both.
pub(super) const OF_NO_USAGE: u8 = OF_PLANS | OF_FEES;
const _: () = assert!(OF_INTEREST.len() + 2 <= u8::BITS as usize);

/// The bits of a line item type.
pub(super) fn line_type(text: &str) -> u8 {
    match LineItemType::of(text) {
        LineItemType::Usage => !OF_NO_USAGE,
        LineItemType::DiscountedUsage => product("AmazonEC2") & !OF_NO_USAGE,
        LineItemType::RecurringFee | LineItemType::Refund => OF_NO_USAGE,
        LineItemType::Other => 0,
        _ => OF_PLANS,
    }
}

/// The bits of a product code.
pub(super) fn product(code: &str) -> u8 {
    bits(|product| product == code)
}

/// The bits of a usage type: of the products that bill coverable or Spot usage by it.
pub(super) fn usage_type(usage_type: &str) -> u8 {
    bits(|product| UsageKind::of(product, usage_type, "RunInstances") != UsageKind::Other)
}

fn bits(is_of: impl Fn(&str) -> bool) -> u8 {
    let sorts = OF_INTEREST.iter().zip(1..);
    let sorts = sorts.filter(|((products, _), _)| products.iter().any(|product| is_of(product)));
    sorts.fold(OF_NO_USAGE, |bits, (_, sort)| bits | OF_PLANS << sort)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_plan_could_cover_is_never_left_out() {
        let products = ["AmazonEC2", "AmazonECS", "AmazonEKS", "AWSLambda", "AmazonS3", ""];
        let usage_types = [
            "USE2-BoxUsage:m5.large",
            "BoxUsage",
            "SpotUsage:c7i-flex.2xlarge",
            "EU-UnusedBox:m5.large",
            "HeavyUsage:m4.large",
            "EUC1-Fargate-vCPU-Hours:perCPU",
            "USE2-SpotUsage-Fargate-vCPU-Hours:perCPU",
            "USE2-Lambda-GB-Second-ARM",
            "Requests-Tier1",
            "USE2-Lambda-Edge-Request",
            "EUC1-Fargate-EphemeralStorage-GB-Hours",
            "USE2-HostUsage:m5",
            "EBS:VolumeUsage.gp3",
            "",
        ];
        let mut matter = 0;
        for product in products {
            for usage_type in usage_types {
                let bits = super::product(product) & super::usage_type(usage_type);
                assert_eq!(bits & OF_NO_USAGE, OF_NO_USAGE);
                let operations = ["RunInstances:0002", "FargateTask", "ECSTask-EC2", "Invoke", ""];
                let kinds = operations.map(|operation| UsageKind::of(product, usage_type, operation));
                let is_relevant = kinds.iter().any(|kind| *kind != UsageKind::Other);
                assert_eq!(bits & !OF_NO_USAGE != 0, is_relevant, "{product} {usage_type}");
                matter += u32::from(is_relevant);
            }
        }
        let all = OF_INTEREST.iter();
        assert!(
            all.flat_map(|(products, _)| *products)
                .all(|code| super::product(code) != OF_NO_USAGE)
        );
        assert_eq!(matter, 9, "Fargate counts for two products, its Spot for none");
    }
}
