//! `LightGcn`: two files of a line a user, `user item item ...`, in no order: what is known, and what is to be found.

use std::collections::HashMap;

use super::sequences::lines;
use super::{FormatError, Text, number, number_of};
use crate::{Histories, History};

/// Users' items, known and to be found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LightGcn {
    /// By user, in the order of the lines of what is known.
    pub histories: Histories,
    /// Distinct items to be found, by user; empty where there are none.
    pub wanted: Vec<Vec<u32>>,
    /// Ids of the items, ascending.
    pub items: Vec<u64>,
}

/// Reads what is known and, where it is given, what is to be found. Who stands only among those to be found is an error: nothing is known of such a user.
pub fn light_gcn(train: Text<'_>, test: Option<Text<'_>>) -> Result<LightGcn, FormatError> {
    let known = lines(train)?;
    let wanted = test.map(lines).transpose()?.unwrap_or_default();
    let items = number(known.iter().chain(&wanted).flat_map(|(_, items)| items.iter().copied()));
    let numbers = |own: &[u64]| -> Vec<u32> {
        let mut own: Vec<u32> = own.iter().filter_map(|id| number_of(&items, id)).collect();
        own.sort_unstable();
        own.dedup();
        own
    };
    let place: HashMap<u64, usize> = known.iter().enumerate().map(|(at, (user, _))| (*user, at)).collect();
    let mut found = vec![Vec::new(); known.len()];
    for (user, own) in &wanted {
        let slot = place.get(user).and_then(|at| found.get_mut(*at)).ok_or_else(|| {
            let remedy = "give the user a line there, or take this one out";
            test.unwrap_or(train).wrong(format!("user {user}"), format!("no line in {}", train.name), remedy)
        })?;
        *slot = numbers(own);
    }
    let users = known.iter().map(|(_, own)| History::of_items(numbers(own))).collect();
    Ok(LightGcn { histories: Histories { items: items.len(), users }, wanted: found, items })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text<'a>(name: &'a str, text: &'a str) -> Text<'a> {
        Text { name, text }
    }

    #[test]
    fn users_find_their_lines() {
        let read = light_gcn(text("a", "0 5 3\n4 5\n"), Some(text("b", "4 8 3 8\n0\n"))).unwrap();
        assert_eq!(read.items, vec![3, 5, 8]);
        assert_eq!(read.wanted, vec![vec![], vec![0, 2]]);
        let users = vec![History::of_items(vec![0, 1]), History::of_items(vec![1])];
        assert_eq!(read.histories, Histories { items: 3, users });
    }

    #[test]
    fn a_user_of_whom_nothing_is_known_is_refused() {
        let error = light_gcn(text("a", "0 1"), Some(text("b", "2 1"))).unwrap_err().to_string();
        assert!(error.starts_with("b, user 2: no line in a; give the user"), "{error}");
    }
}
