//! What a locked function becomes, as text that fits on a screen.
//!
//! `LOCKGUARD_BLESS=1 cargo test -p lockguard-macros` writes the expansions
//! anew; read each difference before you commit it.

use std::{env, fs, path::PathBuf};

use proc_macro2::TokenStream;
use quote::ToTokens;

use crate::expand;

/// Compares `<name>.rs` with `<name>.expanded.rs`.
fn check(name: &str) {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/tests/expansions");
    let input = directory.join(format!("{name}.rs"));
    let output = directory.join(format!("{name}.expanded.rs"));

    let source = fs::read_to_string(&input).expect("the input is there");
    let expanded = prettyplease::unparse(&expand_attributes(&source));
    if env::var_os("LOCKGUARD_BLESS").is_some() {
        fs::write(&output, &expanded).expect("the expansion can be written");
    }
    let expected = fs::read_to_string(&output).unwrap_or_default();
    assert_eq!(expanded, expected, "{name}: see the head of this file");
}

/// Expands the attribute on each function and method of a file.
fn expand_attributes(source: &str) -> syn::File {
    let mut file = syn::parse_file(source).expect("the input parses");
    file.items = file
        .items
        .into_iter()
        .map(|item| match item {
            syn::Item::Fn(mut item) => {
                let options = take_options(&mut item.attrs);
                parse(expand(options, &item.into_token_stream()))
            }
            syn::Item::Impl(mut block) => {
                for item in &mut block.items {
                    let syn::ImplItem::Fn(method) = item else {
                        continue;
                    };
                    let options = take_options(&mut method.attrs);
                    *item = parse(expand(options, &method.to_token_stream()));
                }
                syn::Item::Impl(block)
            }
            item => item,
        })
        .collect();
    file
}

fn take_options(attributes: &mut Vec<syn::Attribute>) -> TokenStream {
    let at = attributes
        .iter()
        .position(|attribute| attribute.path().is_ident("distributed_lock"))
        .expect("each function has the attribute");
    let list = attributes.remove(at);
    list.meta
        .require_list()
        .expect("with options")
        .tokens
        .clone()
}

fn parse<T: syn::parse::Parse>(tokens: TokenStream) -> T {
    syn::parse2(tokens).expect("the expansion parses")
}

#[test]
fn of_a_template_and_literals() {
    check("book");
}

#[test]
fn of_every_option() {
    check("every_option");
}

#[test]
fn of_a_job_that_is_skipped_when_busy() {
    check("skip");
}

#[test]
fn of_several_keys() {
    check("several_keys");
}

#[test]
fn of_a_lease_that_is_renewed_fenced_and_kept() {
    check("held");
}

#[test]
fn of_a_method_that_takes_self_by_value() {
    check("method_by_value");
}

#[test]
fn of_a_boxed_future() {
    check("boxed_future");
}

#[test]
fn of_an_opaque_return_type() {
    check("opaque_return_type");
}

#[test]
fn of_the_readmes_first_function_is_in_the_documentation_and_fits_a_screen() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let read = |file: &str| fs::read_to_string(root.join(file)).expect("the file is there");
    let function = read("src/tests/expansions/book.rs");
    assert!(read("../README.md").contains(&function), "not:\n{function}");
    let expansion = read("src/tests/expansions/book.expanded.rs");
    assert!(
        read("../lockguard/src/distributed_lock.md").contains(&expansion),
        "the documentation shows something else than:\n{expansion}"
    );
    assert!(expansion.lines().count() <= 40, "more than a screen");
}
