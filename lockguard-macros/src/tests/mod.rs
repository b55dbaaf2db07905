//! The attribute on token streams, without a compiler.

mod dice;
mod expansions;
mod injectivity;
mod misuses;
mod soup;
mod uses;

use proc_macro2::TokenStream;

use crate::{argument::Arguments, error::Errors, expansion, model::Model, target::Target};

/// Expands as the attribute does, options of a later version too.
fn expand(options: TokenStream, item: &TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let target = Target::parse(item, &mut errors);
    let arguments = Arguments::parse(options, &mut errors);
    match Model::check(arguments, target, &mut errors) {
        Some(model) if errors.is_empty() => expansion::expand(&model),
        _ => expansion::refuse(&errors, item),
    }
}
