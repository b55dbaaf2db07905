//! Guesses which name was meant.

/// The candidate that a slip of the fingers turns into `given`, if any.
pub(crate) fn closest<'a>(
    given: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let plain = normalized(given);
    candidates
        .into_iter()
        .map(|candidate| (distance(&plain, &normalized(candidate)), candidate))
        .filter(|(distance, candidate)| *distance <= slips_in(candidate))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// `` `a`, `b` and `c` ``.
pub(crate) fn listed<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let mut names: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
    match names.pop() {
        None => String::new(),
        Some(last) if names.is_empty() => last,
        Some(last) => format!("{} and {last}", names.join(", ")),
    }
}

/// `seatId`, `SEAT_ID` and `seat_id` are the same name in three habits.
fn normalized(name: &str) -> String {
    name.trim_start_matches("r#")
        .chars()
        .filter(|c| *c != '_' && *c != '-')
        .flat_map(char::to_lowercase)
        .collect()
}

/// More than a third of a name wrong is another name.
fn slips_in(name: &str) -> usize {
    match name.chars().count() {
        0..=2 => 0,
        3..=5 => 1,
        _ => 2,
    }
}

/// The number of characters to insert, delete, replace or swap with their
/// neighbour (optimal string alignment).
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=right.len()).collect();
    let mut last_char = None;
    for (row, l) in left.chars().enumerate() {
        let mut current = vec![row + 1];
        for (column, r) in right.iter().enumerate() {
            let at =
                |costs: &[usize], column: usize| costs.get(column).copied().unwrap_or(usize::MAX);
            let replaced = at(&last, column) + usize::from(l != *r);
            let removed = at(&last, column + 1) + 1;
            let inserted = at(&current, column) + 1;
            let mut cost = replaced.min(removed).min(inserted);
            let is_swap = column > 0 && last_char == Some(*r) && right.get(column - 1) == Some(&l);
            if is_swap {
                cost = cost.min(at(&before_last, column - 1) + 1);
            }
            current.push(cost);
        }
        before_last = std::mem::replace(&mut last, current);
        last_char = Some(l);
    }
    last.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_counts_slips() {
        for (left, right, slips) in [
            ("", "", 0),
            ("", "abc", 3),
            ("ttl", "ttl", 0),
            ("tll", "ttl", 1),
            ("kye", "key", 1),
            ("wiat", "wait", 1),
            ("manger", "manager", 1),
            ("seatid", "user", 5),
        ] {
            assert_eq!(distance(left, right), slips, "{left} {right}");
            assert_eq!(distance(right, left), slips, "{right} {left}");
        }
    }

    #[test]
    fn a_habit_of_another_language_is_no_distance() {
        assert_eq!(closest("seatId", ["user", "seat_id"]), Some("seat_id"));
        assert_eq!(
            closest("on-error", ["on_busy", "on_error"]),
            Some("on_error")
        );
    }

    #[test]
    fn a_different_name_is_not_guessed() {
        assert_eq!(closest("order", ["user", "seat_id"]), None);
        assert_eq!(closest("x", ["y"]), None);
    }

    #[test]
    fn lists_read_as_english() {
        assert_eq!(listed([]), "");
        assert_eq!(listed(["a"]), "`a`");
        assert_eq!(listed(["a", "b", "c"]), "`a`, `b` and `c`");
    }
}
