//! Properties of strings, computed once per string.

use crate::symbols::{Symbol, Symbols};

/// A property of strings, computed once per string.
#[derive(Debug)]
pub(super) struct Memo<T> {
    known: Vec<Option<T>>,
    of: fn(&str) -> T,
}

impl<T: Copy> Memo<T> {
    pub(super) fn new(of: fn(&str) -> T) -> Self {
        Self {
            known: Vec::new(),
            of,
        }
    }

    #[inline]
    pub(super) fn get(&mut self, symbol: Symbol, symbols: &Symbols) -> T {
        match self.known.get(symbol.index()) {
            Some(Some(value)) => *value,
            _ => self.compute(symbol, symbols),
        }
    }

    fn compute(&mut self, symbol: Symbol, symbols: &Symbols) -> T {
        let value = (self.of)(&symbols.text(symbol));
        if self.known.len() <= symbol.index() {
            self.known.resize(symbol.index() + 1, None);
        }
        self.known[symbol.index()] = Some(value);
        value
    }
}
