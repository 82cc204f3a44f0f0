//! `Baskets`: two JSON objects, user -> list of baskets, one of the past and one of the future. `[-1]` may stand first and last.

use std::collections::HashMap;

use super::{FormatError, Text, number, number_of};
use crate::popularity::distinct;
use crate::{Histories, History};

/// Users' baskets, and the one that came next.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Baskets {
    /// By user, in the order of their ids (numbers before words).
    pub histories: Histories,
    /// The basket to be found, by user; empty where the future has none.
    pub next: Vec<Vec<u32>>,
    pub users: Vec<String>,
    /// Ids of the items, ascending.
    pub items: Vec<u64>,
}

const SHAPE: &str = "write one JSON object of lists of baskets, such as {\"1\": [[-1], [3, 7], [7], [-1]]}";

type ByUser = HashMap<String, Vec<Vec<i64>>>;

fn parse(file: Text<'_>) -> Result<ByUser, FormatError> {
    serde_json::from_str(file.text).map_err(|error| {
        let place = format!("line {} column {}", error.line(), error.column());
        let what = error.to_string();
        let what = what.split(" at line ").next().unwrap_or_default().to_owned();
        file.wrong(place, what, SHAPE)
    })
}

/// Cuts the marks off and checks what is left.
fn checked(file: Text<'_>, user: &str, baskets: Vec<Vec<i64>>) -> Result<Vec<Vec<u64>>, FormatError> {
    let last = baskets.len().saturating_sub(1);
    let mut kept = Vec::with_capacity(baskets.len());
    for (at, basket) in baskets.into_iter().enumerate() {
        if basket == [-1] && (at == 0 || at == last) {
            continue;
        }
        let place = || format!("user {user}, basket {}", at + 1);
        if basket.is_empty() {
            return Err(file.wrong(place(), "the basket is empty".to_owned(), "leave it out"));
        }
        let items: Result<Vec<u64>, FormatError> = basket
            .into_iter()
            .map(|item| {
                let remedy = "item numbers are 0 or more; [-1] alone may stand first and last";
                u64::try_from(item).map_err(|_| file.wrong(place(), format!("the item is {item}"), remedy))
            })
            .collect();
        kept.push(items?);
    }
    Ok(kept)
}

/// Reads the past, and the future where there is one. Only who has both is asked about; who has only a past is learned from.
pub fn baskets(past: Text<'_>, future: Option<Text<'_>>) -> Result<Baskets, FormatError> {
    let (mut before, mut after) = (parse(past)?, future.map(parse).transpose()?.unwrap_or_default());
    let future_or_past = future.unwrap_or(past);
    let mut users: Vec<String> = before.keys().cloned().collect();
    // Numbers in their own order.
    users.sort_by_cached_key(|user| (user.parse::<u64>().unwrap_or(u64::MAX), user.clone()));
    if let Some(stranger) = after.keys().filter(|user| !before.contains_key(*user)).min() {
        let remedy = "give it one, or take the user out of the future";
        return Err(future_or_past.wrong(format!("user {stranger}"), format!("no history in {}", past.name), remedy));
    }
    let mut had = Vec::with_capacity(users.len());
    let mut next = Vec::with_capacity(users.len());
    for user in &users {
        had.push(checked(past, user, before.remove(user).unwrap_or_default())?);
        let mut coming = checked(future_or_past, user, after.remove(user).unwrap_or_default())?;
        if coming.len() > 1 {
            let what = format!("{} baskets", coming.len());
            return Err(future_or_past.wrong(format!("user {user}"), what, "the future holds the next basket alone"));
        }
        next.push(coming.pop().unwrap_or_default());
    }
    let without_past = had.iter().all(Vec::is_empty);
    if without_past || (future.is_some() && next.iter().all(Vec::is_empty)) {
        let file = if without_past { past } else { future_or_past };
        return Err(file.wrong("everywhere".to_owned(), "no basket".to_owned(), SHAPE));
    }
    let items = number(had.iter().flatten().flatten().chain(next.iter().flatten()).copied());
    let numbers = |basket: &Vec<u64>| basket.iter().filter_map(|item| number_of(&items, item)).collect::<Vec<u32>>();
    let histories = had.iter().map(|baskets| History::of_baskets(baskets.iter().map(numbers))).collect();
    let next = next.iter().map(|basket| distinct(&numbers(basket))).collect();
    Ok(Baskets { histories: Histories { items: items.len(), users: histories }, next, users, items })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(past: &str, future: &str) -> Result<Baskets, String> {
        let text = |name, text| Text { name, text };
        baskets(text("p.json", past), Some(text("f.json", future))).map_err(|error| error.to_string())
    }

    #[test]
    fn marks_go_and_ids_become_numbers() {
        let read = read(
            r#"{"10": [[-1], [40, 7], [7], [-1]], "9": [[-1], [5], [-1]], "x": [[5]]}"#,
            r#"{"10": [[-1], [9, 9], [-1]], "9": [[-1], [7], [-1]]}"#,
        )
        .unwrap();
        assert_eq!((read.users, read.items), (vec!["9".into(), "10".into(), "x".into()], vec![5, 7, 9, 40]));
        let users = vec![
            History::of_baskets([vec![0]]),
            History::of_baskets([vec![3, 1], vec![1]]),
            History::of_baskets([vec![0]]),
        ];
        assert_eq!(read.histories, Histories { items: 4, users });
        assert_eq!(read.next, vec![vec![1], vec![2], vec![]]);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        let wrong = |past, future, said: &str| {
            let error = read(past, future).unwrap_err();
            assert!(error.contains(said), "{error}");
        };
        wrong("{\n\"1\": [[1], 2]}", "{}", "p.json, line 2 column 12: invalid type: integer `2`");
        wrong(r#"{"1": [[1], [-1], [2]]}"#, "{}", "p.json, user 1, basket 2: the item is -1");
        wrong(r#"{"1": [[1], []]}"#, "{}", "p.json, user 1, basket 2: the basket is empty; leave it out");
        wrong(r#"{"1": [[1]]}"#, r#"{"2": [[1]]}"#, "f.json, user 2: no history in p.json; give it one");
        wrong(r#"{"1": [[1]]}"#, r#"{"1": [[1], [2]]}"#, "f.json, user 1: 2 baskets; the future holds the next");
        wrong(r#"{"1": [[1]]}"#, "{}", "f.json, everywhere: no basket; write one JSON object");
    }
}
