//! Durations and quantities as Kubernetes writes them.

use chrono::Duration;

/// A duration such as `720h`, `1h30m` or `0s`, as Karpenter's `NodePool` schema allows it: whole hours, minutes
/// and seconds. None if `text` is not one.
#[must_use]
pub fn duration(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut seconds: i64 = 0;
    while !rest.is_empty() {
        let (number, tail) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit())?);
        let unit = match tail.as_bytes().first()? {
            b'h' => 3600,
            b'm' => 60,
            b's' => 1,
            _ => return None,
        };
        seconds = seconds.checked_add(number.parse::<i64>().ok()?.checked_mul(unit)?)?;
        rest = &tail[1..];
    }
    if text.is_empty() {
        None
    } else {
        Duration::try_seconds(seconds)
    }
}

/// A Kubernetes quantity (`4`, `500m`, `16Gi`, `1e3`) in its base unit: vCPU, bytes or a count. None if `text`
/// is not one.
#[must_use]
pub fn quantity(text: &str) -> Option<f64> {
    const SUFFIXES: [(&str, f64); 15] = [
        ("Ki", 1024.0),
        ("Mi", 1_048_576.0),
        ("Gi", 1_073_741_824.0),
        ("Ti", 1_099_511_627_776.0),
        ("Pi", 1_125_899_906_842_624.0),
        ("Ei", 1_152_921_504_606_846_976.0),
        ("n", 1e-9),
        ("u", 1e-6),
        ("m", 1e-3),
        ("k", 1e3),
        ("M", 1e6),
        ("G", 1e9),
        ("T", 1e12),
        ("P", 1e15),
        ("E", 1e18),
    ];
    let text = text.trim();
    let (number, factor) = SUFFIXES
        .iter()
        .find_map(|(suffix, factor)| Some((text.strip_suffix(suffix)?, *factor)))
        .unwrap_or((text, 1.0));
    // `parse` alone would also take "inf" and "nan".
    if !number.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '.' | '+' | '-')) {
        return None;
    }
    let value = number.parse::<f64>().ok()? * factor;
    value.is_finite().then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_karpenter_writes_them() {
        assert_eq!(duration("720h"), Some(Duration::hours(720)));
        assert_eq!(duration("1h30m"), Some(Duration::minutes(90)));
        assert_eq!(duration("0s"), Some(Duration::zero()));
        for bad in [
            "",
            "h",
            "5",
            "-1h",
            "1d",
            "1.5h",
            "99999999999999999999h",
            "9223372036854775807h",
        ] {
            assert_eq!(duration(bad), None, "{bad}");
        }
    }

    #[test]
    fn quantities_read_in_their_base_unit() {
        let read = |text| quantity(text).map(|value| format!("{value}"));
        assert_eq!(read("16").as_deref(), Some("16"));
        assert_eq!(read("500m").as_deref(), Some("0.5"));
        assert_eq!(read("2Gi").as_deref(), Some("2147483648"));
        assert_eq!(read("1.5k").as_deref(), Some("1500"));
        assert_eq!(read("1e3").as_deref(), Some("1000"));
        for bad in ["", "Gi", "four", "inf", "nan", "+nan", "1 Gi x"] {
            assert_eq!(quantity(bad), None, "{bad}");
        }
    }
}
