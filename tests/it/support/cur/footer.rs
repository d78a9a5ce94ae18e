//! Footers as other writers leave them.

use parquet::file::metadata::{
    ParquetMetaData, ParquetMetaDataBuilder, ParquetMetaDataReader, ParquetMetaDataWriter, RowGroupMetaData,
};

/// The same file with a footer that doesn't mention dictionary pages.
pub(crate) fn forget_dictionaries(bytes: &[u8]) -> Vec<u8> {
    let metadata = ParquetMetaDataReader::new()
        .parse_and_finish(&bytes::Bytes::copy_from_slice(bytes))
        .unwrap();
    let forget = |group: &RowGroupMetaData| {
        let columns = group.columns().iter().cloned();
        let columns = columns.map(|c| {
            // Without its offset a chunk begins at the first page that is named, so that one must be the dictionary.
            let first = c.dictionary_page_offset().unwrap_or(c.data_page_offset());
            c.into_builder()
                .set_dictionary_page_offset(None)
                .set_data_page_offset(first)
                .build()
                .unwrap()
        });
        group
            .clone()
            .into_builder()
            .set_column_metadata(columns.collect())
            .build()
            .unwrap()
    };
    let groups = metadata.row_groups().iter().map(forget).collect();
    let metadata: ParquetMetaData = ParquetMetaDataBuilder::new(metadata.file_metadata().clone())
        .set_row_groups(groups)
        .build();
    let length = u32::from_le_bytes(bytes[bytes.len() - 8..bytes.len() - 4].try_into().unwrap()) as usize;
    let mut out = bytes[..bytes.len() - 8 - length].to_vec();
    ParquetMetaDataWriter::new(&mut out, &metadata).finish().unwrap();
    out
}
