//! Texts as small numbers, in the texts' order, so that equal data gives equal numbers whatever order it is read in.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

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

/// Texts as numbers in the order in which they come: each distinct text is held once, however many rows name it.
#[derive(Clone, Debug, Default)]
pub(super) struct Texts {
    numbers: HashMap<Arc<str>, u32>,
    texts: Vec<Arc<str>>,
}

impl Texts {
    /// [`NONE`] for no text.
    pub fn number(&mut self, text: Option<&str>) -> u32 {
        let Some(text) = text else { return NONE };
        if let Some(number) = self.numbers.get(text) {
            return *number;
        }
        let (number, text) = (self.texts.len() as u32, Arc::<str>::from(text));
        self.texts.push(text.clone());
        self.numbers.insert(text, number);
        number
    }

    pub fn get(&self, number: u32) -> Option<&str> {
        self.texts.get(number as usize).map(AsRef::as_ref)
    }

    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.texts.iter().map(AsRef::as_ref)
    }

    /// By number, the place among the labels.
    pub fn places(&self, labels: &Labels) -> Vec<u32> {
        self.texts.iter().map(|text| labels.index(Some(text))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_has_one_number_and_finds_its_label() {
        let mut texts = Texts::default();
        let numbers = [Some("web"), None, Some("app"), Some("web")].map(|text| texts.number(text));
        assert_eq!(numbers, [0, NONE, 1, 0]);
        assert_eq!((texts.get(1), texts.get(2), texts.get(NONE)), (Some("app"), None, None));
        assert_eq!(texts.places(&Labels::of(["branch", "web"])), [1, NONE]);
    }
}
