//! Published formats, from text to histories. Reading the files is the caller's.

mod baskets;
mod light_gcn;
mod rules;
mod sequences;
mod sessions;

pub use baskets::{Baskets, baskets};
pub use light_gcn::{LightGcn, light_gcn};
pub use rules::{ItemBaskets, rules};
pub use sequences::{Sequences, sequences};
pub use sessions::{Sessions, sessions};

/// A file that was read.
#[derive(Clone, Copy, Debug)]
pub struct Text<'a> {
    /// As errors call it.
    pub name: &'a str,
    pub text: &'a str,
}

/// What is wrong with a file, where, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}, {place}: {what}; {remedy}")]
pub struct FormatError {
    pub file: String,
    /// A line, or whatever else finds it.
    pub place: String,
    pub what: String,
    pub remedy: &'static str,
}

impl Text<'_> {
    fn wrong(&self, place: String, what: String, remedy: &'static str) -> FormatError {
        FormatError { file: self.name.to_owned(), place, what, remedy }
    }

    fn wrong_line(&self, line: usize, what: String, remedy: &'static str) -> FormatError {
        self.wrong(format!("line {line}"), what, remedy)
    }
}

/// Numbers in place of ids, ascending by id, so that ties go to the smaller id.
fn number<T: Copy + Ord>(ids: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut ids: Vec<T> = ids.into_iter().collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// The number of an id.
fn number_of<T: Ord>(ids: &[T], id: &T) -> Option<u32> {
    ids.binary_search(id).ok().map(|at| at as u32)
}
