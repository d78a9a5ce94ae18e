//! Footers as other writers leave them.

use parquet::basic::Compression;
use parquet::file::metadata::{
    ColumnChunkMetaData, ParquetMetaData, ParquetMetaDataBuilder, ParquetMetaDataReader,
    ParquetMetaDataWriter, RowGroupMetaData,
};

/// The same file with a footer that doesn't mention dictionary pages.
pub(crate) fn forget_dictionaries(bytes: &[u8]) -> Vec<u8> {
    rewritten(bytes, |chunk| {
        // Without its offset a chunk begins at the first page that is named, so that one must be the dictionary.
        let first = chunk.dictionary_page_offset().unwrap_or(chunk.data_page_offset());
        chunk
            .into_builder()
            .set_dictionary_page_offset(None)
            .set_data_page_offset(first)
            .build()
            .unwrap()
    })
}

/// The same file with a footer that says that its pages are compressed so.
pub(crate) fn claim(bytes: &[u8], compression: Compression) -> Vec<u8> {
    rewritten(bytes, |chunk| {
        chunk.into_builder().set_compression(compression).build().unwrap()
    })
}

fn rewritten(bytes: &[u8], rewrite: impl Fn(ColumnChunkMetaData) -> ColumnChunkMetaData) -> Vec<u8> {
    let metadata = ParquetMetaDataReader::new()
        .parse_and_finish(&bytes::Bytes::copy_from_slice(bytes))
        .unwrap();
    let rewritten = |group: &RowGroupMetaData| {
        let columns = group.columns().iter().cloned().map(&rewrite);
        group
            .clone()
            .into_builder()
            .set_column_metadata(columns.collect())
            .build()
            .unwrap()
    };
    let groups = metadata.row_groups().iter().map(rewritten).collect();
    let metadata: ParquetMetaData = ParquetMetaDataBuilder::new(metadata.file_metadata().clone())
        .set_row_groups(groups)
        .build();
    let length = u32::from_le_bytes(bytes[bytes.len() - 8..bytes.len() - 4].try_into().unwrap()) as usize;
    let mut out = bytes[..bytes.len() - 8 - length].to_vec();
    ParquetMetaDataWriter::new(&mut out, &metadata).finish().unwrap();
    out
}
