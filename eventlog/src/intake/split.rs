//! Cuts JSON text into values without parsing them: one broken element must not make its neighbours unreadable.

/// The elements of a top-level array, as slices of `text` (which starts at `[`), and what follows the array.
/// `None` when brackets or strings do not close: then nobody can say where an element ends.
pub(super) fn array_elements(text: &[u8]) -> Option<(Vec<&[u8]>, &[u8])> {
    let mut elements = Vec::new();
    let mut rest = text.strip_prefix(b"[")?.trim_ascii_start();
    if let Some(after) = rest.strip_prefix(b"]") {
        return Some((elements, after));
    }
    loop {
        let end = element_end(rest)?;
        let (element, tail) = rest.split_at_checked(end)?;
        elements.push(element.trim_ascii());
        match tail.split_first()? {
            (b',', after) => rest = after,
            (b']', after) => return Some((elements, after)),
            _ => return None,
        }
    }
}

/// The value that `text` starts with (an object or array), and what follows it.
pub(super) fn first_value(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut scan = Scan::default();
    for (at, byte) in text.iter().enumerate() {
        scan.step(*byte);
        if scan.depth == 0 && !scan.in_string && matches!(byte, b'}' | b']') {
            return text.split_at_checked(at + 1);
        }
        if scan.depth < 0 {
            return None;
        }
    }
    None
}

/// Where the element that `text` starts with ends: at its `,` or at the array's `]`.
fn element_end(text: &[u8]) -> Option<usize> {
    let mut scan = Scan::default();
    for (at, byte) in text.iter().enumerate() {
        if scan.depth == 0 && !scan.in_string && matches!(byte, b',' | b']') {
            return Some(at);
        }
        scan.step(*byte);
        if scan.depth < 0 {
            return None;
        }
    }
    None
}

#[derive(Default)]
struct Scan {
    depth: i64,
    in_string: bool,
    escaped: bool,
}

impl Scan {
    fn step(&mut self, byte: u8) {
        if self.in_string {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => self.in_string = false,
                _ => {}
            }
            return;
        }
        match byte {
            b'"' => self.in_string = true,
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => self.depth -= 1,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn elements_are_cut_at_top_level_commas_only() {
        let (elements, rest) = array_elements(br#"[ {"a":[1,2]} , "x,]\"" ,{}] "#).unwrap();
        assert_eq!(elements, [&br#"{"a":[1,2]}"#[..], br#""x,]\"""#, b"{}"]);
        assert_eq!(rest, b" ");
    }

    #[test]
    fn an_empty_array_has_no_elements() {
        assert_eq!(array_elements(b"[ ]").unwrap().0.len(), 0);
    }

    #[test]
    fn what_does_not_close_is_refused() {
        for text in [&b"[{}"[..], b"[\"]", b"[}]", b"["] {
            assert!(array_elements(text).is_none(), "{}", String::from_utf8_lossy(text));
        }
    }

    #[test]
    fn deep_nesting_takes_no_stack() {
        let mut text = vec![b'['; 1_000_000];
        text.extend(vec![b']'; 1_000_000]);
        assert_eq!(array_elements(&text).unwrap().0.len(), 1);
    }

    #[test]
    fn the_first_value_ends_where_its_braces_close() {
        let (value, rest) = first_value(b"{\"a\":\"}\"}\n{}").unwrap();
        assert_eq!(value, b"{\"a\":\"}\"}");
        assert_eq!(rest, b"\n{}");
    }
}
