//! Several keys.

use super::{BOOK, Misuse};

#[rustfmt::skip]
pub(super) const MISUSES: &[Misuse] = &[
    ("keys_empty", r#"keys = [], ttl = "2s""#, BOOK, &[
        ("[]", r#"without a key nothing is locked: write `keys = ["book:{seat_id}"]`"#),
    ]),
    ("keys_is_one_template", r#"keys = "seat:{seat_id}", ttl = "2s""#, BOOK, &[
        (r#""seat:{seat_id}""#, r#"`keys` takes a list: write `keys = ["seat:{seat_id}"]`, or `key = "seat:{seat_id}"`"#),
    ]),
    ("keys_is_a_number", r#"keys = 2, ttl = "2s""#, BOOK, &[
        ("2", r#"`keys` takes a list: write `keys = ["book:{seat_id}", …]`"#),
    ]),
    ("keys_in_parentheses", r#"keys = ("a", "b"), ttl = "2s""#, BOOK, &[
        (r#"("a", "b")"#, r#"`keys` takes a list: write `keys = ["book:{seat_id}", …]`"#),
    ]),
    ("keys_repeated", r#"keys = ["a"; 2], ttl = "2s""#, BOOK, &[
        (r#"["a"; 2]"#, "these are all the same key: write `key = …`"),
    ]),
    ("keys_with_twins", r#"keys = ["seat:{seat_id}", "user:{user}", "seat:{seat_id}"], ttl = "2s""#, BOOK, &[
        (r#""seat:{seat_id}""#, "`keys`: this key stands in the list twice: remove it, or name the one that was meant"),
    ]),
    ("keys_with_twins_in_other_words", r##"keys = ["seat:{seat_id}", r#"seat:{ seat_id }"#], ttl = "2s""##, BOOK, &[
        (r##"r#"seat:{ seat_id }"#"##, "`keys`: this key stands in the list twice: remove it, or name the one that was meant"),
    ]),
    ("keys_with_triplets", r#"keys = ["a", "a", "a"], ttl = "2s""#, BOOK, &[
        (r#""a""#, "`keys`: this key stands in the list twice: remove it, or name the one that was meant"),
        (r#""a""#, "`keys`: this key stands in the list twice: remove it, or name the one that was meant"),
    ]),
    ("keys_with_a_number", r#"keys = ["a", 2], ttl = "2s""#, BOOK, &[
        ("2", r#"a key is text: write `keys = ["book:{seat_id}"]`"#),
    ]),
    ("keys_with_a_list", r#"keys = ["a", ["b", "c"]], ttl = "2s""#, BOOK, &[
        (r#"["b", "c"]"#, "this is not one key; several, all or none, are written `keys = […]`"),
    ]),
    ("keys_with_an_unknown_argument", r#"keys = ["seat:{seatid}", "user:{usr}"], ttl = "2s""#, BOOK, &[
        (r#""seat:{seatid}""#, "`keys`: `seatid` is not an argument of `book`; did you mean `seat_id`?"),
        (r#""user:{usr}""#, "`keys`: `usr` is not an argument of `book`; did you mean `user`?"),
    ]),
    ("keys_with_only_a_value", r#"keys = ["{user}"], ttl = "2s""#, BOOK, &[
        (r#""{user}""#, r#"`keys`: `{user}` alone names no resource; write `"book:{user}"`, or, if the value is a whole key, `keys = [user]`"#),
    ]),
    ("keys_with_an_empty_one", r#"keys = ["a", ""], ttl = "2s""#, BOOK, &[
        (r#""""#, "`keys`: an empty key would be one lock for everybody"),
    ]),
    ("keys_with_white_space", r#"keys = ["seat {seat_id}"], ttl = "2s""#, BOOK, &[
        (r#""seat {seat_id}""#, r#"`keys`: a key has no white space; write `"seat:{seat_id}"`"#),
    ]),
    ("keys_with_weak_separators", r#"keys = ["a:{seat_id}{user}"], ttl = "2s""#, BOOK, &[
        (r#""a:{seat_id}{user}""#, "`keys`: put one of `:` `/` `|` `#` between `{seat_id}` and `{user}`, as in `{seat_id}:{user}`; without it different values can make the same key"),
    ]),
    ("keys_that_compute", r#"keys = ["a:{seat_id + 1}"], ttl = "2s""#, BOOK, &[
        (r#""a:{seat_id + 1}""#, "`keys`: `{seat_id + 1}` computes; a placeholder holds an argument, a path, a field, an index or a method call; give anything else as a whole key: `keys = [format!(…)]`"),
    ]),
    ("keys_of_a_copied_template", r#"keys = ["a:{seat_id}".to_owned()], ttl = "2s""#, BOOK, &[
        (r#""a:{seat_id}""#, r#"only a literal of its own is a template: here the braces would stay as they are; write `keys = ["…"]`, or `keys = [format!(…)]`"#),
    ]),
    ("keys_in_a_vec", r#"keys = vec!["a:{seat_id}", "b"], ttl = "2s""#, BOOK, &[
        (r#""a:{seat_id}""#, r#"only a literal of its own is a template: here the braces would stay as they are; write `keys = ["…"]`, or `keys = [format!(…)]`"#),
    ]),
    ("keys_in_a_borrowed_list", r#"keys = &["b", "a:{seat_id}"], ttl = "2s""#, BOOK, &[
        (r#""a:{seat_id}""#, r#"only a literal of its own is a template: here the braces would stay as they are; write `keys = ["…"]`, or `keys = [format!(…)]`"#),
    ]),
    ("keys_in_an_iterated_list", r#"keys = ["a:{seat_id}"].into_iter(), ttl = "2s""#, BOOK, &[
        (r#""a:{seat_id}""#, r#"only a literal of its own is a template: here the braces would stay as they are; write `keys = ["…"]`, or `keys = [format!(…)]`"#),
    ]),
    ("keys_beside_key", r#"key = "a", keys = ["b"], ttl = "2s""#, BOOK, &[
        ("keys", "`key` and `keys` are both given: put all of them into `keys = […]`"),
    ]),
    ("key_beside_keys", r#"keys = ["b"], ttl = "2s", key = "a""#, BOOK, &[
        ("key", "`key` and `keys` are both given: put all of them into `keys = […]`"),
    ]),
    ("key_is_a_list", r#"key = ["a", "b"], ttl = "2s""#, BOOK, &[
        (r#"["a", "b"]"#, "this is not one key; several, all or none, are written `keys = […]`"),
    ]),
    ("key_is_a_tuple", r#"key = ("a", "b"), ttl = "2s""#, BOOK, &[
        (r#"("a", "b")"#, "this is not one key; several, all or none, are written `keys = […]`"),
    ]),
    ("key_is_repeated", r#"key = ["a"; 2], ttl = "2s""#, BOOK, &[
        (r#"["a"; 2]"#, "this is not one key; several, all or none, are written `keys = […]`"),
    ]),
    ("keys_without_value", r#"keys, ttl = "2s""#, BOOK, &[
        ("keys", r#"`keys` has no value: write `keys = ["seat:{from}", "seat:{to}"]`"#),
    ]),
    ("keys_in_brackets_alone", r#"keys["a", "b"], ttl = "2s""#, BOOK, &[
        ("keys", r#"`keys` takes its value after `=`: write `keys = ["seat:{from}", "seat:{to}"]`"#),
    ]),
    ("keys_twice", r#"keys = ["a"], keys = ["b"], ttl = "2s""#, BOOK, &[
        ("keys", "`keys` is given twice: remove one"),
    ]),
];
