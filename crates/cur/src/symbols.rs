//! Interned strings: a report repeats a few thousand of them over millions of rows.

use std::sync::{Arc, Mutex, PoisonError};

use rustc_hash::FxHashMap;

/// A string of the report, by number. Numbers depend on reading order: never sort or print by them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Symbol(u32);

impl Symbol {
    /// The empty string, which also stands for null and for an absent column (they mean the same in a CUR).
    pub const EMPTY: Self = Self(0);

    /// True for the empty string.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The number, for tables indexed by symbol.
    #[must_use]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// The strings met so far, shared by all workers of a scan.
#[derive(Debug)]
pub struct Symbols(Mutex<Table>);

#[derive(Debug)]
struct Table {
    strings: Vec<Arc<str>>,
    numbers: FxHashMap<Arc<str>, u32>,
}

impl Default for Symbols {
    fn default() -> Self {
        let empty: Arc<str> = Arc::from("");
        Self(Mutex::new(Table {
            strings: vec![Arc::clone(&empty)],
            numbers: std::iter::once((empty, 0)).collect(),
        }))
    }
}

impl Symbols {
    /// Numbers for `strings`, in their order; `None` is the empty string.
    pub fn intern<'a>(&self, strings: impl Iterator<Item = Option<&'a str>>) -> Vec<Symbol> {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        strings
            .map(|string| table.intern(string.unwrap_or_default()))
            .collect()
    }

    /// The string of a symbol.
    #[must_use]
    pub fn text(&self, symbol: Symbol) -> Arc<str> {
        let table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&table.strings[symbol.index()])
    }
}

impl Table {
    fn intern(&mut self, string: &str) -> Symbol {
        if let Some(number) = self.numbers.get(string) {
            return Symbol(*number);
        }
        let string: Arc<str> = Arc::from(string);
        // 2³² distinct strings do not fit in memory, so the number never wraps.
        let number = u32::try_from(self.strings.len()).unwrap_or(u32::MAX);
        self.strings.push(Arc::clone(&string));
        self.numbers.insert(string, number);
        Symbol(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_strings_have_equal_symbols_and_null_is_empty() {
        let symbols = Symbols::default();
        let found = symbols.intern([Some("a"), None, Some("b"), Some("a"), Some("")].into_iter());
        assert_eq!(found[0], found[3]);
        assert_ne!(found[0], found[2]);
        assert!(found[1].is_empty() && found[4].is_empty());
        assert_eq!(&*symbols.text(found[2]), "b");
    }
}
