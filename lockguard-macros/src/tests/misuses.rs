//! Each misuse has its own answer, and the answer its place.

use proc_macro2::TokenStream;

use crate::{argument::Arguments, error::Errors, model::Model, target::Target};

/// The name of a misuse; the options; the item; what is underlined (nothing:
/// the whole attribute), and what is said.
type Misuse = (
    &'static str,
    &'static str,
    &'static str,
    &'static [(&'static str, &'static str)],
);

const BOOK: &str = "async fn book(seat_id: u64, user: &str) -> Result<(), LockError> {}";

/// Options as such.
#[rustfmt::skip]
const OPTIONS: &[Misuse] = &[
    ("nothing_at_all", "", BOOK, &[
        ("", r#"`key` and `ttl` are missing: write `#[distributed_lock(key = "book:{seat_id}", ttl = "2s")]`"#),
    ]),
    ("nothing_at_all_on_a_function_without_arguments", "", "async fn sweep() -> Result<(), LockError> {}", &[
        ("", r#"`key` and `ttl` are missing: write `#[distributed_lock(key = "sweep", ttl = "2s")]`"#),
    ]),
    ("key_missing", r#"ttl = "2s""#, BOOK, &[
        ("", r#"`key` is missing: say what is locked, such as `key = "book:{seat_id}"`"#),
    ]),
    ("ttl_missing", r#"key = "seat:{seat_id}""#, BOOK, &[
        ("", r#"`ttl` is missing: say how long the body may take, and the lock of a crashed holder stays taken, such as `ttl = "2s"`"#),
    ]),
    ("key_twice", r#"key = "seat:{seat_id}", ttl = "2s", key = "x""#, BOOK, &[
        ("key", "`key` is given twice: remove one"),
    ]),
    ("timeout_beside_wait", r#"key = "seat:{seat_id}", ttl = "2s", timeout = 5, wait = "5s""#, BOOK, &[
        ("timeout", r#"`timeout` is called `wait` here: write `wait = "5s"`"#),
    ]),
    ("ttl_twice", r#"key = "seat:{seat_id}", ttl = "2s", ttl = "3s""#, BOOK, &[
        ("ttl", "`ttl` is given twice: remove one"),
    ]),
    ("positional_key", r#""seat:{seat_id}", ttl = "2s""#, BOOK, &[
        (r#""seat:{seat_id}""#, r#"options are named: write `key = "seat:{seat_id}"`"#),
    ]),
    ("positional_ttl", r#"key = "seat:{seat_id}", "2s""#, BOOK, &[
        (r#""2s""#, r#"options are named: write `ttl = "2s"`"#),
    ]),
    ("positional_wait", r#"key = "seat:{seat_id}", ttl = "2s", "5s""#, BOOK, &[
        (r#""5s""#, r#"options are named: write `wait = "5s"`"#),
    ]),
    ("positional_number", r#"key = "seat:{seat_id}", 2"#, BOOK, &[
        ("2", r#"options are named: write `ttl = "2s"`"#),
    ]),
    ("positional_argument", r#"seat_id.to_string(), ttl = "2s""#, BOOK, &[
        ("seat_id.to_string()", "options are named: write `key = …`"),
    ]),
    ("positional_call", r#"make(seat_id), ttl = "2s""#, BOOK, &[
        ("make(seat_id)", "options are named: write `key = …`"),
    ]),
    ("positional_truth", r#"key = "k", ttl = "2s", true"#, BOOK, &[
        ("true", "there is no option `true`; the options are `key`, `keys`, `ttl`, `wait`, `max_hold`, `min_hold`, `fence`, `bind`, `on_busy`, `on_error`, `on_lost`, `manager`, `name` and `crate`"),
    ]),
    ("positional_closure", r#"key = "k", ttl = "2s", |e| Err(e)"#, BOOK, &[
        ("|e| Err(e)", "options are named: write `on_error = …`"),
    ]),
    ("positional_number_beside_ttl", r#"key = "k", ttl = "2s", 5"#, BOOK, &[
        ("5", r#"options are named: write `wait = "2s"`"#),
    ]),
    ("positional_text_beside_keys", r#"keys = ["a", "b"], ttl = "2s", "c""#, BOOK, &[
        (r#""c""#, "options are named: write which one this is, such as `on_busy = skip`"),
    ]),
    ("positional_duration_beside_ttl_and_wait", r#"key = "k", ttl = "2s", wait = "1s", "5s""#, BOOK, &[
        (r#""5s""#, "options are named: write which one this is, such as `on_busy = skip`"),
    ]),
    ("positional_path_beside_key", r#"key = "k", ttl = "2s", OnBusy::Skip; wait = "1s""#, BOOK, &[
        ("OnBusy::Skip", "options are named: write which one this is, such as `on_busy = skip`"),
        (";", "a comma separates options"),
    ]),
    ("positional_punctuation", r#"=> ttl = "2s""#, BOOK, &[
        ("=", r#"expected an option, such as `key = "seat:{seat_id}"`"#),
        ("", r#"`key` is missing: say what is locked, such as `key = "book:{seat_id}"`"#),
    ]),
    ("key_without_value", r#"key, ttl = "2s""#, BOOK, &[
        ("key", r#"`key` has no value: write `key = "seat:{seat_id}"`"#),
    ]),
    ("key_without_value_after_equals", r#"key = , ttl = "2s""#, BOOK, &[
        ("key", r#"`key` has no value: write `key = "seat:{seat_id}"`"#),
    ]),
    ("ttl_without_value_at_the_end", r#"key = "k", ttl ="#, BOOK, &[
        ("ttl", r#"`ttl` has no value: write `ttl = "2s"`"#),
    ]),
    ("key_after_a_colon", r#"key: "seat:{seat_id}", ttl = "2s""#, BOOK, &[
        ("key", r#"`key` takes its value after `=`, not `:`: write `key = "seat:{seat_id}"`"#),
    ]),
    ("key_after_an_arrow", r#"key => "k", ttl => "2s""#, BOOK, &[
        ("key", r#"`key` takes its value after `=`, not `=>`: write `key = "seat:{seat_id}"`"#),
        ("ttl", r#"`ttl` takes its value after `=`, not `=>`: write `ttl = "2s"`"#),
    ]),
    ("key_compared", r#"key == "k", ttl = "2s""#, BOOK, &[
        ("key", r#"`key` takes its value after `=`, not `==`: write `key = "seat:{seat_id}"`"#),
    ]),
    ("key_after_a_colon_and_an_equals_sign", r#"key := "k", ttl = "2s""#, BOOK, &[
        ("key", r#"`key` takes its value after `=`, not `:=`: write `key = "seat:{seat_id}"`"#),
    ]),
    ("key_in_parentheses", r#"key("seat:{seat_id}"), ttl = "2s""#, BOOK, &[
        ("key", r#"`key` takes its value after `=`, not in parentheses: write `key = "seat:{seat_id}"`"#),
    ]),
    ("comma_missing", r#"key = "seat:{seat_id}" ttl = "2s""#, BOOK, &[
        ("ttl", "there is no comma before this option"),
    ]),
    ("comma_missing_after_a_closure", r#"key = "k", on_error = |e| Err(e) ttl = "2s""#, BOOK, &[
        ("ttl", "there is no comma before this option"),
    ]),
    ("comma_twice", r#"key = "k",, ttl = "2s""#, BOOK, &[
        (",", "there is no option before this comma"),
    ]),
    ("comma_first", r#", key = "k", ttl = "2s""#, BOOK, &[
        (",", "there is no option before this comma"),
    ]),
    ("semicolon_between_options", r#"key = "k"; ttl = "2s""#, BOOK, &[
        (";", "the value of `key` ended before this; a comma separates options"),
    ]),
    ("template_without_quotes", r#"key = seat:{seat_id}, ttl = "2s""#, BOOK, &[
        (":", "the value of `key` ended before this; a template is text, in quotes"),
    ]),
    ("words_after_a_value", r#"key = "k", ttl = 2 seconds, wait = "1s""#, BOOK, &[
        ("seconds", "the value of `ttl` ended before this; a comma separates options"),
        ("2", r#"`ttl` takes text with a unit: write `ttl = "2s"` or `ttl = "2ms"`"#),
    ]),
    ("value_that_is_no_expression", r#"key = "k", ttl = @, wait = "1s""#, BOOK, &[
        ("@", r#"`ttl` is not understood: write `ttl = "2s"` (expected an expression)"#),
    ]),
    ("value_that_is_cut_off", r#"key = "k", ttl = Duration::"#, BOOK, &[
        ("ttl", r#"`ttl` is not understood: write `ttl = "2s"` (unexpected end of input, expected identifier)"#),
    ]),
    ("value_that_is_cut_off_before_another", r#"key = "k", ttl = Duration::, wait = "1s""#, BOOK, &[
        (",", r#"`ttl` is not understood: write `ttl = "2s"` (expected identifier)"#),
    ]),
    ("value_that_goes_on_after_a_comma", r#"key = "k", ttl = @, 1 + 1, wait = "1s""#, BOOK, &[
        ("@", r#"`ttl` is not understood: write `ttl = "2s"` (expected an expression)"#),
    ]),
    ("value_that_goes_on_with_an_assignment", r#"key = "k", ttl = @ other = 1, wait = "1s""#, BOOK, &[
        ("@", r#"`ttl` is not understood: write `ttl = "2s"` (expected an expression)"#),
    ]),
    ("ttl_as_on_a_clock", r#"key = "k", ttl = 1:30, wait = "1s""#, BOOK, &[
        (":", "the value of `ttl` ended before this; a comma separates options"),
        ("1", r#"`ttl` takes text with a unit: write `ttl = "1s"` or `ttl = "1ms"`"#),
    ]),
    ("unknown_option", r#"key = "seat:{seat_id}", ttl = "2s", colour = "red""#, BOOK, &[
        ("colour", "there is no option `colour`; the options are `key`, `keys`, `ttl`, `wait`, `max_hold`, `min_hold`, `fence`, `bind`, `on_busy`, `on_error`, `on_lost`, `manager`, `name` and `crate`"),
    ]),
    ("unknown_flag", r#"key = "seat:{seat_id}", ttl = "2s", colour"#, BOOK, &[
        ("colour", "there is no option `colour`; the options are `key`, `keys`, `ttl`, `wait`, `max_hold`, `min_hold`, `fence`, `bind`, `on_busy`, `on_error`, `on_lost`, `manager`, `name` and `crate`"),
    ]),
    ("misspelt_key", r#"kye = "seat:{seat_id}", ttl = "2s""#, BOOK, &[
        ("kye", "there is no option `kye`; did you mean `key`?"),
    ]),
    ("misspelt_ttl", r#"key = "k", tll = "2s""#, BOOK, &[
        ("tll", "there is no option `tll`; did you mean `ttl`?"),
    ]),
    ("misspelt_wait", r#"key = "seat:{seat_id}", ttl = "2s", wiat = "2s""#, BOOK, &[
        ("wiat", "there is no option `wiat`; did you mean `wait`?"),
    ]),
    ("camel_case_option", r#"key = "seat:{seat_id}", ttl = "2s", onError = |e| Err(e)"#, BOOK, &[
        ("onError", "there is no option `onError`; did you mean `on_error`?"),
    ]),
    ("hyphenated_option", r#"key = "k", ttl = "2s", max-hold = "1m", on-error = |e| Err(e)"#, BOOK, &[
        ("max-hold", "there is no option `max-hold`; did you mean `max_hold`?"),
        ("on-error", "there is no option `on-error`; did you mean `on_error`?"),
    ]),
    ("field_as_an_option", r#"key = "k", ttl = "2s", lock.name = "n""#, BOOK, &[
        ("lock.name", "there is no option `lock.name`; the options are `key`, `keys`, `ttl`, `wait`, `max_hold`, `min_hold`, `fence`, `bind`, `on_busy`, `on_error`, `on_lost`, `manager`, `name` and `crate`"),
    ]),
    ("unknown_option_with_a_long_value", r#"key = "k", colour = red::<A, B, C>(), ttl = "2s""#, BOOK, &[
        ("colour", "there is no option `colour`; the options are `key`, `keys`, `ttl`, `wait`, `max_hold`, `min_hold`, `fence`, `bind`, `on_busy`, `on_error`, `on_lost`, `manager`, `name` and `crate`"),
    ]),
    ("upper_case_option", r#"KEY = "k", ttl = "2s""#, BOOK, &[
        ("KEY", "there is no option `KEY`; did you mean `key`?"),
    ]),
    ("all_mistakes_at_once", r#"key = "seat:{seatid}", ttl = "2", wait = 5, colour = "red", manager = "m", name = 1"#, "fn book(seat_id: u64) {}", &[
        ("fn", "`book` is not async, and taking a lock waits: write `async fn book`; blocking code calls it as `handle.block_on(book(…))`, where `handle` is a `tokio::runtime::Handle`"),
        ("colour", "there is no option `colour`; the options are `key`, `keys`, `ttl`, `wait`, `max_hold`, `min_hold`, `fence`, `bind`, `on_busy`, `on_error`, `on_lost`, `manager`, `name` and `crate`"),
        (r#""2""#, r#"`ttl = "2"`: the unit is missing; did you mean `"2s"` or `"2ms"`?"#),
        ("5", r#"`wait` takes text with a unit: write `wait = "5s"` or `wait = "5ms"`"#),
        (r#""m""#, r#"`manager` takes a manager, not its name: write `manager = lockguard::named("m")`"#),
        ("1", r#"`name` takes text that does not change from call to call: write `name = "…"`"#),
        (r#""seat:{seatid}""#, "`key`: `seatid` is not an argument of `book`; did you mean `seat_id`?"),
    ]),
];

/// What other libraries call our options.
#[rustfmt::skip]
const FOREIGN_NAMES: &[Misuse] = &[
    ("expiry_of_redsync", r#"key = "k", expiry = "8s""#, BOOK, &[
        ("expiry", r#"`expiry` is called `ttl` here: write `ttl = "2s"`"#),
    ]),
    ("lock_at_most_for_of_shedlock", r#"key = "k", lock_at_most_for = "8s""#, BOOK, &[
        ("lock_at_most_for", r#"`lock_at_most_for` is called `ttl` here: write `ttl = "2s"`"#),
    ]),
    ("lock_at_least_for_of_shedlock", r#"key = "seat:{seat_id}", ttl = "2s", lock_at_least_for = "8s""#, BOOK, &[
        ("lock_at_least_for", r#"`lock_at_least_for` is called `min_hold` here: write `min_hold = "10s"`"#),
    ]),
    ("lease_time_of_redisson", r#"key = "k", lease_time = "8s""#, BOOK, &[
        ("lease_time", r#"`lease_time` is called `ttl` here: write `ttl = "2s"`"#),
    ]),
    ("hyphenated_name_of_another_library", r#"lock-key = "k", ttl = "2s""#, BOOK, &[
        ("lock-key", r#"`lock-key` is called `key` here: write `key = "seat:{seat_id}"`"#),
    ]),
    ("timeout_of_redis_py", r#"key = "seat:{seat_id}", ttl = "2s", timeout = 5"#, BOOK, &[
        ("timeout", r#"`timeout` is called `wait` here: write `wait = "5s"`"#),
    ]),
    ("acquire_timeout_of_pottery", r#"key = "seat:{seat_id}", ttl = "2s", acquire_timeout = 5"#, BOOK, &[
        ("acquire_timeout", r#"`acquire_timeout` is called `wait` here: write `wait = "5s"`"#),
    ]),
    ("blocking_timeout_of_redis_py", r#"key = "seat:{seat_id}", ttl = "2s", blocking_timeout = 5"#, BOOK, &[
        ("blocking_timeout", r#"`blocking_timeout` is called `wait` here: write `wait = "5s"`"#),
    ]),
    ("tries_of_redsync", r#"key = "seat:{seat_id}", ttl = "2s", tries = 32"#, BOOK, &[
        ("tries", r#"`tries` is called `wait` here: write `wait = "5s"`"#),
    ]),
    ("retry_count_of_node_redlock", r#"key = "seat:{seat_id}", ttl = "2s", retry_count = 10"#, BOOK, &[
        ("retry_count", r#"`retry_count` is called `wait` here: write `wait = "5s"`"#),
    ]),
    ("renew_flag", r#"key = "seat:{seat_id}", ttl = "2s", renew"#, BOOK, &[
        ("renew", r#"`renew` is called `max_hold` here: write `max_hold = "1m"`"#),
    ]),
    ("watchdog_of_redisson", r#"key = "seat:{seat_id}", ttl = "2s", watchdog = true"#, BOOK, &[
        ("watchdog", r#"`watchdog` is called `max_hold` here: write `max_hold = "1m"`"#),
    ]),
    ("auto_extend_value", r#"key = "seat:{seat_id}", ttl = "2s", auto_extend = true"#, BOOK, &[
        ("auto_extend", r#"`auto_extend` is called `max_hold` here: write `max_hold = "1m"`"#),
    ]),
    ("skip_flag", r#"key = "seat:{seat_id}", ttl = "2s", skip"#, BOOK, &[
        ("skip", "`skip` is called `on_busy` here: write `on_busy = skip`"),
    ]),
    ("try_lock_flag", r#"key = "seat:{seat_id}", ttl = "2s", try_lock"#, BOOK, &[
        ("try_lock", "`try_lock` is called `on_busy` here: write `on_busy = skip`"),
    ]),
    ("guard_name", r#"key = "seat:{seat_id}", ttl = "2s", guard = g"#, BOOK, &[
        ("guard", "`guard` is called `bind` here: write `bind = lease`"),
    ]),
    ("lease_name", r#"key = "seat:{seat_id}", ttl = "2s", lease = l"#, BOOK, &[
        ("lease", "`lease` is called `bind` here: write `bind = lease`"),
    ]),
    ("token_name", r#"key = "seat:{seat_id}", ttl = "2s", token = t"#, BOOK, &[
        ("token", "`token` is called `fence` here: write `fence = token`"),
    ]),
    ("resource_of_node_redlock", r#"resource = "k", ttl = "2s""#, BOOK, &[
        ("resource", r#"`resource` is called `key` here: write `key = "seat:{seat_id}"`"#),
    ]),
    ("resources_of_node_redlock", r#"resources = ["k"], ttl = "2s""#, BOOK, &[
        ("resources", r#"`resources` is called `keys` here: write `keys = ["seat:{from}", "seat:{to}"]`"#),
    ]),
    ("map_err_instead_of_on_error", r#"key = "seat:{seat_id}", ttl = "2s", map_err = f"#, BOOK, &[
        ("map_err", "`map_err` is called `on_error` here: write `on_error = |e| Err(e.into())`"),
    ]),
    ("pool_instead_of_manager", r#"key = "seat:{seat_id}", ttl = "2s", pool = p"#, BOOK, &[
        ("pool", "`pool` is called `manager` here: write `manager = self.locks`"),
    ]),
    ("label_instead_of_name", r#"key = "seat:{seat_id}", ttl = "2s", label = "l""#, BOOK, &[
        ("label", r#"`label` is called `name` here: write `name = "booking"`"#),
    ]),
];

/// Keys.
#[rustfmt::skip]
const KEYS: &[Misuse] = &[
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

/// Durations.
#[rustfmt::skip]
const DURATIONS: &[Misuse] = &[
    ("ttl_is_a_number", r#"key = "seat:{seat_id}", ttl = 2"#, BOOK, &[
        ("2", r#"`ttl` takes text with a unit: write `ttl = "2s"` or `ttl = "2ms"`"#),
    ]),
    ("ttl_is_a_large_number", r#"key = "seat:{seat_id}", ttl = 2000"#, BOOK, &[
        ("2000", r#"`ttl` takes text with a unit: write `ttl = "2000s"` or `ttl = "2000ms"`"#),
    ]),
    ("ttl_without_quotes", r#"key = "seat:{seat_id}", ttl = 2s"#, BOOK, &[
        ("2s", r#"`ttl` takes text: write `ttl = "2s"`"#),
    ]),
    ("ttl_of_milliseconds_without_quotes", r#"key = "seat:{seat_id}", ttl = 250ms"#, BOOK, &[
        ("250ms", r#"`ttl` takes text: write `ttl = "250ms"`"#),
    ]),
    ("ttl_of_two_units_without_quotes", r#"key = "seat:{seat_id}", ttl = 1m30s"#, BOOK, &[
        ("1m30s", r#"`ttl` takes text: write `ttl = "1m30s"`"#),
    ]),
    ("ttl_of_a_fraction_without_quotes", r#"key = "seat:{seat_id}", ttl = 1.5s"#, BOOK, &[
        ("1.5s", r#"`ttl` takes text: write `ttl = "1s500ms"`"#),
    ]),
    ("ttl_is_a_fraction", r#"key = "seat:{seat_id}", ttl = 2.5"#, BOOK, &[
        ("2.5", r#"`ttl` takes text: write `ttl = "2s500ms"`"#),
    ]),
    ("ttl_is_a_typed_fraction", r#"key = "seat:{seat_id}", ttl = 0.5f64"#, BOOK, &[
        ("0.5f64", r#"`ttl` takes text: write `ttl = "500ms"`"#),
    ]),
    ("ttl_of_a_fraction_of_microseconds_without_quotes", r#"key = "seat:{seat_id}", ttl = 1.5us"#, BOOK, &[
        ("1.5us", r#"`ttl` takes text: write for instance `ttl = "2s"`"#),
    ]),
    ("ttl_is_a_number_with_an_exponent", r#"key = "seat:{seat_id}", ttl = 1e3"#, BOOK, &[
        ("1e3", r#"`ttl` takes text: write for instance `ttl = "2s"`"#),
    ]),
    ("ttl_is_a_hexadecimal_number", r#"key = "seat:{seat_id}", ttl = 0x10"#, BOOK, &[
        ("0x10", r#"`ttl` takes text with a unit: write `ttl = "16s"` or `ttl = "16ms"`"#),
    ]),
    ("ttl_is_a_grouped_number", r#"key = "seat:{seat_id}", ttl = 1_500ms"#, BOOK, &[
        ("1_500ms", r#"`ttl` takes text: write `ttl = "1s500ms"`"#),
    ]),
    ("ttl_is_a_template", r#"key = "seat:{seat_id}", ttl = "{limits.ttl}""#, BOOK, &[
        (r#""{limits.ttl}""#, r#"`ttl = "{limits.ttl}"`: only a key is a template; write `ttl = limits.ttl`, a `Duration`"#),
    ]),
    ("ttl_is_a_template_with_a_format", r#"key = "seat:{seat_id}", ttl = "{seconds:02}""#, BOOK, &[
        (r#""{seconds:02}""#, r#"`ttl = "{seconds:02}"`: `{seconds:` has no number before it; write for instance `"2s"`"#),
    ]),
    ("ttl_is_an_empty_template", r#"key = "seat:{seat_id}", ttl = "{}""#, BOOK, &[
        (r#""{}""#, r#"`ttl = "{}"`: `{}` has no number before it; write for instance `"2s"`"#),
    ]),
    ("ttl_is_a_typed_number", r#"key = "seat:{seat_id}", ttl = 2u64"#, BOOK, &[
        ("2u64", r#"`ttl` takes text with a unit: write `ttl = "2s"` or `ttl = "2ms"`"#),
    ]),
    ("ttl_without_unit", r#"key = "seat:{seat_id}", ttl = "2""#, BOOK, &[
        (r#""2""#, r#"`ttl = "2"`: the unit is missing; did you mean `"2s"` or `"2ms"`?"#),
    ]),
    ("ttl_without_number", r#"key = "seat:{seat_id}", ttl = "s""#, BOOK, &[
        (r#""s""#, r#"`ttl = "s"`: `s` has no number before it; write for instance `"2s"`"#),
    ]),
    ("ttl_empty", r#"key = "seat:{seat_id}", ttl = """#, BOOK, &[
        (r#""""#, r#"`ttl = ""`: no duration; write for instance `"2s"`"#),
    ]),
    ("ttl_of_a_fraction", r#"key = "seat:{seat_id}", ttl = "1.5s""#, BOOK, &[
        (r#""1.5s""#, r#"`ttl = "1.5s"`: no fractions; write `"1s500ms"`"#),
    ]),
    ("ttl_in_upper_case", r#"key = "seat:{seat_id}", ttl = "2S""#, BOOK, &[
        (r#""2S""#, r#"`ttl = "2S"`: `S` is not a unit; did you mean `"2s"`?"#),
    ]),
    ("ttl_in_months", r#"key = "seat:{seat_id}", ttl = "2M""#, BOOK, &[
        (r#""2M""#, r#"`ttl = "2M"`: `M` is not a unit; did you mean `"2m"`?"#),
    ]),
    ("ttl_misspelt", r#"key = "seat:{seat_id}", ttl = "2secconds""#, BOOK, &[
        (r#""2secconds""#, r#"`ttl = "2secconds"`: `secconds` is not a unit; did you mean `"2seconds"`?"#),
    ]),
    ("ttl_in_unknown_units", r#"key = "seat:{seat_id}", ttl = "2 fortnights""#, BOOK, &[
        (r#""2 fortnights""#, r#"`ttl = "2 fortnights"`: `fortnights` is not a unit; the units are `ms`, `s`, `m` (minutes), `h` and `d`"#),
    ]),
    ("ttl_in_words", r#"key = "seat:{seat_id}", ttl = "two seconds""#, BOOK, &[
        (r#""two seconds""#, r#"`ttl = "two seconds"`: `two` has no number before it; write for instance `"2s"`"#),
    ]),
    ("ttl_in_iso_8601", r#"key = "seat:{seat_id}", ttl = "PT2S""#, BOOK, &[
        (r#""PT2S""#, r#"`ttl = "PT2S"`: did you mean `"2s"`?"#),
    ]),
    ("ttl_in_microseconds", r#"key = "seat:{seat_id}", ttl = "500us""#, BOOK, &[
        (r#""500us""#, r#"`ttl = "500us"`: `us` is too fine: whole milliseconds, such as `"20ms"`"#),
    ]),
    ("ttl_negative", r#"key = "seat:{seat_id}", ttl = "-2s""#, BOOK, &[
        (r#""-2s""#, r#"`ttl = "-2s"`: a duration cannot be negative"#),
    ]),
    ("ttl_negative_number", r#"key = "seat:{seat_id}", ttl = -2"#, BOOK, &[
        ("-2", "`ttl` cannot be negative"),
    ]),
    ("ttl_is_true", r#"key = "seat:{seat_id}", ttl = true"#, BOOK, &[
        ("true", r#"`ttl` takes text such as `ttl = "2s"`, or an expression of type `Duration`"#),
    ]),
    ("ttl_is_bytes", r#"key = "seat:{seat_id}", ttl = b"2s""#, BOOK, &[
        (r#"b"2s""#, r#"`ttl` takes text such as `ttl = "2s"`, or an expression of type `Duration`"#),
    ]),
    ("ttl_zero", r#"key = "seat:{seat_id}", ttl = "0s""#, BOOK, &[
        (r#""0s""#, r#"`ttl = "0s"`: a lease that short ends before a server has answered; the shortest is `"10ms"`"#),
    ]),
    ("ttl_too_short", r#"key = "seat:{seat_id}", ttl = "9ms""#, BOOK, &[
        (r#""9ms""#, r#"`ttl = "9ms"`: a lease that short ends before a server has answered; the shortest is `"10ms"`"#),
    ]),
    ("ttl_too_long", r#"key = "seat:{seat_id}", ttl = "24h1ms""#, BOOK, &[
        (r#""24h1ms""#, r#"`ttl = "24h1ms"`: a crashed holder would keep the key that long; the longest is `"24h"`"#),
    ]),
    ("ttl_in_days", r#"key = "seat:{seat_id}", ttl = "2d""#, BOOK, &[
        (r#""2d""#, r#"`ttl = "2d"`: a crashed holder would keep the key that long; the longest is `"24h"`"#),
    ]),
    ("ttl_larger_than_any_number", r#"key = "seat:{seat_id}", ttl = "99999999999999999999999999999999999999999999s""#, BOOK, &[
        (r#""99999999999999999999999999999999999999999999s""#, r#"`ttl = "99999999999999999999999999999999999999999999s"`: the number is too large"#),
    ]),
    ("wait_is_a_number", r#"key = "seat:{seat_id}", ttl = "2s", wait = 5"#, BOOK, &[
        ("5", r#"`wait` takes text with a unit: write `wait = "5s"` or `wait = "5ms"`"#),
    ]),
    ("wait_zero_without_quotes", r#"key = "seat:{seat_id}", ttl = "2s", wait = 0"#, BOOK, &[
        ("0", r#"`wait` takes text: write `wait = "0s"`"#),
    ]),
    ("wait_without_unit", r#"key = "seat:{seat_id}", ttl = "2s", wait = "5""#, BOOK, &[
        (r#""5""#, r#"`wait = "5"`: the unit is missing; did you mean `"5s"` or `"5ms"`?"#),
    ]),
    ("wait_too_long", r#"key = "seat:{seat_id}", ttl = "2s", wait = "25h""#, BOOK, &[
        (r#""25h""#, r#"`wait = "25h"`: no caller waits that long; the longest is `"24h"`"#),
    ]),
    ("wait_is_false", r#"key = "seat:{seat_id}", ttl = "2s", wait = false"#, BOOK, &[
        ("false", r#"`wait` takes text such as `wait = "2s"`, or an expression of type `Duration`"#),
    ]),
];

/// Handlers, managers, names and paths.
#[rustfmt::skip]
const OTHERS: &[Misuse] = &[
    ("on_error_is_a_value", r#"key = "seat:{seat_id}", ttl = "2s", on_error = 0"#, BOOK, &[
        ("0", "`on_error` takes a function of the error: write `on_error = |error| …`, or its path"),
    ]),
    ("on_error_is_text", r#"key = "seat:{seat_id}", ttl = "2s", on_error = "failed""#, BOOK, &[
        (r#""failed""#, "`on_error` takes a function of the error: write `on_error = |error| …`, or its path"),
    ]),
    ("on_error_is_a_call", r#"key = "seat:{seat_id}", ttl = "2s", on_error = Err(e)"#, BOOK, &[
        ("Err(e)", "`on_error` takes a function of the error: write `on_error = |error| …`, or its path"),
    ]),
    ("on_error_without_argument", r#"key = "seat:{seat_id}", ttl = "2s", on_error = || 0"#, BOOK, &[
        ("|| 0", "`on_error` is given the `LockError` and nothing else: write `on_error = |error| …`"),
    ]),
    ("on_error_with_two_arguments", r#"key = "seat:{seat_id}", ttl = "2s", on_error = |a, b| 0"#, BOOK, &[
        ("|a, b| 0", "`on_error` is given the `LockError` and nothing else: write `on_error = |error| …`"),
    ]),
    ("on_error_async", r#"key = "seat:{seat_id}", ttl = "2s", on_error = async |e| 0"#, BOOK, &[
        ("async", "`on_error` is not async: return a value, and await in the caller"),
    ]),
    ("manager_is_text", r#"key = "seat:{seat_id}", ttl = "2s", manager = "payments""#, BOOK, &[
        (r#""payments""#, r#"`manager` takes a manager, not its name: write `manager = lockguard::named("payments")`"#),
    ]),
    ("manager_is_a_number", r#"key = "seat:{seat_id}", ttl = "2s", manager = 1"#, BOOK, &[
        ("1", "`manager` takes a manager, such as `manager = self.locks`"),
    ]),
    ("name_is_a_path", r#"key = "seat:{seat_id}", ttl = "2s", name = booking"#, BOOK, &[
        ("booking", r#"`name` takes text that does not change from call to call: write `name = "…"`"#),
    ]),
    ("name_is_a_number", r#"key = "seat:{seat_id}", ttl = "2s", name = 1"#, BOOK, &[
        ("1", r#"`name` takes text that does not change from call to call: write `name = "…"`"#),
    ]),
    ("name_is_empty", r#"key = "seat:{seat_id}", ttl = "2s", name = """#, BOOK, &[
        (r#""""#, "`name` is what metrics and spans call this lock: write visible text on one line"),
    ]),
    ("name_is_blank", r#"key = "seat:{seat_id}", ttl = "2s", name = " ""#, BOOK, &[
        (r#"" ""#, "`name` is what metrics and spans call this lock: write visible text on one line"),
    ]),
    ("name_with_a_closing_brace", r#"key = "seat:{seat_id}", ttl = "2s", name = "seat_id}""#, BOOK, &[
        (r#""seat_id}""#, "`name` has no placeholders, so that all calls are counted together: remove the braces"),
    ]),
    ("name_with_a_placeholder", r#"key = "seat:{seat_id}", ttl = "2s", name = "seat:{seat_id}""#, BOOK, &[
        (r#""seat:{seat_id}""#, "`name` has no placeholders, so that all calls are counted together: remove the braces"),
    ]),
    ("name_with_a_line_break", r#"key = "seat:{seat_id}", ttl = "2s", name = "a\nb""#, BOOK, &[
        (r#""a\nb""#, "`name` is what metrics and spans call this lock: write visible text on one line"),
    ]),
    ("crate_is_text", r#"key = "seat:{seat_id}", ttl = "2s", crate = "my::lockguard""#, BOOK, &[
        (r#""my::lockguard""#, "`crate` takes a path, not text: write `crate = my::lockguard`"),
    ]),
    ("crate_is_a_call", r#"key = "seat:{seat_id}", ttl = "2s", crate = my()"#, BOOK, &[
        ("my()", "`crate` takes the path where lockguard is: write `crate = my_framework::lockguard`"),
    ]),
    ("crate_is_a_number", r#"key = "seat:{seat_id}", ttl = "2s", crate = 1"#, BOOK, &[
        ("1", "`crate` takes the path where lockguard is: write `crate = my_framework::lockguard`"),
    ]),
];

/// What happens when the key is busy.
#[rustfmt::skip]
const ON_BUSY: &[Misuse] = &[
    ("on_busy_is_a_quoted_skip", r#"key = "k", ttl = "2s", on_busy = "skip""#, BOOK, &[
        (r#""skip""#, "`skip` is a word, not text: write `on_busy = skip`"),
    ]),
    ("on_busy_is_a_quoted_error", r#"key = "k", ttl = "2s", on_busy = "error""#, BOOK, &[
        (r#""error""#, "`error` is a word, not text: write `on_busy = error`"),
    ]),
    ("on_busy_misspelt", r#"key = "k", ttl = "2s", on_busy = skp"#, BOOK, &[
        ("skp", "`on_busy = skp` is not known here; did you mean `on_busy = skip`?"),
    ]),
    ("on_busy_is_ignore", r#"key = "k", ttl = "2s", on_busy = ignore"#, BOOK, &[
        ("ignore", "`on_busy = ignore` is not known here; did you mean `on_busy = skip`?"),
    ]),
    ("on_busy_is_fail", r#"key = "k", ttl = "2s", on_busy = fail"#, BOOK, &[
        ("fail", "`on_busy = fail` is not known here; did you mean `on_busy = error`?"),
    ]),
    ("on_busy_is_wait", r#"key = "k", ttl = "2s", on_busy = wait"#, BOOK, &[
        ("wait", r#"`on_busy = wait` is not known here; how long to queue is said by `wait = "5s"`, without `on_busy`"#),
    ]),
    ("on_busy_is_retry", r#"key = "k", ttl = "2s", on_busy = retry"#, BOOK, &[
        ("retry", r#"`on_busy = retry` is not known here; how long to queue is said by `wait = "5s"`, without `on_busy`"#),
    ]),
    ("on_busy_in_parentheses_misspelt", r#"key = "k", ttl = "2s", on_busy = (eror)"#, BOOK, &[
        ("(eror)", "`on_busy = eror` is not known here; did you mean `on_busy = error`?"),
    ]),
    ("on_busy_is_a_closure", r#"key = "k", ttl = "2s", on_busy = |_| Ok(())"#, BOOK, &[
        ("|_| Ok(())", "`on_busy` takes what the function returns, not a function: write `on_busy = Ok(…)`, or `on_error = |error| …` and ask `error.is_busy()`"),
    ]),
    ("on_busy_is_a_return", r#"key = "k", ttl = "2s", on_busy = return Ok(())"#, BOOK, &[
        ("return Ok(())", "`on_busy` takes the value that the function returns: leave out `return`"),
    ]),
    ("on_busy_without_value", r#"key = "k", ttl = "2s", on_busy"#, BOOK, &[
        ("on_busy", "`on_busy` has no value: write `on_busy = skip`"),
    ]),
    ("on_busy_in_parentheses", r#"key = "k", ttl = "2s", on_busy(skip)"#, BOOK, &[
        ("on_busy", "`on_busy` takes its value after `=`, not in parentheses: write `on_busy = skip`"),
    ]),
    ("on_busy_after_a_colon", r#"key = "k", ttl = "2s", on_busy: skip"#, BOOK, &[
        ("on_busy", "`on_busy` takes its value after `=`, not `:`: write `on_busy = skip`"),
    ]),
    ("on_busy_twice", r#"key = "k", ttl = "2s", on_busy = skip, on_busy = error"#, BOOK, &[
        ("on_busy", "`on_busy` is given twice: remove one"),
    ]),
    ("nowait_flag", r#"key = "k", ttl = "2s", nowait"#, BOOK, &[
        ("nowait", "`nowait` is called `on_busy` here: write `on_busy = skip`"),
    ]),
];

/// Several keys.
#[rustfmt::skip]
const LISTS: &[Misuse] = &[
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

/// How long a lock is kept.
#[rustfmt::skip]
const HOLDS: &[Misuse] = &[
    ("max_hold_shorter_than_ttl", r#"key = "k", ttl = "2s", max_hold = "1999ms""#, BOOK, &[
        (r#""1999ms""#, r#"`max_hold` is how long a lease is renewed, and a lease lasts the `ttl` of 2s: write `max_hold = "2s"` or more, or remove it"#),
    ]),
    ("max_hold_before_a_longer_ttl", r#"key = "k", max_hold = "1s", ttl = "1m30s""#, BOOK, &[
        (r#""1s""#, r#"`max_hold` is how long a lease is renewed, and a lease lasts the `ttl` of 1m30s: write `max_hold = "1m30s"` or more, or remove it"#),
    ]),
    ("min_hold_longer_than_ttl", r#"key = "k", ttl = "2s", min_hold = "2001ms""#, BOOK, &[
        (r#""2001ms""#, r#"`min_hold` is longer than `ttl`, when an unrenewed lock is free: write `ttl = "2s1ms"` or more, or `max_hold = "2s1ms"` to renew the lease"#),
    ]),
    ("min_hold_longer_than_max_hold", r#"key = "k", ttl = "2s", max_hold = "10s", min_hold = "11s""#, BOOK, &[
        (r#""11s""#, r#"`min_hold` is longer than `max_hold`, after which no lock is kept: write `min_hold = "10s"` or less"#),
    ]),
    ("min_hold_too_long_for_both", r#"key = "k", ttl = "5s", max_hold = "2s", min_hold = "11s""#, BOOK, &[
        (r#""2s""#, r#"`max_hold` is how long a lease is renewed, and a lease lasts the `ttl` of 5s: write `max_hold = "5s"` or more, or remove it"#),
        (r#""11s""#, r#"`min_hold` is longer than `max_hold`, after which no lock is kept: write `min_hold = "2s"` or less"#),
    ]),
    ("min_hold_beside_a_broken_max_hold", r#"key = "k", ttl = "2s", max_hold = 5, min_hold = "4s""#, BOOK, &[
        ("5", r#"`max_hold` takes text with a unit: write `max_hold = "5s"` or `max_hold = "5ms"`"#),
    ]),
    ("max_hold_zero", r#"key = "k", ttl = TTL, max_hold = "0s""#, BOOK, &[
        (r#""0s""#, r#"`max_hold = "0s"`: a lease that short ends before a server has answered; the shortest is `"10ms"`"#),
    ]),
    ("max_hold_for_years", r#"key = "k", ttl = "2s", max_hold = "366d""#, BOOK, &[
        (r#""366d""#, r#"`max_hold = "366d"`: no body runs that long; the longest is `"365d"`"#),
    ]),
    ("max_hold_is_true", r#"key = "k", ttl = "2s", max_hold = true"#, BOOK, &[
        ("true", r#"`max_hold` takes text such as `max_hold = "2s"`, or an expression of type `Duration`"#),
    ]),
    ("max_hold_without_quotes", r#"key = "k", ttl = "2s", max_hold = 1m"#, BOOK, &[
        ("1m", r#"`max_hold` takes text: write `max_hold = "1m"`"#),
    ]),
    ("max_hold_without_value", r#"key = "k", ttl = "2s", max_hold"#, BOOK, &[
        ("max_hold", r#"`max_hold` has no value: write `max_hold = "1m"`"#),
    ]),
    ("min_hold_zero", r#"key = "k", ttl = "2s", min_hold = "0s""#, BOOK, &[
        (r#""0s""#, r#"`min_hold = "0s"`: the lock is kept as long as its body anyway: remove it"#),
    ]),
    ("min_hold_without_unit", r#"key = "k", ttl = "2s", min_hold = "1""#, BOOK, &[
        (r#""1""#, r#"`min_hold = "1"`: the unit is missing; did you mean `"1s"` or `"1ms"`?"#),
    ]),
    ("min_hold_negative", r#"key = "k", ttl = "2s", min_hold = "-1s""#, BOOK, &[
        (r#""-1s""#, r#"`min_hold = "-1s"`: a duration cannot be negative"#),
    ]),
    ("min_hold_for_years", r#"key = "k", ttl = TTL, min_hold = "400d""#, BOOK, &[
        (r#""400d""#, r#"`min_hold = "400d"`: no lock is kept that long; the longest is `"365d"`"#),
    ]),
    ("max_hold_twice", r#"key = "k", ttl = "2s", max_hold = "3s", max_hold = "4s""#, BOOK, &[
        ("max_hold", "`max_hold` is given twice: remove one"),
    ]),
];

/// What happens when the lease is lost.
#[rustfmt::skip]
const ON_LOST: &[Misuse] = &[
    ("on_lost_is_a_quoted_finish", r#"key = "k", ttl = "2s", on_lost = "finish""#, BOOK, &[
        (r#""finish""#, "`finish` is a word, not text: write `on_lost = finish`"),
    ]),
    ("on_lost_is_a_quoted_cancel", r#"key = "k", ttl = "2s", on_lost = "cancel""#, BOOK, &[
        (r#""cancel""#, "`cancel` is a word, not text: write `on_lost = cancel`"),
    ]),
    ("on_lost_misspelt", r#"key = "k", ttl = "2s", on_lost = finsh"#, BOOK, &[
        ("finsh", "`on_lost = finsh` is not known here; did you mean `on_lost = finish`?"),
    ]),
    ("on_lost_is_another_word", r#"key = "k", ttl = "2s", on_lost = abort"#, BOOK, &[
        ("abort", "`on_lost` takes a word: write `on_lost = cancel` to drop the body when its lease is lost, or `on_lost = finish` to let it end"),
    ]),
    ("on_lost_is_a_closure", r#"key = "k", ttl = "2s", on_lost = |cause| ()"#, BOOK, &[
        ("|cause| ()", "`on_lost` takes a word: write `on_lost = cancel` to drop the body when its lease is lost, or `on_lost = finish` to let it end"),
    ]),
    ("on_lost_is_a_variant", r#"key = "k", ttl = "2s", on_lost = OnLost::Finish"#, BOOK, &[
        ("OnLost::Finish", "`on_lost` takes a word: write `on_lost = cancel` to drop the body when its lease is lost, or `on_lost = finish` to let it end"),
    ]),
    ("on_lost_is_other_text", r#"key = "k", ttl = "2s", on_lost = "stop""#, BOOK, &[
        (r#""stop""#, "`on_lost` takes a word: write `on_lost = cancel` to drop the body when its lease is lost, or `on_lost = finish` to let it end"),
    ]),
    ("on_lost_without_value", r#"key = "k", ttl = "2s", on_lost"#, BOOK, &[
        ("on_lost", "`on_lost` has no value: write `on_lost = finish`"),
    ]),
];

/// Variables for the body.
#[rustfmt::skip]
const BINDINGS: &[Misuse] = &[
    ("bind_is_text", r#"key = "k", ttl = "2s", bind = "lease""#, BOOK, &[
        (r#""lease""#, "`bind` takes a name, not text: write `bind = lease`"),
    ]),
    ("bind_is_text_that_is_no_name", r#"key = "k", ttl = "2s", bind = "the lease""#, BOOK, &[
        (r#""the lease""#, "`bind` takes the name of a new variable: write `bind = lease`"),
    ]),
    ("bind_is_an_argument", r#"key = "k", ttl = "2s", bind = user"#, BOOK, &[
        ("user", "`user` is an argument of `book`, and the body could not use it any more: choose another name, such as `bind = lease`"),
    ]),
    ("bind_is_an_argument_called_lease", r#"key = "k", ttl = "2s", bind = lease"#, "async fn f(lease: u8) -> R {}", &[
        ("lease", "`lease` is an argument of `f`, and the body could not use it any more: choose another name, such as `bind = held_lease`"),
    ]),
    ("bind_is_in_a_pattern", r#"key = "k", ttl = "2s", bind = b"#, "async fn f((a, b): (u8, u8)) -> R {}", &[
        ("b", "`b` is an argument of `f`, and the body could not use it any more: choose another name, such as `bind = lease`"),
    ]),
    ("bind_is_self", r#"key = "k", ttl = "2s", bind = self"#, BOOK, &[
        ("self", "`bind` takes the name of a new variable: write `bind = lease`"),
    ]),
    ("bind_is_a_type", r#"key = "k", ttl = "2s", bind = Lease"#, BOOK, &[
        ("Lease", "`bind` takes the name of a new variable: write `bind = lease`"),
    ]),
    ("bind_is_a_path", r#"key = "k", ttl = "2s", bind = lockguard::lease"#, BOOK, &[
        ("lockguard::lease", "`bind` takes the name of a new variable: write `bind = lease`"),
    ]),
    ("bind_is_an_underscore", r#"key = "k", ttl = "2s", bind = _"#, BOOK, &[
        ("_", "`bind` without a name binds nothing: write `bind = lease`, or remove it"),
    ]),
    ("bind_is_a_closure", r#"key = "k", ttl = "2s", bind = |lease| lease"#, BOOK, &[
        ("|lease| lease", "`bind` takes the name of a new variable: write `bind = lease`"),
    ]),
    ("bind_is_a_number", r#"key = "k", ttl = "2s", bind = 1"#, BOOK, &[
        ("1", "`bind` takes the name of a new variable: write `bind = lease`"),
    ]),
    ("bind_is_true", r#"key = "k", ttl = "2s", bind = true"#, BOOK, &[
        ("true", "`bind` takes the name of a new variable: write `bind = lease`"),
    ]),
    ("bind_is_a_keyword", r#"key = "k", ttl = "2s", bind = type"#, BOOK, &[
        ("type", "`bind` is not understood: write `bind = lease` (expected an expression)"),
    ]),
    ("bind_without_value", r#"key = "k", ttl = "2s", bind"#, BOOK, &[
        ("bind", "`bind` has no value: write `bind = lease`"),
    ]),
    ("bind_in_parentheses", r#"key = "k", ttl = "2s", bind(lease)"#, BOOK, &[
        ("bind", "`bind` takes its value after `=`, not in parentheses: write `bind = lease`"),
    ]),
    ("fence_is_text", r#"key = "k", ttl = "2s", fence = "token""#, BOOK, &[
        (r#""token""#, "`fence` takes a name, not text: write `fence = token`"),
    ]),
    ("fence_is_an_argument", r#"key = "k", ttl = "2s", fence = user"#, BOOK, &[
        ("user", "`user` is an argument of `book`, and the body could not use it any more: choose another name, such as `fence = token`"),
    ]),
    ("fence_is_an_argument_called_token", r#"key = "k", ttl = "2s", fence = token"#, "async fn f(token: u8) -> R {}", &[
        ("token", "`token` is an argument of `f`, and the body could not use it any more: choose another name, such as `fence = held_token`"),
    ]),
    ("fence_is_true", r#"key = "k", ttl = "2s", fence = true"#, BOOK, &[
        ("true", "`fence` takes the name of a new variable: write `fence = token`"),
    ]),
    ("fence_is_a_type", r#"key = "k", ttl = "2s", fence = FencingToken"#, BOOK, &[
        ("FencingToken", "`fence` takes the name of a new variable: write `fence = token`"),
    ]),
    ("fence_is_an_underscore", r#"key = "k", ttl = "2s", fence = _"#, BOOK, &[
        ("_", "`fence` without a name binds nothing: write `fence = token`, or remove it"),
    ]),
    ("fence_is_the_lease", r#"key = "k", ttl = "2s", bind = held, fence = held"#, BOOK, &[
        ("held", "`bind` and `fence` are two things, and `held` names one: write `fence = held_token`"),
    ]),
    ("fence_flag", r#"key = "k", ttl = "2s", fence"#, BOOK, &[
        ("fence", "`fence` has no value: write `fence = token`"),
    ]),
    ("bind_and_fence_are_arguments", r#"key = "k", ttl = "2s", bind = user, fence = seat_id"#, BOOK, &[
        ("user", "`user` is an argument of `book`, and the body could not use it any more: choose another name, such as `bind = lease`"),
        ("seat_id", "`seat_id` is an argument of `book`, and the body could not use it any more: choose another name, such as `fence = token`"),
    ]),
    ("bind_is_an_argument_as_a_raw_identifier", r#"key = "k", ttl = "2s", bind = r#user"#, BOOK, &[
        ("r#user", "`r#user` is an argument of `book`, and the body could not use it any more: choose another name, such as `bind = lease`"),
    ]),
    ("bind_is_super", r#"key = "k", ttl = "2s", bind = super"#, BOOK, &[
        ("super", "`bind` takes the name of a new variable: write `bind = lease`"),
    ]),
    ("bind_with_an_attribute", r#"key = "k", ttl = "2s", bind = #[cfg(test)] lease"#, BOOK, &[
        ("#[cfg(test)] lease", "`bind` takes the name of a new variable: write `bind = lease`"),
    ]),
    ("bind_twice", r#"key = "k", ttl = "2s", bind = a, bind = b"#, BOOK, &[
        ("bind", "`bind` is given twice: remove one"),
    ]),
];

/// What the attribute stands on.
#[rustfmt::skip]
const TARGETS: &[Misuse] = &[
    ("function_is_not_async", r#"key = "seat:{seat_id}", ttl = "2s""#, "fn book(seat_id: u64) -> Result<(), LockError> { Ok(()) }", &[
        ("fn", "`book` is not async, and taking a lock waits: write `async fn book`; blocking code calls it as `handle.block_on(book(…))`, where `handle` is a `tokio::runtime::Handle`"),
    ]),
    ("method_is_not_async", r#"key = "seat:{seat_id}", ttl = "2s""#, "pub fn book(&self, seat_id: u64) {}", &[
        ("fn", "`book` is not async, and taking a lock waits: write `async fn book`; blocking code calls it as `handle.block_on(book(…))`, where `handle` is a `tokio::runtime::Handle`"),
    ]),
    ("const_function", r#"ttl = "2s", key = "k""#, "const fn f() {}", &[
        ("const", "`f` is const, and a lock is taken at run time: remove `const`"),
    ]),
    ("const_async_function", r#"ttl = "2s", key = "k""#, "const async fn f() {}", &[
        ("const", "`f` is const, and a lock is taken at run time: remove `const`"),
    ]),
    ("const_extern_function", r#"ttl = "2s", key = "k""#, r#"const extern "C" fn f() {}"#, &[
        ("const", "`f` is const, and a lock is taken at run time: remove `const`"),
        (r#"extern "C""#, "`f` is called from another language, which cannot await it: lock an async function that it calls"),
    ]),
    ("extern_function", r#"ttl = "2s", key = "k""#, r#"extern "C" fn f() {}"#, &[
        (r#"extern "C""#, "`f` is called from another language, which cannot await it: lock an async function that it calls"),
    ]),
    ("async_extern_function", r#"ttl = "2s", key = "k""#, r#"pub async extern "C" fn f() {}"#, &[
        (r#"extern "C""#, "`f` is called from another language, which cannot await it: lock an async function that it calls"),
    ]),
    ("variadic_function", r#"ttl = "2s", key = "k""#, r#"unsafe extern "C" fn f(a: u8, ...) {}"#, &[
        (r#"extern "C""#, "`f` is called from another language, which cannot await it: lock an async function that it calls"),
    ]),
    ("variadic_function_without_abi", r#"ttl = "2s", key = "k""#, "async unsafe fn f(a: u8, ...) {}", &[
        ("...", "`f` takes any number of arguments, which an async function cannot"),
    ]),
    ("no_body", r#"ttl = "2s", key = "k""#, "async fn f(&self) -> R;", &[
        ("f", "`f` has no body to run under the lock: give it one here, or put the attribute on the function that has it"),
    ]),
    ("no_body_after_async_trait", r#"ttl = "2s", key = "k""#, "fn f<'a>(&'a self) -> Pin<Box<dyn Future<Output = R> + Send + 'a>>;", &[
        ("f", "`f` has no body to run under the lock: give it one here, or put the attribute on the function that has it"),
    ]),
    ("never_returns", r#"ttl = "2s", key = "k""#, "async fn f() -> ! { loop {} }", &[
        ("!", "`f` never returns, so its lock would never be released: lock one round of its loop, in a function of its own"),
    ]),
    ("main_itself", r#"ttl = "2s", key = "k""#, "async fn main() -> R {}", &[
        ("main", "`main` registers the lock manager, so it cannot run under a lock: lock a function that it calls"),
    ]),
    ("main_below_tokio_main", r#"ttl = "2s", key = "k""#, "fn main() -> R { let body = async {}; runtime.block_on(body) }", &[
        ("main", "`main` registers the lock manager, so it cannot run under a lock: lock a function that it calls"),
    ]),
    ("below_tokio_main", r#"ttl = "2s", key = "k""#, "fn run() -> R { let body = async {}; runtime.block_on(body) }", &[
        ("run", "`run` blocks on its future: put `#[distributed_lock]` above `#[tokio::main]` or `#[tokio::test]`, or on the async function that `block_on` is given"),
    ]),
    ("below_tokio_test", r#"ttl = "2s", key = "k""#, "#[::core::prelude::v1::test] fn run() -> R { let body = async {}; runtime.block_on(body) }", &[
        ("#[::core::prelude::v1::test]", "the test attribute has made `run` a function that is not async: put `#[distributed_lock]` above it"),
    ]),
    ("future_made_elsewhere", r#"ttl = "2s", key = "k""#, "fn f() -> impl Future<Output = R> + Send { make() }", &[
        ("-> impl Future<Output = R> + Send", "`f` returns a future that it does not end with: end its body with `async move { … }` or `Box::pin(async move { … })`, which then runs under the lock"),
    ]),
    ("boxed_future_made_elsewhere", r#"ttl = "2s", key = "k""#, "fn f() -> Pin<Box<dyn Future<Output = R>>> { let x = async {}; Box::pin(x) }", &[
        ("-> Pin<Box<dyn Future<Output = R>>>", "`f` returns a future that it does not end with: end its body with `async move { … }` or `Box::pin(async move { … })`, which then runs under the lock"),
    ]),
    ("future_returned_early", r#"ttl = "2s", key = "k""#, "fn f(a: u8) -> BoxFuture<'static, R> { if a - 1 == 0 || a > 9 { return Box::pin(async { 0 }); } Box::pin(async move { 1 }) }", &[
        ("return", "a future that is returned here runs without the lock: decide inside the `async` block at the end"),
    ]),
    ("future_returned_early_after_a_number", r#"ttl = "2s", key = "k""#, "fn f(a: u8) -> BoxFuture<'static, R> { if a == 8 | 1 { return Box::pin(async { 0 }); } Box::pin(async move { 1 }) }", &[
        ("return", "a future that is returned here runs without the lock: decide inside the `async` block at the end"),
    ]),
    ("future_returned_early_by_an_arm_of_numbers", r#"ttl = "2s", key = "k""#, "fn f(a: i8) -> BoxFuture<'static, R> { match a { 1 | -1 => { return Box::pin(async { 0 }); } _ => {} } Box::pin(async move { 1 }) }", &[
        ("return", "a future that is returned here runs without the lock: decide inside the `async` block at the end"),
    ]),
    ("future_returned_early_by_a_negated_number", r#"ttl = "2s", key = "k""#, "fn f(a: i8) -> BoxFuture<'static, R> { if a == 1 || -a == 2 { return Box::pin(async { 0 }); } Box::pin(async move { 1 }) }", &[
        ("return", "a future that is returned here runs without the lock: decide inside the `async` block at the end"),
    ]),
    ("future_returned_early_by_an_arm_that_begins_with_an_or", r#"ttl = "2s", key = "k""#, "fn f(a: i8) -> BoxFuture<'static, R> { match a { | 1 => { return Box::pin(async { 0 }); } _ => {} } Box::pin(async move { 1 }) }", &[
        ("return", "a future that is returned here runs without the lock: decide inside the `async` block at the end"),
    ]),
    ("future_returned_early_behind_a_closure", r#"ttl = "2s", key = "k""#, "fn f(a: i8) -> BoxFuture<'static, R> { if b.any(|c, d| c) || c()? || d { return Box::pin(async { 0 }); } Box::pin(async move { 1 }) }", &[
        ("return", "a future that is returned here runs without the lock: decide inside the `async` block at the end"),
    ]),
    ("future_returned_early_behind_a_closure_in_a_let", r#"ttl = "2s", key = "k""#, "fn f(a: i8) -> BoxFuture<'static, R> { let b = |c| c + 1; if a == 1 { return Box::pin(async { 0 }); } Box::pin(async move { 1 }) }", &[
        ("return", "a future that is returned here runs without the lock: decide inside the `async` block at the end"),
    ]),
    ("future_returned_early_behind_a_closure_with_a_type", r#"ttl = "2s", key = "k""#, "fn f(a: i8) -> BoxFuture<'static, R> { let c = (a, |b| -> A { 1 }); let b = |b| -> A { 1 }; if a == 1 { return Box::pin(async { 0 }); } Box::pin(async move { 1 }) }", &[
        ("return", "a future that is returned here runs without the lock: decide inside the `async` block at the end"),
    ]),
    ("future_returned_early_behind_a_closure_of_an_arm", r#"ttl = "2s", key = "k""#, "fn f(a: i8) -> BoxFuture<'static, R> { let b = match a { 1 => |c| { 1 }, _ => return Box::pin(async { 0 }) }; Box::pin(async move { 1 }) }", &[
        ("return", "a future that is returned here runs without the lock: decide inside the `async` block at the end"),
    ]),
    ("future_returned_early_behind_a_function_in_a_block", r#"ttl = "2s", key = "k""#, "fn f(a: i8) -> BoxFuture<'static, R> { { fn g() {} if a == 1 { return Box::pin(async { 0 }); } } Box::pin(async move { 1 }) }", &[
        ("return", "a future that is returned here runs without the lock: decide inside the `async` block at the end"),
    ]),
    ("future_returned_early_behind_a_type_of_functions", r#"ttl = "2s", key = "k""#, "fn f(a: i8) -> BoxFuture<'static, R> { let b: fn(u8) = if a == 1 { return Box::pin(async { 0 }); } else { c }; Box::pin(async move { 1 }) }", &[
        ("return", "a future that is returned here runs without the lock: decide inside the `async` block at the end"),
    ]),
    ("future_returned_early_behind_an_async_closure", r#"ttl = "2s", key = "k""#, "fn f(a: i8) -> BoxFuture<'static, R> { { let b = (async || 1, { return Box::pin(async { 0 }); }); } Box::pin(async move { 1 }) }", &[
        ("return", "a future that is returned here runs without the lock: decide inside the `async` block at the end"),
    ]),
    ("future_pinned_with_something_else", r#"ttl = "2s", key = "k""#, "fn f() -> BoxFuture<'static, R> { pin(span, async move { 1 }) }", &[
        ("-> BoxFuture<'static, R>", "`f` returns a future that it does not end with: end its body with `async move { … }` or `Box::pin(async move { … })`, which then runs under the lock"),
    ]),
    ("future_boxed_with_something_else", r#"ttl = "2s", key = "k""#, "fn f() -> BoxFuture<'static, R> { async move { 1 }.boxed(arena) }", &[
        ("-> BoxFuture<'static, R>", "`f` returns a future that it does not end with: end its body with `async move { … }` or `Box::pin(async move { … })`, which then runs under the lock"),
    ]),
    ("struct_item", r#"ttl = "2s", key = "k""#, "pub struct Seat { id: u64 }", &[
        ("struct", "`#[distributed_lock]` goes on an async function, not on a struct"),
    ]),
    ("enum_item", r#"ttl = "2s", key = "k""#, "enum Seat { A }", &[
        ("enum", "`#[distributed_lock]` goes on an async function, not on an enum"),
    ]),
    ("union_item", r#"ttl = "2s", key = "k""#, "union Seat { a: u8 }", &[
        ("union", "`#[distributed_lock]` goes on an async function, not on a union"),
    ]),
    ("trait_item", r#"ttl = "2s", key = "k""#, "pub trait Seat { async fn f(); }", &[
        ("trait", "`#[distributed_lock]` goes on an async function, not on a trait: put it on each method that needs the lock"),
    ]),
    ("unsafe_trait_item", r#"ttl = "2s", key = "k""#, "unsafe trait Seat {}", &[
        ("unsafe", "`#[distributed_lock]` goes on an async function, not on a trait: put it on each method that needs the lock"),
    ]),
    ("impl_item", r#"ttl = "2s", key = "k""#, "impl Seat { async fn f() {} }", &[
        ("impl", "`#[distributed_lock]` goes on an async function, not on an impl block: put it on each method that needs the lock"),
    ]),
    ("unsafe_impl_item", r#"ttl = "2s", key = "k""#, "unsafe impl Seat for A {}", &[
        ("unsafe", "`#[distributed_lock]` goes on an async function, not on an impl block: put it on each method that needs the lock"),
    ]),
    ("module_item", r#"ttl = "2s", key = "k""#, "mod seats { }", &[
        ("mod", "`#[distributed_lock]` goes on an async function, not on a module"),
    ]),
    ("static_item", r#"ttl = "2s", key = "k""#, "static SEAT: u8 = 1;", &[
        ("static", "`#[distributed_lock]` goes on an async function, not on a static"),
    ]),
    ("constant_item", r#"ttl = "2s", key = "k""#, "const SEAT: u8 = 1;", &[
        ("const", "`#[distributed_lock]` goes on an async function, not on a constant"),
    ]),
    ("type_item", r#"ttl = "2s", key = "k""#, "type Seat = u8;", &[
        ("type", "`#[distributed_lock]` goes on an async function, not on a type alias"),
    ]),
    ("use_item", r#"ttl = "2s", key = "k""#, "use seats::Seat;", &[
        ("use", "`#[distributed_lock]` goes on an async function, not on an import"),
    ]),
    ("macro_item", r#"ttl = "2s", key = "k""#, "macro_rules! seat { () => {} }", &[
        ("macro_rules", "`#[distributed_lock]` goes on an async function, not on a macro"),
    ]),
    ("extern_block_item", r#"ttl = "2s", key = "k""#, r#"extern "C" { fn f(); }"#, &[
        ("extern", "`#[distributed_lock]` goes on an async function, not on an extern block"),
    ]),
    ("extern_crate_item", r#"ttl = "2s", key = "k""#, "extern crate seat;", &[
        ("extern", "`#[distributed_lock]` goes on an async function, not on an extern crate"),
    ]),
    ("closure", r#"ttl = "2s", key = "k""#, "async |x| x", &[
        ("async", "`#[distributed_lock]` goes on an async function, not on an expression: move the code into a function, or use `manager.lock(key, ttl).run(async |_| { … })`"),
    ]),
    ("plain_closure", r#"ttl = "2s", key = "k""#, "|x| x", &[
        ("|", "`#[distributed_lock]` goes on an async function, not on an expression: move the code into a function, or use `manager.lock(key, ttl).run(async |_| { … })`"),
    ]),
    ("block", r#"ttl = "2s", key = "k""#, "{ let x = 1; }", &[
        ("{", "`#[distributed_lock]` goes on an async function, not on an expression: move the code into a function, or use `manager.lock(key, ttl).run(async |_| { … })`"),
    ]),
    ("async_block", r#"ttl = "2s", key = "k""#, "async move { 1 }", &[
        ("async", "`#[distributed_lock]` goes on an async function, not on an expression: move the code into a function, or use `manager.lock(key, ttl).run(async |_| { … })`"),
    ]),
    ("statement", r#"ttl = "2s", key = "k""#, "let x = 1;", &[
        ("let", "`#[distributed_lock]` goes on an async function, not on a statement: move the code into a function, or use `manager.lock(key, ttl).run(async |_| { … })`"),
    ]),
    ("call", r#"ttl = "2s", key = "k""#, "book(1).await", &[
        ("book", "`#[distributed_lock]` goes on an async function, not on an expression: move the code into a function, or use `manager.lock(key, ttl).run(async |_| { … })`"),
    ]),
    ("mistakes_in_the_function_and_in_the_options", r#"key = "seat:{seatid}", ttl = "2""#, "const fn f(seat_id: u64) -> ! {}", &[
        ("const", "`f` is const, and a lock is taken at run time: remove `const`"),
        ("!", "`f` never returns, so its lock would never be released: lock one round of its loop, in a function of its own"),
        (r#""2""#, r#"`ttl = "2"`: the unit is missing; did you mean `"2s"` or `"2ms"`?"#),
        (r#""seat:{seatid}""#, "`key`: `seatid` is not an argument of `f`; did you mean `seat_id`?"),
    ]),
];

fn answers(options: &str, item: &str) -> Vec<(String, String)> {
    let options: TokenStream = options.parse().expect("the options are tokens");
    let item: TokenStream = item.parse().expect("the item is tokens");
    let mut errors = Errors::default();
    let target = Target::parse(&item, &mut errors);
    let arguments = Arguments::parse(options, &mut errors);
    let _model = Model::check(arguments, target, &mut errors);
    underlined(&errors)
}

fn underlined(errors: &Errors) -> Vec<(String, String)> {
    errors
        .iter()
        .map(|error| {
            let underlined = error.span().source_text().unwrap_or_default();
            (underlined, error.to_string())
        })
        .collect()
}

fn assert_answered(misuses: &[Misuse]) {
    let mut wrong = Vec::new();
    for (name, options, item, expected) in misuses {
        let answers = answers(options, item);
        let answers: Vec<(&str, &str)> = answers
            .iter()
            .map(|(underlined, message)| (underlined.as_str(), message.as_str()))
            .collect();
        if answers != *expected {
            wrong.push(format!("{name}: expected {expected:#?}, got {answers:#?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn mistakes_in_options_are_answered() {
    assert_answered(OPTIONS);
}

#[test]
fn names_of_other_libraries_are_answered() {
    assert_answered(FOREIGN_NAMES);
}

#[test]
fn keys_that_cannot_be_locked_are_answered() {
    assert_answered(KEYS);
}

#[test]
fn durations_that_make_no_sense_are_answered() {
    assert_answered(DURATIONS);
}

#[test]
fn values_of_a_wrong_kind_are_answered() {
    assert_answered(OTHERS);
}

#[test]
fn answers_to_a_busy_key_that_make_no_sense_are_answered() {
    assert_answered(ON_BUSY);
}

#[test]
fn lists_that_cannot_be_locked_are_answered() {
    assert_answered(LISTS);
}

#[test]
fn times_that_contradict_each_other_are_answered() {
    assert_answered(HOLDS);
}

#[test]
fn answers_to_a_lost_lease_that_make_no_sense_are_answered() {
    assert_answered(ON_LOST);
}

#[test]
fn names_that_cannot_be_bound_are_answered() {
    assert_answered(BINDINGS);
}

#[test]
fn items_that_cannot_be_locked_are_answered() {
    assert_answered(TARGETS);
}

#[test]
fn a_text_longer_than_a_key_is_answered() {
    let too_long = "k".repeat(513);
    let options = format!("key = \"{too_long}\", ttl = \"2s\"");
    let message = "`key`: a key has at most 512 bytes, and this text has 513";
    assert_eq!(
        answers(&options, BOOK),
        [(format!("\"{too_long}\""), message.to_owned())]
    );
}

#[test]
fn a_text_as_long_as_a_key_is_accepted() {
    let longest = "k".repeat(511);
    let options = format!("key = \"{longest}:{{seat_id}}\", ttl = \"2s\"");
    assert_eq!(answers(&options, BOOK), []);
}

#[test]
fn each_misuse_has_a_name_of_its_own() {
    let all = [
        OPTIONS,
        FOREIGN_NAMES,
        KEYS,
        DURATIONS,
        OTHERS,
        LISTS,
        HOLDS,
        ON_LOST,
        ON_BUSY,
        BINDINGS,
        TARGETS,
    ]
    .concat();
    let mut names: Vec<&str> = all.iter().map(|(name, ..)| *name).collect();
    names.sort_unstable();
    let count = names.len();
    names.dedup();
    assert_eq!(names.len(), count);
}

/// What stands under the attribute is given back as it was.
#[test]
fn a_function_with_a_mistake_is_emitted_untouched() {
    let item: TokenStream = BOOK.parse().expect("the item is tokens");
    let options: TokenStream = "ttl = \"2\"".parse().expect("the options are tokens");
    let emitted = crate::expand(options, &item).to_string();
    assert!(emitted.ends_with(&item.to_string()), "{emitted}");
    assert_eq!(emitted.matches("compile_error").count(), 2, "{emitted}");
}
