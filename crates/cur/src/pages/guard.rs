//! What a column chunk's pages say of their size and values, before anything is unpacked.
//!
//! The unpacker takes a page's declared size at its word and sets that much memory aside, and gzip has no bound of its
//! own. A damaged or made-up page must not cost more memory than a real one. And where pages have more or fewer values than
//! there are rows, every later row would take the values of another.
//!
//! Source: Apache Parquet format, `PageHeader` (the first three fields: type, unpacked size, packed size), in Thrift's
//! compact protocol.

use std::io::{self, Read};

use flate2::read::MultiGzDecoder;
use parquet::basic::Compression;
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::file::reader::ChunkReader;

use crate::object::FileBytes;

/// Writers keep to a mebibyte or so; some put a whole row group's column into one page.
pub(super) const MAX_PAGE: u64 = 256 << 20;

/// Values of a page. Levels of many that are alike take a few bytes, whatever their number.
const MAX_VALUES: u64 = 64 << 20;

/// Structures in structures that a header may have; the format has two.
const MAX_DEPTH: u8 = 8;

/// Checks every page header of a chunk; gives the number of values in its pages.
///
/// # Errors
/// What is wrong with the first page that is larger than any page should be, or is no page; or that the pages of a flat
/// column do not have as many values as the row group has rows.
pub(crate) fn check(bytes: &FileBytes, chunk: &ColumnChunkMetaData, rows: u64) -> Result<u64, String> {
    let (start, length) = chunk.byte_range();
    let end = start.saturating_add(length);
    let name = chunk.column_path();
    let (mut at, mut total) = (start, 0_u64);
    while at < end {
        let broken = |_| format!("column {name}: no page begins at byte {at}");
        let mut header = Header {
            read: 0,
            source: bytes
                .get_read(at)
                .map_err(|_| broken(io::ErrorKind::Other.into()))?,
        };
        let Sizes {
            unpacked,
            packed,
            levels,
            values,
        } = header.sizes().map_err(broken)?;
        let from = at + header.read;
        let fits = from.checked_add(packed).filter(|next| *next <= end);
        let Some(next) = fits else {
            return Err(format!(
                "column {name}: the page at byte {at} is longer than its column chunk"
            ));
        };
        if unpacked > MAX_PAGE {
            return Err(format!(
                "column {name}: the page at byte {at} says that it unpacks to {unpacked} bytes; at most {MAX_PAGE} are read"
            ));
        }
        if values > MAX_VALUES {
            return Err(format!(
                "column {name}: the page at byte {at} says that it has {values} values; at most {MAX_VALUES} are read"
            ));
        }
        let is_gzip = matches!(chunk.compression(), Compression::GZIP(_));
        if is_gzip && inflates_beyond(bytes, from + levels, packed.saturating_sub(levels), unpacked) {
            return Err(format!(
                "column {name}: the page at byte {at} unpacks to more than it says"
            ));
        }
        total = total.saturating_add(values);
        at = next;
    }
    let is_flat = chunk.column_descr().max_rep_level() == 0;
    if is_flat && total != rows {
        return Err(format!(
            "column {name}: its pages have {total} values for {rows} rows"
        ));
    }
    Ok(total)
}

/// True when gzip data unpacks to more than that. What is no gzip at all, the unpacker finds.
fn inflates_beyond(bytes: &FileBytes, from: u64, packed: u64, unpacked: u64) -> bool {
    let Ok(source) = bytes.get_read(from) else {
        return false;
    };
    let mut inflated = MultiGzDecoder::new(source.take(packed)).take(unpacked + 1);
    io::copy(&mut inflated, &mut io::sink()).is_ok_and(|length| length > unpacked)
}

/// What a page header says of the bytes after it.
struct Sizes {
    unpacked: u64,
    packed: u64,
    /// The part at their beginning that is never packed.
    levels: u64,
    /// Values of a data page, nulls included.
    values: u64,
}

/// A page header, read byte by byte.
struct Header<R> {
    read: u64,
    source: R,
}

// Kinds of fields.
const I32: u8 = 5;
const STRUCT: u8 = 12;

fn invalid() -> io::Error {
    io::ErrorKind::InvalidData.into()
}

impl<R: Read> Header<R> {
    fn sizes(&mut self) -> io::Result<Sizes> {
        let (mut unpacked, mut packed, mut levels, mut values) = (None, None, 0, 0);
        let mut last = 0;
        while let Some((number, kind)) = self.field(last)? {
            last = number;
            match (number, kind) {
                (2, I32) => unpacked = Some(self.size()?),
                (3, I32) => packed = Some(self.size()?),
                // A data page of the first or second version.
                (5 | 8, STRUCT) => {
                    let is_second = number == 8;
                    let mut last = 0;
                    while let Some((number, kind)) = self.field(last)? {
                        last = number;
                        match (number, kind) {
                            (1, I32) => values = self.size()?,
                            (5 | 6, I32) if is_second => levels += self.size()?,
                            _ => self.skip(kind, 1)?,
                        }
                    }
                }
                _ => self.skip(kind, 0)?,
            }
        }
        let (unpacked, packed) = unpacked.zip(packed).ok_or_else(invalid)?;
        Ok(Sizes {
            unpacked,
            packed,
            levels,
            values,
        })
    }

    fn size(&mut self) -> io::Result<u64> {
        let size = i32::try_from(self.integer()?).map_err(|_| invalid())?;
        u64::try_from(size).map_err(|_| invalid())
    }

    /// The next field's number and kind; `None` at the structure's end.
    fn field(&mut self, last: i64) -> io::Result<Option<(i64, u8)>> {
        let byte = self.byte()?;
        Ok(match (byte >> 4, byte & 0xf) {
            (_, 0) => None,
            (0, kind) => Some((self.integer()?, kind)),
            (step, kind) => Some((last.saturating_add(step.into()), kind)),
        })
    }

    fn skip(&mut self, kind: u8, depth: u8) -> io::Result<()> {
        if depth > MAX_DEPTH {
            return Err(invalid());
        }
        match kind {
            // Truth values are in the kind itself.
            1 | 2 => {}
            3 => self.skip_bytes(1)?,
            4..=6 => {
                self.varint()?;
            }
            7 => self.skip_bytes(8)?,
            8 => {
                let length = self.varint()?;
                self.skip_bytes(length)?;
            }
            9 | 10 => {
                let byte = self.byte()?;
                let count = match byte >> 4 {
                    15 => self.varint()?,
                    count => count.into(),
                };
                for _ in 0..count {
                    // Truth values in lists take a byte each.
                    let kind = if matches!(byte & 0xf, 1 | 2) {
                        3
                    } else {
                        byte & 0xf
                    };
                    self.skip(kind, depth + 1)?;
                }
            }
            STRUCT => {
                let mut last = 0;
                while let Some((number, kind)) = self.field(last)? {
                    last = number;
                    self.skip(kind, depth + 1)?;
                }
            }
            _ => return Err(invalid()),
        }
        Ok(())
    }

    fn byte(&mut self) -> io::Result<u8> {
        let mut byte = [0];
        self.source.read_exact(&mut byte)?;
        self.read += 1;
        Ok(byte[0])
    }

    fn skip_bytes(&mut self, length: u64) -> io::Result<()> {
        let skipped = io::copy(&mut self.source.by_ref().take(length), &mut io::sink())?;
        self.read += skipped;
        if skipped < length { Err(invalid()) } else { Ok(()) }
    }

    fn varint(&mut self) -> io::Result<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(invalid())
    }

    /// A number with its sign in the lowest bit.
    fn integer(&mut self) -> io::Result<i64> {
        let value = self.varint()?;
        Ok((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
    }
}

#[cfg(test)]
#[allow(clippy::cast_possible_truncation, reason = "numbers of tests are small")]
mod tests {
    use std::io::Write;
    use std::sync::Arc;

    use flate2::Compression as Level;
    use flate2::write::GzEncoder;
    use parquet::basic::{GzipLevel, Type};
    use parquet::schema::types::{ColumnDescriptor, ColumnPath, Type as SchemaType};

    use super::*;

    /// A chunk of one page that says so of its size.
    fn chunk(compression: Compression, unpacked: i32, data: &[u8]) -> (FileBytes, ColumnChunkMetaData) {
        let mut bytes = vec![0x15, 0];
        for size in [unpacked, i32::try_from(data.len()).unwrap()] {
            bytes.push(0x15);
            let mut value = (size << 1 ^ size >> 31).cast_unsigned();
            while value >= 0x80 {
                bytes.push((value & 0x7f) as u8 | 0x80);
                value >>= 7;
            }
            bytes.push(value as u8);
        }
        // A data page of seven values; a list and a text of later versions; the end.
        bytes.extend([
            0x2c, 0x15, 14, 0x15, 0, 0, 0x19, 0x25, 2, 4, 0x18, 2, b'a', b'b', 0,
        ]);
        bytes.extend(data);
        let column = SchemaType::primitive_type_builder("line_item_usage_type", Type::BYTE_ARRAY);
        let path = ColumnPath::from("line_item_usage_type");
        let column = ColumnDescriptor::new(Arc::new(column.build().unwrap()), 1, 0, path);
        let size = i64::try_from(bytes.len()).unwrap();
        let metadata = ColumnChunkMetaData::builder(Arc::new(column))
            .set_compression(compression)
            .set_data_page_offset(0)
            .set_total_compressed_size(size)
            .build()
            .unwrap();
        (
            FileBytes::Fetched(Arc::new(vec![(0, bytes.into())]), size.cast_unsigned()),
            metadata,
        )
    }

    #[test]
    fn a_page_that_would_take_all_memory_is_refused_by_column_and_place() {
        let (bytes, metadata) = chunk(Compression::SNAPPY, i32::MAX, b"abc");
        let refused = check(&bytes, &metadata, 7).unwrap_err();
        assert!(
            refused.contains("line_item_usage_type") && refused.contains("2147483647"),
            "{refused}"
        );
        let (bytes, metadata) = chunk(Compression::SNAPPY, 4096, b"abc");
        assert_eq!(check(&bytes, &metadata, 7), Ok(7));
    }

    #[test]
    fn gzip_that_unpacks_to_more_than_it_says_is_refused() {
        let mut gzip = GzEncoder::new(Vec::new(), Level::best());
        gzip.write_all(&vec![0; 4 << 20]).unwrap();
        let packed = gzip.finish().unwrap();
        let level = Compression::GZIP(GzipLevel::default());
        let (bytes, metadata) = chunk(level, 4096, &packed);
        assert!(
            check(&bytes, &metadata, 7)
                .unwrap_err()
                .contains("more than it says")
        );
        let (bytes, metadata) = chunk(level, 4 << 20, &packed);
        assert_eq!(check(&bytes, &metadata, 7), Ok(7));
    }

    #[test]
    fn pages_that_do_not_hold_a_value_for_every_row_are_refused() {
        let (bytes, metadata) = chunk(Compression::UNCOMPRESSED, 3, b"abc");
        assert!(
            check(&bytes, &metadata, 8)
                .unwrap_err()
                .contains("7 values for 8 rows")
        );
    }

    #[test]
    fn a_page_longer_than_its_chunk_and_none_at_all_are_refused() {
        for (size, says) in [
            (23, "longer than its column chunk"),
            (3, "longer than its column chunk"),
        ] {
            let (bytes, _) = chunk(Compression::UNCOMPRESSED, 3, b"abc");
            let (_, metadata) = chunk(Compression::UNCOMPRESSED, 3, b"");
            let metadata = metadata
                .into_builder()
                .set_total_compressed_size(size)
                .build()
                .unwrap();
            assert!(check(&bytes, &metadata, 7).unwrap_err().contains(says));
        }
        let (bytes, metadata) = chunk(Compression::UNCOMPRESSED, -1, b"abc");
        assert!(
            check(&bytes, &metadata, 7)
                .unwrap_err()
                .contains("no page begins at byte 0")
        );
    }
}
