//! AWS's partitions: separate AWSs, with regions, ARNs and billing APIs of their own.

/// A partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Partition {
    /// As ARNs name it.
    pub(crate) id: &'static str,
    /// Where its APIs of billing live: the CUR API, Data Exports, Savings Plans.
    pub(crate) home: &'static str,
    /// How the names of its regions begin.
    regions: &'static str,
}

/// By the SDK's own table of endpoints. The last one takes all that is none of the others.
const PARTITIONS: [Partition; 8] = [
    partition("aws-cn", "cn-northwest-1", "cn-"),
    partition("aws-us-gov", "us-gov-west-1", "us-gov-"),
    partition("aws-eusc", "eusc-de-east-1", "eusc-"),
    partition("aws-iso", "us-iso-east-1", "us-iso-"),
    partition("aws-iso-b", "us-isob-east-1", "us-isob-"),
    partition("aws-iso-e", "eu-isoe-west-1", "eu-isoe-"),
    partition("aws-iso-f", "us-isof-south-1", "us-isof-"),
    partition("aws", "us-east-1", ""),
];

const fn partition(id: &'static str, home: &'static str, regions: &'static str) -> Partition {
    Partition { id, home, regions }
}

/// The partition of a role, else of a region.
pub(crate) fn of(region: Option<&str>, role_arn: Option<&str>) -> Partition {
    let named = role_arn
        .and_then(|arn| arn.strip_prefix("arn:"))
        .and_then(|rest| rest.split(':').next());
    let by_role = |one: &&Partition| named == Some(one.id);
    let by_region = |one: &&Partition| region.unwrap_or_default().starts_with(one.regions);
    let found = PARTITIONS
        .iter()
        .find(by_role)
        .or_else(|| PARTITIONS.iter().find(by_region));
    *found.unwrap_or(&PARTITIONS[PARTITIONS.len() - 1])
}

/// That of an SDK's settings, and of a role.
pub(crate) fn of_config(config: &aws_config::SdkConfig, role_arn: Option<&str>) -> Partition {
    of(config.region().map(AsRef::as_ref), role_arn)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_is_known_by_its_regions_and_by_a_role_first() {
        let home = |region, role| {
            let found = of(region, role);
            (found.id, found.home)
        };
        assert_eq!(home(None, None), ("aws", "us-east-1"));
        assert_eq!(home(Some("eu-west-1"), None), ("aws", "us-east-1"));
        assert_eq!(home(Some("cn-north-1"), None), ("aws-cn", "cn-northwest-1"));
        assert_eq!(home(Some("us-gov-east-1"), None), ("aws-us-gov", "us-gov-west-1"));
        assert_eq!(
            home(Some("us-isob-east-1"), None),
            ("aws-iso-b", "us-isob-east-1")
        );
        assert_eq!(home(Some("eusc-de-east-1"), None), ("aws-eusc", "eusc-de-east-1"));
        let role = Some("arn:aws-cn:iam::111122223333:role/reader");
        assert_eq!(home(None, role), ("aws-cn", "cn-northwest-1"));
        assert_eq!(home(Some("us-east-1"), role), ("aws-cn", "cn-northwest-1"));
    }
}
