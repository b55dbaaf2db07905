//! Keys.

use super::{BOOK, Misuse};

#[rustfmt::skip]
pub(super) const MISUSES: &[Misuse] = &[
    ("key_is_empty", r#"key = "", ttl = "2s""#, BOOK, &[
        (r#""""#, "`key`: an empty key would be one lock for everybody"),
    ]),
    ("key_is_a_number", r#"key = 17, ttl = "2s""#, BOOK, &[
        ("17", r#"a key is text: write `key = "book:{seat_id}"`"#),
    ]),
    ("key_is_bytes", r#"key = b"k", ttl = "2s""#, BOOK, &[
        (r#"b"k""#, r#"a key is text: write `key = "book:{seat_id}"`"#),
    ]),
    ("key_is_a_character", r#"key = 'k', ttl = "2s""#, BOOK, &[
        ("'k'", r#"a key is text: write `key = "book:{seat_id}"`"#),
    ]),
    ("key_is_true", r#"key = true, ttl = "2s""#, BOOK, &[
        ("true", r#"a key is text: write `key = "book:{seat_id}"`"#),
    ]),
    ("key_is_only_a_value", r#"key = "{seat_id}", ttl = "2s""#, BOOK, &[
        (r#""{seat_id}""#, r#"`key`: `{seat_id}` alone names no resource; write `"book:{seat_id}"`, or, if the value is a whole key, `key = seat_id`"#),
    ]),
    ("brace_never_closed", r#"key = "seat:{seat_id", ttl = "2s""#, BOOK, &[
        (r#""seat:{seat_id""#, "`key`: `{seat_id` is never closed; a brace in the key itself is written `{{`"),
    ]),
    ("brace_never_opened", r#"key = "seat:seat_id}", ttl = "2s""#, BOOK, &[
        (r#""seat:seat_id}""#, "`key`: `}` closes nothing; a brace in the key itself is written `}}`"),
    ]),
    ("brace_in_a_placeholder", r#"key = "seat:{{{seat_id{}}", ttl = "2s""#, BOOK, &[
        (r#""seat:{{{seat_id{}}""#, "`key`: there is a `{` inside the placeholder `{seat_id`; a brace in the key itself is written `{{`"),
    ]),
    ("placeholder_empty", r#"key = "seat:{}", ttl = "2s""#, BOOK, &[
        (r#""seat:{}""#, r#"`key`: `{}` names no argument; write it in the braces, such as `"book:{seat_id}"`"#),
    ]),
    ("placeholder_blank", r#"key = "seat:{ }", ttl = "2s""#, BOOK, &[
        (r#""seat:{ }""#, r#"`key`: `{ }` names no argument; write it in the braces, such as `"book:{seat_id}"`"#),
    ]),
    ("placeholder_positional", r#"key = "seat:{0}", ttl = "2s""#, BOOK, &[
        (r#""seat:{0}""#, r#"`key`: `{0}` is not an argument; arguments are named, such as `"book:{seat_id}"`"#),
    ]),
    ("placeholder_text", r##"key = r#"seat:{"x"}"#, ttl = "2s""##, BOOK, &[
        (r##"r#"seat:{"x"}"#"##, r#"`key`: `{"x"}` is not an argument; arguments are named, such as `"book:{seat_id}"`"#),
    ]),
    ("placeholder_misspelt", r#"key = "seat:{seatid}", ttl = "2s""#, BOOK, &[
        (r#""seat:{seatid}""#, "`key`: `seatid` is not an argument of `book`; did you mean `seat_id`?"),
    ]),
    ("placeholder_camel_case", r#"key = "seat:{seatId}", ttl = "2s""#, BOOK, &[
        (r#""seat:{seatId}""#, "`key`: `seatId` is not an argument of `book`; did you mean `seat_id`?"),
    ]),
    ("placeholder_unknown", r#"key = "seat:{order}", ttl = "2s""#, BOOK, &[
        (r#""seat:{order}""#, "`key`: `order` is not an argument of `book`; its arguments are `seat_id` and `user`"),
    ]),
    ("placeholder_of_a_function_without_arguments", r#"key = "seat:{order}", ttl = "2s""#, "async fn sweep() -> R {}", &[
        (r#""seat:{order}""#, "`key`: `order` is not an argument of `sweep`, which has none"),
    ]),
    ("placeholder_of_a_function_whose_argument_has_no_name", r#"key = "seat:{seat}", ttl = "2s""#, "async fn take(_: u64) -> R {}", &[
        (r#""seat:{seat}""#, "`key`: `seat` is not an argument of `take`, whose arguments have no names: give it one in the signature"),
    ]),
    ("placeholder_of_a_field_without_self", r#"key = "seat:{region}:{seat}", ttl = "2s""#, "async fn take(&self, seat: u64) -> R {}", &[
        (r#""seat:{region}:{seat}""#, "`key`: `region` is not an argument of `take`; a field of `self` is written `{self.region}`"),
    ]),
    ("placeholder_field_of_an_unknown_argument", r#"key = "seat:{order.id}", ttl = "2s""#, BOOK, &[
        (r#""seat:{order.id}""#, "`key`: `order` is not an argument of `book`; its arguments are `seat_id` and `user`"),
    ]),
    ("placeholder_index_unknown", r#"key = "seat:{user[i]}", ttl = "2s""#, BOOK, &[
        (r#""seat:{user[i]}""#, "`key`: `i` is not an argument of `book`; its arguments are `seat_id` and `user`"),
    ]),
    ("placeholder_self_in_a_free_function", r#"key = "seat:{self.id}", ttl = "2s""#, BOOK, &[
        (r#""seat:{self.id}""#, "`key`: `self` is not an argument of `book`; its arguments are `seat_id` and `user`"),
    ]),
    ("placeholder_keyword_of_a_raw_argument", r#"key = "seat:{type}", ttl = "2s""#, "async fn f(r#type: u8) -> R {}", &[
        (r#""seat:{type}""#, "`key`: `{type}` is a keyword; write `{r#type}`"),
    ]),
    ("placeholder_keyword", r#"key = "seat:{match}", ttl = "2s""#, BOOK, &[
        (r#""seat:{match}""#, "`key`: `{match}` is not understood; a placeholder holds an argument, a path, a field, an index or a method call; give anything else as a whole key: `key = format!(…)`"),
    ]),
    ("placeholder_of_a_pattern_that_async_trait_took_apart", r#"key = "k:{a}", ttl = "2s""#, "fn f<'a>(__arg0: (u8, u8)) -> Pin<Box<dyn Future<Output = R> + Send + 'a>> { Box::pin(async move { let (a, b) = __arg0; }) }", &[
        (r#""k:{a}""#, "`key`: `a` is not an argument of `f`; if a pattern binds it, `#[async_trait]` takes it apart after the key is made: give the argument a name, and take it apart in the body"),
    ]),
    ("placeholder_debug", r#"key = "seat:{seat_id:?}", ttl = "2s""#, BOOK, &[
        (r#""seat:{seat_id:?}""#, "`key`: `{seat_id:?}`: `Debug` output may differ between two builds, which would then take different locks; write `{seat_id}`, and implement `Display` for its type"),
    ]),
    ("placeholder_pretty_debug", r#"key = "seat:{seat_id:#?}", ttl = "2s""#, BOOK, &[
        (r#""seat:{seat_id:#?}""#, "`key`: `{seat_id:#?}`: `Debug` output may differ between two builds, which would then take different locks; write `{seat_id}`, and implement `Display` for its type"),
    ]),
    ("placeholder_hexadecimal", r#"key = "seat:{seat_id:x}", ttl = "2s""#, BOOK, &[
        (r#""seat:{seat_id:x}""#, "`key`: `{seat_id:x}`: a format can give different values one key; write `{seat_id}`, or `{seat_id:>04}` to pad an unsigned integer with zeros"),
    ]),
    ("placeholder_precision", r#"key = "seat:{seat_id:.2}", ttl = "2s""#, BOOK, &[
        (r#""seat:{seat_id:.2}""#, "`key`: `{seat_id:.2}`: a format can give different values one key; write `{seat_id}`, or `{seat_id:>04}` to pad an unsigned integer with zeros"),
    ]),
    ("placeholder_sign", r#"key = "seat:{seat_id:+}", ttl = "2s""#, BOOK, &[
        (r#""seat:{seat_id:+}""#, "`key`: `{seat_id:+}`: a format can give different values one key; write `{seat_id}`, or `{seat_id:>04}` to pad an unsigned integer with zeros"),
    ]),
    ("placeholder_width_of_spaces", r#"key = "seat:{seat_id:4}", ttl = "2s""#, BOOK, &[
        (r#""seat:{seat_id:4}""#, "`key`: `{seat_id:4}`: a format can give different values one key; write `{seat_id}`, or `{seat_id:>04}` to pad an unsigned integer with zeros"),
    ]),
    ("placeholder_width_left", r#"key = "seat:{seat_id:<04}", ttl = "2s""#, BOOK, &[
        (r#""seat:{seat_id:<04}""#, "`key`: `{seat_id:<04}`: a format can give different values one key; write `{seat_id}`, or `{seat_id:>04}` to pad an unsigned integer with zeros"),
    ]),
    ("placeholder_width_huge", r#"key = "seat:{seat_id:>0400}", ttl = "2s""#, BOOK, &[
        (r#""seat:{seat_id:>0400}""#, "`key`: `{seat_id:>0400}`: no integer has more than 39 digits; write for instance `{seat_id:>04}`"),
    ]),
    ("placeholder_width_from_an_argument", r#"key = "seat:{seat_id:0w$}", ttl = "2s""#, BOOK, &[
        (r#""seat:{seat_id:0w$}""#, "`key`: `{seat_id:0w$}`: a format can give different values one key; write `{seat_id}`, or `{seat_id:>04}` to pad an unsigned integer with zeros"),
    ]),
    ("placeholder_format_empty", r#"key = "seat:{seat_id:}", ttl = "2s""#, BOOK, &[
        (r#""seat:{seat_id:}""#, "`key`: `{seat_id:}` has no format; write `{seat_id}`"),
    ]),
    ("placeholder_sum", r#"key = "seat:{seat_id + 1}", ttl = "2s""#, BOOK, &[
        (r#""seat:{seat_id + 1}""#, "`key`: `{seat_id + 1}` computes; a placeholder holds an argument, a path, a field, an index or a method call; give anything else as a whole key: `key = format!(…)`"),
    ]),
    ("placeholder_negated", r#"key = "seat:{-seat_id}", ttl = "2s""#, BOOK, &[
        (r#""seat:{-seat_id}""#, "`key`: `{-seat_id}` computes; a placeholder holds an argument, a path, a field, an index or a method call; give anything else as a whole key: `key = format!(…)`"),
    ]),
    ("placeholder_borrowed_to_be_changed", r#"key = "seat:{&mut seat_id}", ttl = "2s""#, BOOK, &[
        (r#""seat:{&mut seat_id}""#, "`key`: `{&mut seat_id}` computes; a placeholder holds an argument, a path, a field, an index or a method call; give anything else as a whole key: `key = format!(…)`"),
    ]),
    ("placeholder_call", r#"key = "seat:{hash(seat_id)}", ttl = "2s""#, BOOK, &[
        (r#""seat:{hash(seat_id)}""#, "`key`: `{hash(seat_id)}` computes; a placeholder holds an argument, a path, a field, an index or a method call; give anything else as a whole key: `key = format!(…)`"),
    ]),
    ("placeholder_macro", r#"key = "seat:{line!()}", ttl = "2s""#, BOOK, &[
        (r#""seat:{line!()}""#, "`key`: `{line!()}` computes; a placeholder holds an argument, a path, a field, an index or a method call; give anything else as a whole key: `key = format!(…)`"),
    ]),
    ("placeholder_await", r#"key = "seat:{user.id().await}", ttl = "2s""#, BOOK, &[
        (r#""seat:{user.id().await}""#, "`key`: `{user.id().await}` computes; a placeholder holds an argument, a path, a field, an index or a method call; give anything else as a whole key: `key = format!(…)`"),
    ]),
    ("placeholder_question_mark", r#"key = "seat:{user.id()?}", ttl = "2s""#, BOOK, &[
        (r#""seat:{user.id()?}""#, "`key`: `{user.id()?}` computes; a placeholder holds an argument, a path, a field, an index or a method call; give anything else as a whole key: `key = format!(…)`"),
    ]),
    ("placeholder_range", r#"key = "seat:{user[..3]}", ttl = "2s""#, BOOK, &[
        (r#""seat:{user[..3]}""#, "`key`: `{user[..3]}` computes; a placeholder holds an argument, a path, a field, an index or a method call; give anything else as a whole key: `key = format!(…)`"),
    ]),
    ("placeholder_closure", r#"key = "seat:{user.map(|x| x)}", ttl = "2s""#, BOOK, &[
        (r#""seat:{user.map(|x| x)}""#, "`key`: `{user.map(|x| x)}` computes; a placeholder holds an argument, a path, a field, an index or a method call; give anything else as a whole key: `key = format!(…)`"),
    ]),
    ("placeholder_cast", r#"key = "seat:{seat_id as u8}", ttl = "2s""#, BOOK, &[
        (r#""seat:{seat_id as u8}""#, "`key`: `{seat_id as u8}` computes; a placeholder holds an argument, a path, a field, an index or a method call; give anything else as a whole key: `key = format!(…)`"),
    ]),
    ("placeholder_unreadable", r#"key = "seat:{seat id}", ttl = "2s""#, BOOK, &[
        (r#""seat:{seat id}""#, "`key`: `{seat id}` is not understood; a placeholder holds an argument, a path, a field, an index or a method call; give anything else as a whole key: `key = format!(…)`"),
    ]),
    ("values_without_separator", r#"key = "seat:{seat_id}{user}", ttl = "2s""#, BOOK, &[
        (r#""seat:{seat_id}{user}""#, "`key`: put one of `:` `/` `|` `#` between `{seat_id}` and `{user}`, as in `{seat_id}:{user}`; without it different values can make the same key"),
    ]),
    ("values_with_a_weak_separator", r#"key = "seat:{seat_id}-{user}", ttl = "2s""#, BOOK, &[
        (r#""seat:{seat_id}-{user}""#, "`key`: put one of `:` `/` `|` `#` between `{seat_id}` and `{user}`, as in `{seat_id}:{user}`; without it different values can make the same key"),
    ]),
    ("white_space", r#"key = "seat {seat_id}", ttl = "2s""#, BOOK, &[
        (r#""seat {seat_id}""#, r#"`key`: a key has no white space; write `"seat:{seat_id}"`"#),
    ]),
    ("white_space_at_the_end", r#"key = "seat:{seat_id} ", ttl = "2s""#, BOOK, &[
        (r#""seat:{seat_id} ""#, r#"`key`: a key has no white space; write `"seat:{seat_id}"`"#),
    ]),
    ("white_space_around_a_separator", r#"key = "seat : {seat_id}", ttl = "2s""#, BOOK, &[
        (r#""seat : {seat_id}""#, r#"`key`: a key has no white space; write `"seat:{seat_id}"`"#),
    ]),
    ("no_break_space", r#"key = "seat:\u{a0}{seat_id}", ttl = "2s""#, BOOK, &[
        (r#""seat:\u{a0}{seat_id}""#, r#"`key`: a key has no white space; write `"seat:{seat_id}"`"#),
    ]),
    ("line_break", r#"key = "seat:\n{seat_id}", ttl = "2s""#, BOOK, &[
        (r#""seat:\n{seat_id}""#, r"`key`: a key has no control characters: remove `\n`"),
    ]),
    ("placeholder_of_printf", r#"key = "seat:%d", ttl = "2s""#, BOOK, &[
        (r#""seat:%d""#, r#"`key`: `%d` would stay as it is; write the argument's name in braces, such as `"book:{seat_id}"`"#),
    ]),
    ("argument_in_doubled_braces", r#"key = "seat:{{seat_id}}", ttl = "2s""#, BOOK, &[
        (r#""seat:{{seat_id}}""#, "`key`: `{{seat_id}}` is the text `{seat_id}`; write `{seat_id}` for the argument, or `{{{seat_id}}}` for the argument in braces"),
    ]),
    ("concat_with_a_placeholder", r#"key = concat!("seat:", "{seat_id}"), ttl = "2s""#, BOOK, &[
        (r#""{seat_id}""#, r#"only a literal of its own is a template: here the braces would stay as they are; write `key = "…"`, or `key = format!(…)`"#),
    ]),
    ("string_from_with_a_placeholder", r#"key = String::from("seat:{seat_id}"), ttl = "2s""#, BOOK, &[
        (r#""seat:{seat_id}""#, r#"only a literal of its own is a template: here the braces would stay as they are; write `key = "…"`, or `key = format!(…)`"#),
    ]),
    ("to_string_with_a_placeholder", r#"key = "seat:{seat_id}".to_string(), ttl = "2s""#, BOOK, &[
        (r#""seat:{seat_id}""#, r#"only a literal of its own is a template: here the braces would stay as they are; write `key = "…"`, or `key = format!(…)`"#),
    ]),
    ("sum_with_a_placeholder", r#"key = PREFIX.to_owned() + ":{seat_id}", ttl = "2s""#, BOOK, &[
        (r#"":{seat_id}""#, r#"only a literal of its own is a template: here the braces would stay as they are; write `key = "…"`, or `key = format!(…)`"#),
    ]),
    ("template_and_more", r#"key = "seat:{seat_id}" + SUFFIX, ttl = "2s""#, BOOK, &[
        (r#""seat:{seat_id}""#, r#"only a literal of its own is a template: here the braces would stay as they are; write `key = "…"`, or `key = format!(…)`"#),
    ]),
    ("template_cast", r#"key = "seat:{seat_id}" as &str, ttl = "2s""#, BOOK, &[
        (r#""seat:{seat_id}""#, r#"only a literal of its own is a template: here the braces would stay as they are; write `key = "…"`, or `key = format!(…)`"#),
    ]),
    ("string_from_as_str", r#"key = String::from("seat:{seat_id}").as_str(), ttl = "2s""#, BOOK, &[
        (r#""seat:{seat_id}""#, r#"only a literal of its own is a template: here the braces would stay as they are; write `key = "…"`, or `key = format!(…)`"#),
    ]),
    ("reference_to_a_template", r#"key = &"seat:{seat_id}", ttl = "2s""#, BOOK, &[
        (r#""seat:{seat_id}""#, r#"only a literal of its own is a template: here the braces would stay as they are; write `key = "…"`, or `key = format!(…)`"#),
    ]),
    ("three_mistakes_in_one_template", r#"key = "seat {seatid}{usr}", ttl = "2s""#, BOOK, &[
        (r#""seat {seatid}{usr}""#, r#"`key`: a key has no white space; write `"seat:{seatid}{usr}"`"#),
        (r#""seat {seatid}{usr}""#, "`key`: put one of `:` `/` `|` `#` between `{seatid}` and `{usr}`, as in `{seatid}:{usr}`; without it different values can make the same key"),
        (r#""seat {seatid}{usr}""#, "`key`: `seatid` is not an argument of `book`; did you mean `seat_id`?"),
        (r#""seat {seatid}{usr}""#, "`key`: `usr` is not an argument of `book`; did you mean `user`?"),
    ]),
];
