//! AWS regions: codes, the names that reports print, and the prefixes of usage types.

/// (code, name in the report, usage-type prefix). Source: AWS "Regions and zones" and "AWS Region billing codes",
/// as they appear in usage types. us-east-1 has no prefix; `EU-` alone is eu-west-1.
const REGIONS: [(&str, &str, &str); 38] = [
    ("us-east-1", "US East (N. Virginia)", ""),
    ("us-east-2", "US East (Ohio)", "USE2"),
    ("us-west-1", "US West (N. California)", "USW1"),
    ("us-west-2", "US West (Oregon)", "USW2"),
    ("af-south-1", "Africa (Cape Town)", "AFS1"),
    ("ap-east-1", "Asia Pacific (Hong Kong)", "APE1"),
    ("ap-east-2", "Asia Pacific (Taipei)", "APE2"),
    ("ap-northeast-1", "Asia Pacific (Tokyo)", "APN1"),
    ("ap-northeast-2", "Asia Pacific (Seoul)", "APN2"),
    ("ap-northeast-3", "Asia Pacific (Osaka)", "APN3"),
    ("ap-south-1", "Asia Pacific (Mumbai)", "APS3"),
    ("ap-south-2", "Asia Pacific (Hyderabad)", "APS5"),
    ("ap-southeast-1", "Asia Pacific (Singapore)", "APS1"),
    ("ap-southeast-2", "Asia Pacific (Sydney)", "APS2"),
    ("ap-southeast-3", "Asia Pacific (Jakarta)", "APS4"),
    ("ap-southeast-4", "Asia Pacific (Melbourne)", "APS6"),
    ("ap-southeast-5", "Asia Pacific (Malaysia)", "APS7"),
    ("ap-southeast-6", "Asia Pacific (New Zealand)", "APS8"),
    ("ap-southeast-7", "Asia Pacific (Thailand)", "APS9"),
    ("ca-central-1", "Canada (Central)", "CAN1"),
    ("ca-west-1", "Canada West (Calgary)", "CAN2"),
    ("cn-north-1", "China (Beijing)", "CNN1"),
    ("cn-northwest-1", "China (Ningxia)", "CNW1"),
    ("eu-central-1", "EU (Frankfurt)", "EUC1"),
    ("eu-central-2", "Europe (Zurich)", "EUC2"),
    ("eu-north-1", "EU (Stockholm)", "EUN1"),
    ("eu-south-1", "EU (Milan)", "EUS1"),
    ("eu-south-2", "Europe (Spain)", "EUS2"),
    ("eu-west-1", "EU (Ireland)", "EU"),
    ("eu-west-2", "EU (London)", "EUW2"),
    ("eu-west-3", "EU (Paris)", "EUW3"),
    ("il-central-1", "Israel (Tel Aviv)", "ILC1"),
    ("me-central-1", "Middle East (UAE)", "MEC1"),
    ("me-south-1", "Middle East (Bahrain)", "MES1"),
    ("mx-central-1", "Mexico (Central)", "MXC1"),
    ("sa-east-1", "South America (Sao Paulo)", "SAE1"),
    ("us-gov-east-1", "AWS GovCloud (US-East)", "UGE1"),
    ("us-gov-west-1", "AWS GovCloud (US-West)", "UGW1"),
];

/// The region code of a code or of a name as reports print it; `None` for "Any", "Global" and unknown names.
#[must_use]
pub fn code_of(name: &str) -> Option<String> {
    let looks_like_code = name.split('-').count() >= 3
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    if looks_like_code {
        return Some(name.to_owned());
    }
    // The same region is "EU (Ireland)" in older and "Europe (Ireland)" in newer price lists.
    let canonical = |text: &str| text.trim().replacen("Europe", "EU", 1).replace('ã', "a");
    REGIONS
        .iter()
        .find(|(_, long, _)| canonical(long) == canonical(name))
        .map(|(code, _, _)| (*code).to_owned())
}

/// The region that a usage type's prefix stands for, for rows whose region column is empty.
#[must_use]
pub fn of_usage_type(usage_type: &str) -> Option<&'static str> {
    let prefix = usage_type
        .split(':')
        .next()
        .and_then(|head| head.split_once('-'))
        .map_or("", |(prefix, _)| prefix);
    let by_prefix = |wanted: &str| {
        REGIONS
            .iter()
            .find(|(_, _, p)| *p == wanted)
            .map(|(code, _, _)| *code)
    };
    match prefix {
        "EUW1" => Some("eu-west-1"),
        "USE1" => Some("us-east-1"),
        _ => by_prefix(prefix).or_else(|| {
            let billing_code = prefix.len() == 4 && prefix.ends_with(|c: char| c.is_ascii_digit());
            // No code of a region: the dash belongs to the usage type itself, as in Fargate-vCPU-Hours.
            (!billing_code).then_some("us-east-1")
        }),
    }
}

/// The region that a known code before the dash stands for, and none for us-east-1.
#[must_use]
pub fn of_prefix(prefix: &str) -> Option<&'static str> {
    match prefix.trim_end_matches('-') {
        "EUW1" => Some("eu-west-1"),
        "USE1" => Some("us-east-1"),
        code => REGIONS
            .iter()
            .find(|(_, _, known)| *known == code)
            .map(|(code, _, _)| *code),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_codes_lead_to_the_code() {
        assert_eq!(code_of("US East (N. Virginia)").as_deref(), Some("us-east-1"));
        assert_eq!(code_of("Europe (Ireland)").as_deref(), Some("eu-west-1"));
        assert_eq!(code_of("South America (São Paulo)").as_deref(), Some("sa-east-1"));
        assert_eq!(code_of("us-gov-west-1").as_deref(), Some("us-gov-west-1"));
        assert_eq!(code_of("Any"), None);
        assert_eq!(code_of(""), None);
    }

    #[test]
    fn us_east_1_has_no_prefix_and_eu_is_ireland() {
        assert_eq!(of_usage_type("BoxUsage:m5.large"), Some("us-east-1"));
        assert_eq!(of_usage_type("EU-BoxUsage:m5.large"), Some("eu-west-1"));
        assert_eq!(of_usage_type("USE2-SpotUsage:c5.large"), Some("us-east-2"));
        assert_eq!(of_usage_type("Fargate-vCPU-Hours:perCPU"), Some("us-east-1"));
        assert_eq!(of_usage_type("ZZZ9-BoxUsage:m5.large"), None);
    }
}
