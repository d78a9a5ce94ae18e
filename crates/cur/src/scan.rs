//! One pass over the needed columns of a report's files, row group by row group, on some threads.
//!
//! Each thread decodes row groups and counts their line items in a counter of its own, so that none waits for another; who
//! waits for the scan gets the counters, to be added up. Threads own all that they work on, so that the wait can be given
//! up at any time: nobody listens to their progress then, and that ends each of them, wherever it waits.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use futures::{StreamExt, TryStreamExt, stream};
use tokio::runtime::Handle;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinHandle;

use super::batch::{BatchDecoder, DecodedItems};
use super::columns::{Format, Wanted};
use super::object::{FileBytes, Object, ReadError};
use super::pages::RowFilter;
use super::parquet_file::{ParquetFile, damaged};
use super::store::ObjectStore;
use super::symbols::Symbols;
use brimful_types::hour::Hour;
use brimful_types::{Error, ErrorKind, Result};

/// Footers read at the same time: all of most reports, before anything else is in memory.
const FOOTERS: usize = 32;

/// Bytes of row groups in memory, of all workers together, up to which others are fetched ahead.
const AHEAD: u64 = 64 << 20;

/// Reports of progress that may wait to be taken, per thread.
const WAITING: usize = 4;

/// Told about progress: rows done so far, and rows to do.
pub type Progress<'a> = dyn Fn(u64, u64) + Sync + 'a;

/// Takes line items, in any order. What several take of the same rows must add up to the same, however these are dealt out.
pub trait Counter: Send + 'static {
    /// Counts some line items.
    ///
    /// # Errors
    /// What is wrong with them; it ends the scan.
    fn count(&mut self, items: &DecodedItems) -> Result<()>;
}

/// What a scan should read.
pub struct Scan<'a> {
    /// Where the files lie.
    pub store: &'a Arc<dyn ObjectStore>,
    /// The files of one consistent snapshot.
    pub files: &'a [Object],
    /// Hours that matter; row groups wholly outside are skipped. Rows outside may still be handed over.
    pub window: Option<Range<Hour>>,
    /// Which rows matter; all when `None`. Others may be handed over as well. What it looks at must be wanted.
    pub filter: Option<RowFilter>,
    /// Which facts are wanted of them.
    pub wanted: Wanted,
    /// Worker threads, at least 1. The result never depends on it.
    pub threads: usize,
    /// Where the strings go.
    pub symbols: &'a Arc<Symbols>,
    /// Called now and then.
    pub progress: &'a Progress<'a>,
    /// Set from outside to stop the scan.
    pub stop: &'a AtomicBool,
}

impl std::fmt::Debug for Scan<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scan")
            .field("files", &self.files.len())
            .finish_non_exhaustive()
    }
}

/// What a scan found out about the files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScanSummary {
    /// The files' format; `None` when none has rows.
    pub format: Option<Format>,
    /// Rows of the chosen files, skipped or not.
    pub rows: u64,
    /// Bytes read: footers and needed column chunks.
    pub bytes: u64,
    /// Columns that decisions need and some file lacks, sorted.
    pub missing: Vec<&'static str>,
}

impl Scan<'_> {
    /// Hands every line item of the needed columns to one of the counters, each of which is one thread's. Dropped half-way,
    /// it stops the threads.
    ///
    /// # Errors
    /// [`ReadError::Changed`] when a file was rewritten meanwhile; else the first thing that went wrong.
    pub async fn run<C: Counter>(&self, counter: impl Fn() -> C) -> Result<(Vec<C>, ScanSummary), ReadError> {
        let leading = self.filter.iter().flat_map(|filter| filter.leading);
        debug_assert!(
            leading
                .into_iter()
                .all(|(fact, _)| self.wanted.texts.contains(fact))
        );
        let opened: Vec<(ParquetFile, u64)> = stream::iter(self.files)
            .map(|object| ParquetFile::open(self.store.as_ref(), object, self.wanted))
            .buffered(FOOTERS)
            .try_collect()
            .await?;
        let footers = opened.iter().map(|(_, bytes)| bytes).sum();
        let files: Vec<Arc<ParquetFile>> = opened.into_iter().map(|(file, _)| Arc::new(file)).collect();
        let mut summary = summarise(&files)?;
        let tasks = self.tasks(&files);
        let rows = tasks
            .iter()
            .map(|(file, group)| files[*file].rows_of(*group))
            .sum();
        let threads = self.threads.clamp(1, tasks.len().max(1));
        let work = Arc::new(Work {
            store: Arc::clone(self.store),
            symbols: Arc::clone(self.symbols),
            filter: self.filter,
            since: self.window.as_ref().map(|window| window.start),
            files,
            tasks,
            queue: Mutex::default(),
            bytes: AtomicU64::new(footers),
            runtime: Handle::current(),
        });
        let (send, receive) = channel(threads * WAITING);
        for _ in 0..threads {
            let (work, send, counter) = (Arc::clone(&work), send.clone(), counter());
            thread::Builder::new()
                .name("scan".to_owned())
                .spawn(move || work.run(counter, &send))
                .map_err(|error| {
                    Error::unexpected("cannot start a thread to read the report").source(error)
                })?;
        }
        // The last of the threads ends the stream.
        drop(send);
        let counters = self.wait(receive, rows).await?;
        summary.bytes = work.bytes.load(Ordering::Relaxed);
        Ok((counters, summary))
    }

    async fn wait<C>(&self, mut receive: Receiver<Sent<C>>, rows: u64) -> Result<Vec<C>, ReadError> {
        let mut done = 0;
        let mut counters = Vec::new();
        while let Some(sent) = receive.recv().await {
            if self.stop.load(Ordering::Relaxed) {
                return Err(
                    Error::new(ErrorKind::Interrupted, "interrupted while reading the report").into(),
                );
            }
            match sent? {
                News::Rows(count) => {
                    done += count;
                    (self.progress)(done, rows);
                }
                News::Done(counter) => counters.push(counter),
            }
        }
        Ok(counters)
    }

    /// Row groups that may matter: (file, row group).
    fn tasks(&self, files: &[Arc<ParquetFile>]) -> Vec<(usize, usize)> {
        let all = files
            .iter()
            .enumerate()
            .filter(|(_, file)| file.columns.is_some())
            .flat_map(|(index, file)| (0..file.row_groups()).map(move |group| (index, group)));
        match &self.window {
            Some(window) => all
                .filter(|(file, group)| files[*file].may_hold(*group, window))
                .collect(),
            None => all.collect(),
        }
    }
}

/// The error for a file of another format than those before it.
pub(crate) fn two_formats(name: &str, one: Format, other: Format) -> Error {
    let (first, second) = (one.min(other).title(), one.max(other).title());
    Error::report(format!("{name}: {first} and {second} files lie together"))
        .hint("they tell the same costs twice: point --cur at one report's own folder")
}

/// Checks that the files are one report and sums up what their footers say.
fn summarise(files: &[Arc<ParquetFile>]) -> Result<ScanSummary> {
    let mut summary = ScanSummary::default();
    for file in files {
        summary.rows += file.rows();
        let Some(columns) = &file.columns else { continue };
        if let Some(format) = summary.format.filter(|format| *format != columns.format) {
            return Err(two_formats(&file.name, format, columns.format));
        }
        summary.format = Some(columns.format);
        summary.missing.extend(&columns.missing);
    }
    summary.missing.sort_unstable();
    summary.missing.dedup();
    Ok(summary)
}

/// What a thread has done.
enum News<C> {
    /// So many rows more.
    Rows(u64),
    /// All that there was for it, with what it has counted.
    Done(C),
}

type Sent<C> = Result<News<C>, ReadError>;

/// All that the threads work on.
struct Work {
    store: Arc<dyn ObjectStore>,
    symbols: Arc<Symbols>,
    filter: Option<RowFilter>,
    since: Option<Hour>,
    files: Vec<Arc<ParquetFile>>,
    tasks: Vec<(usize, usize)>,
    queue: Mutex<Queue>,
    bytes: AtomicU64,
    runtime: Handle,
}

/// What is next, and what is under way.
#[derive(Default)]
struct Queue {
    next: usize,
    /// Bytes in memory, or on their way into it.
    held: u64,
}

/// A row group that is being fetched.
struct Taken {
    task: (usize, usize),
    fetch: Fetch,
    held: u64,
}

/// Bytes on their way; nobody fetches on for whoever has gone.
struct Fetch(JoinHandle<Result<(FileBytes, u64), ReadError>>);

impl Drop for Fetch {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Nobody waits for the scan any more.
struct Gone;

impl Work {
    /// One worker: takes row groups until none is left, fetching the next while it decodes one, if memory allows.
    fn run<C: Counter>(&self, mut counter: C, send: &Sender<Sent<C>>) {
        let mut ahead = None;
        while let Some(taken) = ahead.take().or_else(|| self.start(u64::MAX)) {
            ahead = self.start(AHEAD);
            let Taken { task, fetch, held } = taken;
            let outcome = catch_unwind(AssertUnwindSafe(|| self.decode(task, fetch, &mut counter, send)));
            self.queue().held -= held;
            let failure = match outcome {
                Ok(Ok(Ok(()))) => continue,
                Ok(Ok(Err(Gone))) => return,
                Ok(Err(error)) => error,
                // Damaged files must not take the program down, whatever the decoder does with them.
                Err(_) => damaged(&self.files[task.0].name, &"the decoder gave up on it").into(),
            };
            // Whoever takes the first failure takes nothing else; if nobody takes it, nobody is interested.
            let _ = send.blocking_send(Err(failure));
            return;
        }
        let _ = send.blocking_send(Ok(News::Done(counter)));
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Fetches the next row group, unless more than `most` bytes would be held then.
    fn start(&self, most: u64) -> Option<Taken> {
        let mut queue = self.queue();
        let task = *self.tasks.get(queue.next)?;
        let (store, file) = (Arc::clone(&self.store), Arc::clone(&self.files[task.0]));
        let held = file.fetched_bytes(store.as_ref(), task.1);
        if queue.held.saturating_add(held) > most {
            return None;
        }
        queue.next += 1;
        queue.held += held;
        drop(queue);
        let fetch = self
            .runtime
            .spawn(async move { file.fetch(store.as_ref(), task.1).await });
        let fetch = Fetch(fetch);
        Some(Taken { task, fetch, held })
    }

    fn decode<C: Counter>(
        &self,
        (file, group): (usize, usize),
        mut fetch: Fetch,
        counter: &mut C,
        send: &Sender<Sent<C>>,
    ) -> Result<Result<(), Gone>, ReadError> {
        let fetched = self.runtime.block_on(async {
            tokio::select! {
                fetched = &mut fetch.0 => Some(fetched),
                () = send.closed() => None,
            }
        });
        let Some(fetched) = fetched else {
            return Ok(Err(Gone));
        };
        let (bytes, count) = fetched.map_err(|e| Error::unexpected("a read was cancelled").source(e))??;
        self.bytes.fetch_add(count, Ordering::Relaxed);
        let file = &self.files[file];
        tracing::debug!("{}: row group {group}: {count} bytes are there", file.name);
        let Some(columns) = &file.columns else {
            return Ok(Ok(()));
        };
        let mut decoder = BatchDecoder::new(columns, &self.symbols, &file.name);
        let mut rows = file.read(bytes, group, self.filter, self.since)?;
        while let Some((arrays, count)) = rows.next()? {
            if arrays.rows > 0 {
                counter.count(&decoder.decode(&arrays)?)?;
            }
            if send.blocking_send(Ok(News::Rows(count))).is_err() {
                return Ok(Err(Gone));
            }
        }
        Ok(Ok(()))
    }
}
