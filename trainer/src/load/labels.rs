//! Texts as small numbers, in the texts' order, so that equal data gives equal numbers whatever order it is read in.

use std::collections::BTreeSet;

use endcap_recommender::fitted::NONE;

/// Sorted distinct texts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labels {
    texts: Vec<String>,
}

impl Labels {
    pub fn of<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        let texts: BTreeSet<&str> = texts.into_iter().collect();
        Self { texts: texts.into_iter().map(str::to_owned).collect() }
    }

    pub fn find(&self, text: &str) -> Option<u32> {
        self.texts.binary_search_by(|known| known.as_str().cmp(text)).ok().map(|at| at as u32)
    }

    pub fn index(&self, text: Option<&str>) -> u32 {
        text.and_then(|text| self.find(text)).unwrap_or(NONE)
    }

    pub fn get(&self, at: u32) -> Option<&str> {
        self.texts.get(at as usize).map(String::as_str)
    }

    pub fn len(&self) -> usize {
        self.texts.len()
    }

    pub fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.texts.iter().map(String::as_str)
    }
}
