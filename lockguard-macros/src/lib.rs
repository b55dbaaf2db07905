//! The attribute of lockguard.
//!
//! Use it through the `lockguard` crate, whose runtime its expansion calls.

// What the user wrote.
mod argument;
mod binding;
mod choice;
mod duration;
mod key;
mod keys;
mod option;
mod output;
mod placeholder;
mod target;
mod template;

// What it means, and what it becomes.
mod expansion;
mod model;

// How mistakes are answered.
mod error;
mod refusal;
mod similar;

#[cfg(test)]
mod tests;

use proc_macro2::TokenStream;

use crate::{argument::Arguments, error::Errors, model::Model, target::Target};

#[expect(
    missing_docs,
    reason = "its page stands at the re-export in lockguard, where its examples can run; rustdoc \
              would add what stood here"
)]
#[proc_macro_attribute]
pub fn distributed_lock(
    options: proc_macro::TokenStream,
    item: proc_macro::TokenStream,
) -> proc_macro::TokenStream {
    expand(options.into(), &item.into()).into()
}

// Input:  the attribute's options, and the item it stands on
// Output: the locked function; or every mistake, and the item as it was
fn expand(options: TokenStream, item: &TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let target = Target::parse(item, &mut errors);
    let arguments = Arguments::parse(options, &mut errors);
    match Model::check(arguments, target, &mut errors) {
        Some(model) if errors.is_empty() => expansion::expand(&model),
        _ => expansion::refuse(&errors, item),
    }
}
