//! Utilization over time as a strip of blocks, one line high.

const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// One block per part: the mean of the ratios that fall into it, `·` where none is known. At most `width` parts.
#[must_use]
pub(crate) fn sparkline(ratios: &[Option<f64>], width: usize) -> String {
    let parts = width.clamp(1, ratios.len().max(1));
    (0..parts)
        .map(|part| {
            let slice = &ratios[ratios.len() * part / parts..ratios.len() * (part + 1) / parts];
            let known: Vec<f64> = slice.iter().flatten().copied().collect();
            #[allow(clippy::cast_precision_loss)] // some hundred hours
            let mean = known.iter().sum::<f64>() / known.len() as f64;
            if known.is_empty() { '·' } else { block(mean) }
        })
        .collect()
}

fn block(ratio: f64) -> char {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // clamped
    let index = (ratio.clamp(0.0, 1.0) * 7.0).round() as usize;
    BLOCKS[index]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_is_low_full_is_high_and_unknown_is_a_dot() {
        assert_eq!(sparkline(&[Some(0.0), Some(1.0), None, Some(2.0)], 10), "▁█·█");
        assert_eq!(sparkline(&[Some(0.0), Some(1.0)], 1), "▅");
        assert_eq!(sparkline(&[], 5), "·");
    }
}
