//! `Sequences`: a line a user, `user item item ...`, oldest item first, with no times. Beside it there may be a JSON object, item -> list of
//! attribute numbers.

use std::collections::{BTreeMap, HashSet};

use super::{FormatError, Text, number, number_of};
use crate::{Histories, History};

/// Users' items in order, and what the items are.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sequences {
    /// By user, in the order of the lines.
    pub histories: Histories,
    /// By item; empty where nothing is said of any.
    pub attributes: Vec<Vec<u32>>,
    /// Ids of the items, ascending.
    pub items: Vec<u64>,
}

/// A line a user, `user item item ...`: the users' ids and their items.
pub(super) fn lines(file: Text<'_>) -> Result<Vec<(u64, Vec<u64>)>, FormatError> {
    let mut users = HashSet::new();
    let mut found: Vec<(u64, Vec<u64>)> = Vec::new();
    for (at, line) in file.text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let numbers: Result<Vec<u64>, FormatError> = line
            .split_whitespace()
            .map(|field| {
                let remedy = "write a line a user, of whole numbers with blanks between: user item item ...";
                field.parse().map_err(|_| file.wrong_line(at + 1, format!("\"{field}\" is no whole number"), remedy))
            })
            .collect();
        let mut numbers = numbers?.into_iter();
        let Some(user) = numbers.next() else { continue };
        if !users.insert(user) {
            let remedy = "put all items of a user on one line";
            return Err(file.wrong_line(at + 1, format!("user {user} has a line above"), remedy));
        }
        found.push((user, numbers.collect()));
    }
    if found.iter().all(|(_, items)| items.is_empty()) {
        return Err(file.wrong_line(1, "no item".to_owned(), "write a line a user: user item item ..."));
    }
    Ok(found)
}

/// Reads sequences, and the items' attributes where there is a file of them.
pub fn sequences(file: Text<'_>, attributes: Option<Text<'_>>) -> Result<Sequences, FormatError> {
    let users = lines(file)?;
    let items = number(users.iter().flat_map(|(_, items)| items.iter().copied()));
    let history = |own: &Vec<u64>| History::of_items(own.iter().filter_map(|id| number_of(&items, id)).collect());
    let histories = Histories { items: items.len(), users: users.iter().map(|(_, items)| history(items)).collect() };
    let attributes = attributes.map(|file| of_items(file, &items)).transpose()?.unwrap_or_default();
    Ok(Sequences { histories, attributes, items })
}

fn of_items(file: Text<'_>, items: &[u64]) -> Result<Vec<Vec<u32>>, FormatError> {
    const SHAPE: &str = "write one JSON object of lists of whole numbers, such as {\"1\": [4, 17]}";
    let said: BTreeMap<String, Vec<u64>> = serde_json::from_str(file.text).map_err(|error| {
        let what = error.to_string();
        let what = what.split(" at line ").next().unwrap_or_default().to_owned();
        file.wrong(format!("line {} column {}", error.line(), error.column()), what, SHAPE)
    })?;
    let ids = number(said.values().flatten().copied());
    let mut attributes = vec![Vec::new(); items.len()];
    for (item, own) in said {
        let id: u64 = item
            .parse()
            .map_err(|_| file.wrong(format!("item \"{item}\""), "the item is no whole number".to_owned(), SHAPE))?;
        // Attributes of items that nobody had say nothing here.
        if let Some(slot) = number_of(items, &id).and_then(|at| attributes.get_mut(at as usize)) {
            *slot = own.iter().filter_map(|attribute| number_of(&ids, attribute)).collect();
        }
    }
    Ok(attributes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Text<'_> {
        Text { name: "s.txt", text }
    }

    #[test]
    fn ids_become_numbers_and_attributes_find_their_items() {
        let read =
            sequences(text("7 30 10 30\n3 20 10\n"), Some(text(r#"{"20": [9, 5], "77": [1], "10": []}"#))).unwrap();
        let users = vec![History::of_items(vec![2, 0, 2]), History::of_items(vec![1, 0])];
        assert_eq!(read.histories, Histories { items: 3, users });
        assert_eq!((read.items, read.attributes), (vec![10, 20, 30], vec![vec![], vec![2, 1], vec![]]));
        assert!(sequences(text("1 2"), None).unwrap().attributes.is_empty());
    }

    #[test]
    fn what_is_wrong_names_its_line() {
        let wrong = |lines: &str, said: &str| {
            let error = sequences(text(lines), None).unwrap_err().to_string();
            assert!(error.starts_with(said), "{error}");
        };
        wrong("1 2 3\n2 x\n", "s.txt, line 2: \"x\" is no whole number; write a line a user");
        wrong("1 2\n\n1 3\n", "s.txt, line 3: user 1 has a line above; put all items");
        wrong("\n", "s.txt, line 1: no item");
        let error = sequences(text("1 2"), Some(text("[1]"))).unwrap_err().to_string();
        assert!(error.starts_with("s.txt, line 1 column"), "{error}");
    }
}
