//! `Rules`: one basket a line, items with commas between.

use super::{FormatError, Text, number, number_of};

/// Baskets of nobody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ItemBaskets {
    pub baskets: Vec<Vec<u32>>,
    /// Ids of the items, ascending (as words).
    pub items: Vec<String>,
}

/// Reads baskets. Empty lines are no baskets.
pub fn rules(file: Text<'_>) -> Result<ItemBaskets, FormatError> {
    let mut named: Vec<Vec<&str>> = Vec::new();
    for (at, line) in file.text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let basket: Vec<&str> = line.split(',').map(str::trim).collect();
        if basket.iter().any(|item| item.is_empty()) {
            let remedy = "write items with one comma between them, such as 3,17,29";
            return Err(file.wrong_line(at + 1, "an item is empty".to_owned(), remedy));
        }
        if line.contains('"') {
            let remedy = "items are ids without quotes or commas of their own";
            return Err(file.wrong_line(at + 1, "an item is quoted".to_owned(), remedy));
        }
        named.push(basket);
    }
    if named.is_empty() {
        return Err(file.wrong_line(1, "no basket".to_owned(), "write one basket a line, such as 3,17,29"));
    }
    let items = number(named.iter().flatten().copied());
    let of = |basket: &Vec<&str>| basket.iter().filter_map(|item| number_of(&items, item)).collect();
    let baskets = named.iter().map(of).collect();
    Ok(ItemBaskets { baskets, items: items.into_iter().map(str::to_owned).collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_baskets_and_what_is_wrong_names_its_line() {
        let read = |text| rules(Text { name: "b.csv", text });
        let found = read("beer,wine\n\n wine\n").unwrap();
        assert_eq!((found.baskets, found.items), (vec![vec![0, 1], vec![1]], vec!["beer".into(), "wine".into()]));
        let said = |text| read(text).unwrap_err().to_string();
        assert_eq!(
            said("1,2\n1,,2"),
            "b.csv, line 2: an item is empty; write items with one comma between them, such as 3,17,29"
        );
        assert!(said("\"a\",2").starts_with("b.csv, line 1: an item is quoted"));
        assert!(said("\n").starts_with("b.csv, line 1: no basket"));
    }
}
