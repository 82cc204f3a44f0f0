//! `Sessions`: clicks as tab-separated lines `SessionId ItemId Time` under a header, in any order.

use std::collections::BTreeMap;

use super::{FormatError, Text, number, number_of};
use crate::{Basket, Histories, History};

/// Sessions to learn from, to choose by and to judge by. Items are numbered over all of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sessions {
    /// By session id, ascending; each is one basket in the order of the clicks.
    pub train: Histories,
    pub valid: Vec<History>,
    pub test: Vec<History>,
    /// Ids of the items, ascending.
    pub items: Vec<u64>,
}

const HEADER: [&str; 3] = ["SessionId", "ItemId", "Time"];

/// Sessions of one file: id -> clicks as (time, item), in the order of the file.
type Clicks = BTreeMap<u64, Vec<(f64, u64)>>;

fn parse(file: Text<'_>) -> Result<Clicks, FormatError> {
    let mut lines = file.text.lines().enumerate();
    let header: Vec<&str> = lines.next().map(|(_, line)| line.split('\t').collect()).unwrap_or_default();
    if header != HEADER {
        let remedy = "the first line is SessionId, ItemId and Time with tabs between";
        return Err(file.wrong_line(1, format!("the header is \"{}\"", header.join("\t")), remedy));
    }
    let mut clicks = Clicks::new();
    for (at, line) in lines.filter(|(_, line)| !line.is_empty()) {
        let fields: Vec<&str> = line.split('\t').collect();
        let [session, item, time] = fields.as_slice() else {
            let remedy = "write three with tabs between: session, item and time";
            return Err(file.wrong_line(at + 1, format!("{} fields", fields.len()), remedy));
        };
        let id = |name: &str, value: &str| {
            let remedy = "write a whole number, 0 or more";
            value.parse::<u64>().map_err(|_| file.wrong_line(at + 1, format!("{name} is \"{value}\""), remedy))
        };
        let seconds = time.parse::<f64>().ok().filter(|time| time.is_finite()).ok_or_else(|| {
            file.wrong_line(at + 1, format!("Time is \"{time}\""), "write seconds since 1970, such as 1593536687.0")
        })?;
        clicks.entry(id("SessionId", session)?).or_default().push((seconds, id("ItemId", item)?));
    }
    if clicks.is_empty() {
        return Err(file.wrong_line(1, "no click".to_owned(), "write one line a click under the header"));
    }
    for session in clicks.values_mut() {
        session.sort_by(|a, b| a.0.total_cmp(&b.0));
    }
    Ok(clicks)
}

/// Reads the sessions to learn from, those to choose by and those to judge by, as far as there are any.
pub fn sessions(train: Text<'_>, valid: Option<Text<'_>>, test: Option<Text<'_>>) -> Result<Sessions, FormatError> {
    let train = parse(train)?;
    let valid = valid.map(parse).transpose()?.unwrap_or_default();
    let test = test.map(parse).transpose()?.unwrap_or_default();
    let items = number([&train, &valid, &test].into_iter().flat_map(Clicks::values).flatten().map(|(_, item)| *item));
    let histories = |clicks: &Clicks| -> Vec<History> {
        let of = |session: &Vec<(f64, u64)>| History {
            baskets: vec![Basket {
                items: session.iter().filter_map(|(_, item)| number_of(&items, item)).collect(),
                at: session.last().map(|(time, _)| time.round() as i64),
            }],
        };
        clicks.values().map(of).collect()
    };
    let train = Histories { items: items.len(), users: histories(&train) };
    Ok(Sessions { train, valid: histories(&valid), test: histories(&test), items })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Text<'_> {
        Text { name: "s.txt", text }
    }

    #[test]
    fn clicks_are_put_in_order() {
        let one = "SessionId\tItemId\tTime\n2\t30\t9.6\n1\t10\t5.0\n2\t20\t7.0\n2\t10\t7.0\n";
        let two = "SessionId\tItemId\tTime\n5\t40\t1.0\n";
        let read = sessions(text(one), None, Some(text(two))).unwrap();
        let session = |items: &[u32], at| History { baskets: vec![Basket { items: items.to_vec(), at: Some(at) }] };
        let users = vec![session(&[0], 5), session(&[1, 0, 2], 10)];
        assert_eq!(read.train, Histories { items: 4, users });
        assert_eq!((read.test, read.items), (vec![session(&[3], 1)], vec![10, 20, 30, 40]));
    }

    #[test]
    fn what_is_wrong_names_its_line() {
        let good = "SessionId\tItemId\tTime\n5\t40\t1.0\n";
        let wrong = |lines: &str, said: &str| {
            let error = sessions(text(good), Some(text(lines)), None).unwrap_err().to_string();
            assert!(error.starts_with(said), "{error}");
        };
        wrong("a,b\n", "s.txt, line 1: the header is \"a,b\"");
        wrong("SessionId\tItemId\tTime\n1\t2\n", "s.txt, line 2: 2 fields; write three");
        wrong("SessionId\tItemId\tTime\n1\tx\t3\n", "s.txt, line 2: ItemId is \"x\"; write a whole number");
        wrong("SessionId\tItemId\tTime\n\n1\t2\tnoon\n", "s.txt, line 3: Time is \"noon\"");
        wrong("SessionId\tItemId\tTime\n", "s.txt, line 1: no click");
    }
}
