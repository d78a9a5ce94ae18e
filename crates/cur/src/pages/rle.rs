//! Parquet's hybrid of run lengths and bit packing, in which levels and dictionary codes are written.
//!
//! Source: Apache Parquet format, "Run Length Encoding / Bit-Packing Hybrid (RLE = 3)". A run's header is a varint: even,
//! half of it values that are all alike, and the value follows in whole bytes; odd, half of it groups of eight values,
//! packed from the least significant bit on.

use std::ops::Range;

use bytes::Bytes;

use super::Unread;

/// Values of up to 32 bits, of which any may be asked for, in ascending order of their positions.
#[derive(Debug)]
pub(super) struct RleDecoder {
    data: Bytes,
    /// Bits of a value.
    width: u8,
    /// Where the next run's header is.
    next: usize,
    /// Positions of the values of the run at hand.
    run: Range<u32>,
    kind: Run,
}

#[derive(Debug, Clone, Copy)]
enum Run {
    Repeated(u32),
    /// Packed from this byte on.
    Packed(usize),
}

impl RleDecoder {
    pub(super) fn new(data: Bytes, width: u8) -> Result<Self, Unread> {
        if width > 32 {
            return Err(Unread("codes of more than 32 bits"));
        }
        Ok(Self {
            data,
            width,
            next: 0,
            run: 0..0,
            kind: Run::Repeated(0),
        })
    }

    /// The values at `positions`, which ascend, also from call to call.
    pub(super) fn gather(&mut self, positions: &[u32], out: &mut Vec<u32>) -> Result<(), Unread> {
        let mut rest = positions;
        while let Some(first) = rest.first() {
            self.seek(*first)?;
            let (here, later) = rest.split_at(rest.partition_point(|position| *position < self.run.end));
            let start = self.run.start;
            match self.kind {
                Run::Repeated(value) => out.extend(here.iter().map(|_| value)),
                Run::Packed(at) => {
                    let (data, width) = (&self.data[at..], self.width);
                    out.extend(here.iter().map(|position| unpack(data, width, position - start)));
                }
            }
            rest = later;
        }
        Ok(())
    }

    /// The value of all of `positions`, where one run holds them all.
    pub(super) fn alike(&mut self, positions: Range<u32>) -> Result<Option<u32>, Unread> {
        if positions.is_empty() {
            return Ok(None);
        }
        self.seek(positions.start)?;
        Ok(match self.kind {
            Run::Repeated(value) if positions.end <= self.run.end => Some(value),
            _ => None,
        })
    }

    /// Tells `each` the runs of `positions`: where they lie, and their value where it is one and the same.
    pub(super) fn runs(
        &mut self,
        positions: Range<u32>,
        mut each: impl FnMut(Range<u32>, Values<'_>),
    ) -> Result<(), Unread> {
        let mut at = positions.start;
        while at < positions.end {
            self.seek(at)?;
            let end = self.run.end.min(positions.end);
            let values = match self.kind {
                Run::Repeated(value) => Values::Alike(value),
                Run::Packed(byte) => Values::Packed {
                    data: &self.data[byte..],
                    width: self.width,
                    first: at - self.run.start,
                },
            };
            each(at..end, values);
            at = end;
        }
        Ok(())
    }

    /// Makes the run at hand the one that holds `position`.
    fn seek(&mut self, position: u32) -> Result<(), Unread> {
        if position < self.run.start {
            return Err(Unread("codes are read forward only"));
        }
        while position >= self.run.end {
            self.advance()?;
        }
        Ok(())
    }

    fn advance(&mut self) -> Result<(), Unread> {
        let header = self.varint()?;
        let (count, kind, length) = if header & 1 == 0 {
            let length = usize::from(self.width.div_ceil(8));
            let bytes = self.bytes(length)?;
            let value = bytes
                .iter()
                .rev()
                .fold(0, |value, byte| value << 8 | u32::from(*byte));
            if self.width < 32 && value >> self.width != 0 {
                return Err(Unread("a code of more bits than it has"));
            }
            (header >> 1, Run::Repeated(value), length)
        } else {
            let groups = header >> 1;
            let length = (groups as usize).checked_mul(usize::from(self.width));
            let length = length.ok_or(Unread("a run of codes too long"))?;
            self.bytes(length)?;
            let count = groups.checked_mul(8).ok_or(Unread("a run of codes too long"))?;
            (count, Run::Packed(self.next), length)
        };
        if count == 0 {
            return Err(Unread("an empty run of codes"));
        }
        let start = self.run.end;
        let end = start
            .checked_add(count)
            .ok_or(Unread("a run of codes too long"))?;
        (self.run, self.kind, self.next) = (start..end, kind, self.next + length);
        Ok(())
    }

    fn bytes(&self, length: usize) -> Result<&[u8], Unread> {
        let rest = self.data.get(self.next..).unwrap_or_default();
        rest.get(..length)
            .ok_or(Unread("codes end before their page's rows"))
    }

    fn varint(&mut self) -> Result<u32, Unread> {
        let mut value = 0_u64;
        for shift in (0..35).step_by(7) {
            let byte = self.bytes(1)?[0];
            self.next += 1;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return u32::try_from(value).map_err(|_| Unread("a run of codes too long"));
            }
        }
        Err(Unread("a run of codes too long"))
    }
}

/// A run's values.
#[derive(Debug, Clone, Copy)]
pub(super) enum Values<'a> {
    Alike(u32),
    Packed {
        data: &'a [u8],
        width: u8,
        /// The first value's place among the packed ones.
        first: u32,
    },
}

impl Values<'_> {
    /// The first so many of them.
    pub(super) fn copy_to(&self, out: &mut Vec<u32>, count: u32) {
        match *self {
            Self::Alike(value) => out.extend((0..count).map(|_| value)),
            Self::Packed { data, width, first } => {
                out.extend((first..first + count).map(|index| unpack(data, width, index)));
            }
        }
    }

    /// A bit for each of the `count` values (at most 56) from the one so many places on, the first lowest: set where it is
    /// the one `wanted`.
    pub(super) fn bits(&self, offset: u32, count: u32, wanted: u32) -> u64 {
        let bits = match *self {
            Self::Alike(value) => u64::from(value == wanted).wrapping_neg(),
            Self::Packed {
                data,
                width: 1,
                first,
            } => {
                let index = first + offset;
                word_at(data, (index / 8) as usize) >> (index % 8) ^ u64::from(wanted).wrapping_sub(1)
            }
            Self::Packed { data, width, first } => {
                let from = first + offset;
                let values = (from..from + count).rev();
                values.fold(0, |bits, index| {
                    bits << 1 | u64::from(unpack(data, width, index) == wanted)
                })
            }
        };
        bits & ((1 << count) - 1)
    }
}

/// Eight bytes from there on; 0 beyond the data.
#[inline]
fn word_at(data: &[u8], byte: usize) -> u64 {
    if let Some(word) = data.get(byte..).and_then(<[u8]>::first_chunk) {
        return u64::from_le_bytes(*word);
    }
    let rest = data.get(byte..).unwrap_or_default();
    rest.iter()
        .rev()
        .fold(0, |word, byte| word << 8 | u64::from(*byte))
}

/// The packed value at `index`; 0 beyond the data.
#[inline]
fn unpack(data: &[u8], width: u8, index: u32) -> u32 {
    let bit = u64::from(index) * u64::from(width);
    #[allow(clippy::cast_possible_truncation)] // at most 2³² values of 4 bytes: within a 64-bit address space
    let word = word_at(data, (bit / 8) as usize);
    #[allow(clippy::cast_possible_truncation)] // masked to at most 32 bits
    let value = (word >> (bit % 8) & ((1 << width) - 1)) as u32;
    value
}

#[cfg(test)]
#[allow(clippy::cast_possible_truncation, reason = "numbers of tests are small")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Values as a writer would put them down, some runs repeated, some packed.
    fn encoded(runs: &[(bool, Vec<u32>)], width: u8) -> (Vec<u8>, Vec<u32>) {
        let (mut bytes, mut values) = (Vec::new(), Vec::new());
        let varint = |bytes: &mut Vec<u8>, mut value: u32| {
            while value >= 0x80 {
                bytes.push((value & 0x7f) as u8 | 0x80);
                value >>= 7;
            }
            bytes.push(value as u8);
        };
        for (repeated, run) in runs {
            if *repeated {
                varint(&mut bytes, (run.len() as u32) << 1);
                bytes.extend(&run[0].to_le_bytes()[..usize::from(width.div_ceil(8))]);
                values.extend(run.iter().map(|_| run[0]));
            } else {
                let groups = run.len().div_ceil(8);
                varint(&mut bytes, (groups as u32) << 1 | 1);
                let mut bits = vec![0_u8; groups * usize::from(width)];
                for (index, value) in run.iter().enumerate() {
                    for bit in 0..usize::from(width) {
                        let at = index * usize::from(width) + bit;
                        bits[at / 8] |= ((value >> bit & 1) as u8) << (at % 8);
                    }
                }
                bytes.extend(bits);
                values.extend(run);
                values.resize(values.len() + groups * 8 - run.len(), 0);
            }
        }
        (bytes, values)
    }

    proptest! {
        #[test]
        fn any_values_are_found_at_their_positions(
            width in 0_u8..=32,
            runs in prop::collection::vec((any::<bool>(), prop::collection::vec(any::<u32>(), 1..40)), 1..12),
            chosen in prop::collection::vec(any::<bool>(), 600),
        ) {
            let mask = if width == 32 { u32::MAX } else { (1 << width) - 1 };
            let runs: Vec<_> = runs
                .into_iter()
                .map(|(repeated, run)| (repeated, run.into_iter().map(|value| value & mask).collect()))
                .collect();
            let (bytes, values) = encoded(&runs, width);
            let positions: Vec<u32> = (0..values.len() as u32).filter(|at| chosen[*at as usize]).collect();
            let mut found = Vec::new();
            let mut rle = RleDecoder::new(bytes.clone().into(), width).unwrap();
            for part in positions.chunks(7) {
                rle.gather(part, &mut found).unwrap();
            }
            let expected: Vec<u32> = positions.iter().map(|at| values[*at as usize]).collect();
            prop_assert_eq!(&found, &expected);

            let mut all = Vec::new();
            let mut rle = RleDecoder::new(bytes.into(), width).unwrap();
            rle.runs(0..values.len() as u32, |run, values| {
                values.copy_to(&mut all, run.end - run.start);
            }).unwrap();
            prop_assert_eq!(all, values);
        }

        #[test]
        fn damaged_codes_are_refused_and_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..64), width in 0_u8..=40) {
            let Ok(mut rle) = RleDecoder::new(bytes.into(), width) else { return Ok(()) };
            let _ = rle.gather(&[0, 3, 9, 1000, 100_000], &mut Vec::new());
        }
    }
}
