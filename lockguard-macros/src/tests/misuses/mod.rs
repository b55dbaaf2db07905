//! Each misuse has its own answer, and the answer its place.

mod bindings;
mod durations;
mod foreign_names;
mod holds;
mod keys;
mod lists;
mod on_busy;
mod on_lost;
mod options;
mod others;
mod targets;

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
    assert_answered(options::MISUSES);
}

#[test]
fn names_of_other_libraries_are_answered() {
    assert_answered(foreign_names::MISUSES);
}

#[test]
fn keys_that_cannot_be_locked_are_answered() {
    assert_answered(keys::MISUSES);
}

#[test]
fn durations_that_make_no_sense_are_answered() {
    assert_answered(durations::MISUSES);
}

#[test]
fn values_of_a_wrong_kind_are_answered() {
    assert_answered(others::MISUSES);
}

#[test]
fn answers_to_a_busy_key_that_make_no_sense_are_answered() {
    assert_answered(on_busy::MISUSES);
}

#[test]
fn lists_that_cannot_be_locked_are_answered() {
    assert_answered(lists::MISUSES);
}

#[test]
fn times_that_contradict_each_other_are_answered() {
    assert_answered(holds::MISUSES);
}

#[test]
fn answers_to_a_lost_lease_that_make_no_sense_are_answered() {
    assert_answered(on_lost::MISUSES);
}

#[test]
fn names_that_cannot_be_bound_are_answered() {
    assert_answered(bindings::MISUSES);
}

#[test]
fn items_that_cannot_be_locked_are_answered() {
    assert_answered(targets::MISUSES);
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
        options::MISUSES,
        foreign_names::MISUSES,
        keys::MISUSES,
        durations::MISUSES,
        others::MISUSES,
        lists::MISUSES,
        holds::MISUSES,
        on_lost::MISUSES,
        on_busy::MISUSES,
        bindings::MISUSES,
        targets::MISUSES,
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
