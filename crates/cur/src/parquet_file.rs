//! One parquet file of a report: its footer, the facts it holds, and its row groups.

use std::ops::Range;
use std::sync::Arc;

use arrow_schema::{DataType, Field, FieldRef, Fields, Schema};
use futures::{StreamExt, TryStreamExt, stream};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::metadata::{
    ColumnChunkMetaData, PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader, RowGroupMetaData,
};
use parquet::file::statistics::Statistics;

use super::batch::coded_text;
use super::columns::{Columns, Time, Wanted, is_text};
use super::object::{FileBytes, Object, ReadError, coalesce};
use super::pages::{Arrays, ROWS, Roots, RowFilter, SelectedRows, Unread, guard, leaf_of, per_milli};
use super::store::ObjectStore;
use brimful_types::Error;
use brimful_types::hour::Hour;

/// Read from a file's end in one request; footers of 200 columns are some tens of KiB.
const FOOTER_GUESS: u64 = 128 << 10;
/// Column chunks this close together are fetched with one request.
const GAP: u64 = 256 << 10;
/// Requests under way for one row group.
const REQUESTS: usize = 4;

/// A file of the report, its footer read and its columns found.
#[derive(Debug)]
pub(crate) struct ParquetFile {
    pub(crate) object: Object,
    pub(crate) name: String,
    /// `None` for a file without rows: a surplus chunk, whose columns don't matter.
    pub(crate) columns: Option<Columns>,
    reader: ArrowReaderMetadata,
    projection: ProjectionMask,
}

impl ParquetFile {
    /// Reads the footer and finds the columns.
    pub(crate) async fn open(
        store: &dyn ObjectStore,
        object: &Object,
        wanted: Wanted,
    ) -> Result<(Self, u64), ReadError> {
        let name = store.name(&object.key);
        let (metadata, bytes_read) = footer(store, object, &name).await?;
        let unreadable = |e: ParquetError| damaged(&name, &e);
        if !has_sound_chunks(&metadata) {
            return Err(damaged(
                &name,
                &"its footer places column chunks before the file's beginning",
            )
            .into());
        }
        let metadata = Arc::new(metadata);
        let options = || ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        let inferred = ArrowReaderMetadata::try_new(Arc::clone(&metadata), options()).map_err(unreadable)?;
        if metadata.file_metadata().num_rows() == 0 {
            let file = Self {
                object: object.clone(),
                projection: ProjectionMask::none(inferred.parquet_schema().num_columns()),
                name,
                columns: None,
                reader: inferred,
            };
            return Ok((file, bytes_read));
        }
        let columns = Columns::find(&filled(inferred.schema(), &metadata), &name)?.only(wanted);
        let roots = columns.roots();
        let schema = Arc::new(coded_schema(inferred.schema(), &roots));
        let reader =
            ArrowReaderMetadata::try_new(metadata, options().with_schema(schema)).map_err(unreadable)?;
        let projection = ProjectionMask::roots(reader.parquet_schema(), roots);
        let file = Self {
            object: object.clone(),
            name,
            columns: Some(columns),
            reader,
            projection,
        };
        file.check_compression()?;
        Ok((file, bytes_read))
    }

    /// Refuses what this build cannot unpack, which is no damage.
    fn check_compression(&self) -> Result<(), Error> {
        let mut chunks = (0..self.row_groups()).flat_map(|group| self.chunks(group));
        match chunks.find_map(|chunk| Some((chunk, codec(chunk.compression())?))) {
            None => Ok(()),
            Some((chunk, codec)) => Err(Error::report(format!(
                "{}: cannot read this compression: column {} is compressed with {codec}",
                self.name,
                chunk.column_path().string()
            ))
            .hint("AWS writes snappy; write the copy with snappy, zstd or gzip, or without compression")),
        }
    }

    pub(crate) fn rows(&self) -> u64 {
        u64::try_from(self.reader.metadata().file_metadata().num_rows()).unwrap_or(0)
    }

    pub(crate) fn row_groups(&self) -> usize {
        self.reader.metadata().num_row_groups()
    }

    pub(crate) fn rows_of(&self, row_group: usize) -> u64 {
        u64::try_from(self.reader.metadata().row_group(row_group).num_rows()).unwrap_or(0)
    }

    /// False when statistics show that no row of the row group begins within `window`.
    pub(crate) fn may_hold(&self, row_group: usize, window: &Range<Hour>) -> bool {
        let Some((first, last)) = self.start_range(row_group) else {
            return true;
        };
        match (Hour::of_millis(first), Hour::of_millis(last)) {
            (Some(first), Some(last)) => first < window.end && last >= window.start,
            _ => true,
        }
    }

    /// The earliest and latest usage start of a row group in milliseconds, where the file says so.
    fn start_range(&self, row_group: usize) -> Option<(i64, i64)> {
        let root = self.columns.as_ref()?.times[Time::Start as usize];
        let schema = self.reader.parquet_schema();
        let leaf = leaf_of(schema, root)?;
        let per_milli = per_milli(self.reader.schema().field(root).data_type())?;
        let chunk = self.reader.metadata().row_group(row_group).column(leaf);
        match chunk.statistics()? {
            Statistics::Int64(range) => Some((*range.min_opt()? / per_milli, *range.max_opt()? / per_milli)),
            _ => None,
        }
    }

    /// How many bytes are in memory once a row group is fetched: a local file's are read where needed.
    pub(crate) fn fetched_bytes(&self, store: &dyn ObjectStore, row_group: usize) -> u64 {
        if !store.is_remote() {
            return 0;
        }
        length(&coalesce(self.chunk_ranges(row_group), GAP))
    }

    /// The bytes needed to decode one row group, and how many of them were fetched for it.
    pub(crate) async fn fetch(
        &self,
        store: &dyn ObjectStore,
        row_group: usize,
    ) -> Result<(FileBytes, u64), ReadError> {
        let wanted = self.chunk_ranges(row_group);
        if let Some(file) = store.open(&self.object)? {
            return Ok((FileBytes::Local(file, self.object.size), length(&wanted)));
        }
        let ranges = coalesce(wanted, GAP);
        let fetched: Vec<_> =
            stream::iter(ranges)
                .map(|range| async move {
                    Ok::<_, ReadError>((range.start, store.range(&self.object, range).await?))
                })
                .buffered(REQUESTS)
                .try_collect()
                .await?;
        let bytes = fetched.iter().map(|(_, bytes)| bytes.len() as u64).sum();
        Ok((FileBytes::Fetched(Arc::new(fetched), self.object.size), bytes))
    }

    /// The column chunks that are needed of a row group.
    fn chunks(&self, row_group: usize) -> impl Iterator<Item = &ColumnChunkMetaData> {
        let chunks = self.reader.metadata().row_group(row_group).columns().iter();
        let needed = chunks
            .enumerate()
            .filter(|(leaf, _)| self.projection.leaf_included(*leaf));
        needed.map(|(_, chunk)| chunk)
    }

    fn chunk_ranges(&self, row_group: usize) -> Vec<Range<u64>> {
        self.chunks(row_group)
            .map(ColumnChunkMetaData::byte_range)
            .map(|(start, length)| start..start.saturating_add(length).min(self.object.size))
            .filter(|range| range.start < range.end)
            .collect()
    }

    /// Reads one row group some thousand rows at a time: what `filter` wants of them from `since` on, where the pages'
    /// make allows to choose; else all of them.
    ///
    /// # Errors
    /// A page is larger than any page should be.
    pub(crate) fn read(
        &self,
        bytes: FileBytes,
        row_group: usize,
        filter: Option<RowFilter>,
        since: Option<Hour>,
    ) -> Result<Rows<'_>, Error> {
        let mut before: Option<(&str, u64)> = None;
        for chunk in self.chunks(row_group) {
            let values = guard::check(&bytes, chunk, self.rows_of(row_group));
            let values = values.map_err(|e| damaged(&self.name, &e))?;
            // Keys and values of a map, of which the one or the other would be taken for its neighbour's.
            let entries = map_entries(chunk);
            if let (Some(map), Some((other, count))) = (entries, before)
                && map == other
                && values != count
            {
                let what = format!("column {map}: {count} keys and {values} values");
                return Err(damaged(&self.name, &what));
            }
            before = entries.map(|map| (map, values));
        }
        let selected = filter.and_then(|filter| self.select(&bytes, row_group, filter, since));
        Ok(Rows {
            file: self,
            bytes,
            row_group,
            selected,
            decoder: None,
        })
    }

    fn select(
        &self,
        bytes: &FileBytes,
        row_group: usize,
        filter: RowFilter,
        since: Option<Hour>,
    ) -> Option<SelectedRows> {
        let columns = self.columns.as_ref()?;
        // What a FOCUS row is, several columns say together.
        if columns.focus.is_some() {
            return None;
        }
        let (leading, known) = columns.leading(filter);
        let decode = |roots: &[usize]| {
            let projection = ProjectionMask::roots(self.reader.parquet_schema(), roots.iter().copied());
            self.decode(bytes.clone(), row_group, projection, 0).ok()
        };
        let since = since.map(|since| {
            (
                columns.times[Time::Start as usize],
                since.start().timestamp_millis(),
            )
        });
        let roots = Roots {
            all: &columns.roots(),
            leading: &leading,
            known,
            plan_columns: &columns.plan_columns(),
            fee_columns: &columns.fee_columns(),
            maps: &columns.maps(),
            since,
        };
        let opened = SelectedRows::open((bytes, &self.reader, row_group), &filter, &roots, decode);
        opened.inspect_err(|unread| self.note(*unread)).ok()
    }

    /// Decodes columns of one row group from a row on.
    fn decode(
        &self,
        bytes: FileBytes,
        row_group: usize,
        projection: ProjectionMask,
        first: usize,
    ) -> Result<ParquetRecordBatchReader, Error> {
        ParquetRecordBatchReaderBuilder::new_with_metadata(bytes, self.reader.clone())
            .with_row_groups(vec![row_group])
            .with_projection(projection)
            .with_batch_size(ROWS as usize)
            .with_offset(first)
            .build()
            .map_err(|e| damaged(&self.name, &e))
    }

    fn note(&self, Unread(why): Unread) {
        tracing::debug!("{}: {why}: decoding all of its rows", self.name);
    }
}

/// The rows of one row group, some thousand at a time.
pub(crate) struct Rows<'a> {
    file: &'a ParquetFile,
    bytes: FileBytes,
    row_group: usize,
    selected: Option<SelectedRows>,
    decoder: Option<ParquetRecordBatchReader>,
}

impl Rows<'_> {
    #[cfg(test)]
    pub(crate) fn is_by_pages(&self) -> bool {
        self.selected.is_some()
    }

    /// What comes next, and how many rows were looked at for it; `None` after the last.
    pub(crate) fn next(&mut self) -> Result<Option<(Arrays, u64)>, Error> {
        let mut first = 0;
        if let Some(selected) = &mut self.selected {
            first = selected.next_row();
            match selected.next() {
                Ok(arrays) => return Ok(arrays.map(|arrays| (arrays, (selected.next_row() - first) as u64))),
                Err(unread) => self.file.note(unread),
            }
            self.selected = None;
        }
        let decoder = match &mut self.decoder {
            Some(decoder) => decoder,
            none => {
                let (file, bytes) = (self.file, self.bytes.clone());
                none.insert(file.decode(bytes, self.row_group, file.projection.clone(), first)?)
            }
        };
        let Some(batch) = decoder.next() else {
            return Ok(None);
        };
        let batch = batch.map_err(|e| damaged(&self.file.name, &e))?;
        let rows = batch.num_rows();
        let columns = batch.columns().to_vec();
        Ok(Some((Arrays { columns, rows }, rows as u64)))
    }
}

/// The name of a compression that is not built in.
fn codec(compression: Compression) -> Option<&'static str> {
    match compression {
        Compression::UNCOMPRESSED | Compression::SNAPPY | Compression::GZIP(_) | Compression::ZSTD(_) => None,
        Compression::BROTLI(_) => Some("brotli"),
        Compression::LZ4 | Compression::LZ4_RAW => Some("lz4"),
        Compression::LZO => Some("lzo"),
    }
}

/// The schema with columns that hold nothing but nulls as such: of what type they are is then chance.
fn filled(schema: &Schema, metadata: &ParquetMetaData) -> Schema {
    let columns = metadata.file_metadata().schema_descr();
    let is_empty = |root: usize| {
        let mut leaves = (0..columns.num_columns()).filter(|leaf| columns.get_column_root_idx(*leaf) == root);
        let leaf = leaves.next().filter(|_| leaves.next().is_none());
        leaf.is_some_and(|leaf| {
            metadata.row_groups().iter().all(|group| {
                let nulls = group
                    .column(leaf)
                    .statistics()
                    .and_then(Statistics::null_count_opt);
                nulls.is_some_and(|nulls| i64::try_from(nulls) == Ok(group.num_rows()))
            })
        })
    };
    let fields = schema.fields().iter().enumerate().map(|(root, field)| {
        if is_empty(root) && !matches!(field.data_type(), DataType::Timestamp(..)) {
            Arc::new(Field::clone(field).with_data_type(DataType::Null))
        } else {
            Arc::clone(field)
        }
    });
    Schema::new(fields.collect::<Fields>())
}

fn length(ranges: &[Range<u64>]) -> u64 {
    ranges.iter().map(|range| range.end - range.start).sum()
}

/// The column whose entries a chunk holds one side of, where that is a map of plain values.
fn map_entries(chunk: &ColumnChunkMetaData) -> Option<&str> {
    let column = chunk.column_descr();
    let is_entry = column.max_rep_level() == 1 && column.path().parts().len() == 3;
    column
        .path()
        .parts()
        .first()
        .filter(|_| is_entry)
        .map(String::as_str)
}

/// The error for bytes that are not the parquet they should be.
pub(crate) fn damaged(name: &str, error: &dyn std::fmt::Display) -> Error {
    Error::report(format!("{name}: not a readable parquet file: {error}"))
        .hint("it may be truncated or still being written: copy or export it again, or leave it out of the manifest")
}

async fn footer(
    store: &dyn ObjectStore,
    object: &Object,
    name: &str,
) -> Result<(ParquetMetaData, u64), ReadError> {
    let mut length = FOOTER_GUESS.min(object.size);
    let mut bytes_read = 0;
    // The first read may be too short for the footer; the second knows how long it is.
    for _ in 0..3 {
        if length == 0 {
            break;
        }
        let tail = store.range(object, object.size - length..object.size).await?;
        bytes_read += tail.len() as u64;
        let mut reader = ParquetMetaDataReader::new().with_page_index_policy(PageIndexPolicy::Skip);
        match reader.try_parse_sized(&tail, object.size) {
            Ok(()) => {
                let metadata = reader.finish().map_err(|e| damaged(name, &e))?;
                return Ok((metadata, bytes_read));
            }
            Err(ParquetError::NeedMoreData(needed))
                if needed as u64 > length && needed as u64 <= object.size =>
            {
                length = needed as u64;
            }
            Err(error) => return Err(damaged(name, &error).into()),
        }
    }
    Err(damaged(name, &"it has no footer").into())
}

/// False when a damaged footer holds what the decoder would panic on.
fn has_sound_chunks(metadata: &ParquetMetaData) -> bool {
    let mut chunks = metadata.row_groups().iter().flat_map(RowGroupMetaData::columns);
    chunks.all(|chunk| {
        let start = chunk
            .dictionary_page_offset()
            .unwrap_or_else(|| chunk.data_page_offset());
        start >= 0 && chunk.compressed_size() >= 0
    })
}

/// The schema to decode with: text columns among `roots` as dictionary codes, in maps too.
fn coded_schema(schema: &Schema, roots: &[usize]) -> Schema {
    let fields = schema.fields().iter().enumerate();
    let coded: Fields = fields
        .map(|(index, field)| {
            if roots.contains(&index) {
                coded_field(field)
            } else {
                Arc::clone(field)
            }
        })
        .collect();
    Schema::new(coded)
}

fn coded_field(field: &FieldRef) -> FieldRef {
    let data_type = match field.data_type() {
        text if is_text(text) => coded_text(),
        DataType::Map(entries, sorted) => match entries.data_type() {
            DataType::Struct(pair) => {
                let pair = DataType::Struct(pair.iter().map(coded_field).collect());
                DataType::Map(Arc::new(Field::clone(entries).with_data_type(pair)), *sorted)
            }
            _ => return Arc::clone(field),
        },
        _ => return Arc::clone(field),
    };
    Arc::new(Field::clone(field).with_data_type(data_type))
}
