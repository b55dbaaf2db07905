//! Every mistake at once.

use std::fmt;

use proc_macro2::{Span, TokenStream};
use quote::ToTokens;

/// The mistakes found so far.
///
/// Checks go on after a mistake, so that one build shows all of them.
#[derive(Default)]
pub(crate) struct Errors(Vec<syn::Error>);

impl Errors {
    /// Adds a mistake that the tokens show.
    pub(crate) fn at(&mut self, tokens: impl ToTokens, message: impl fmt::Display) {
        self.0.push(syn::Error::new_spanned(tokens, message));
    }

    /// Adds a mistake at a place that has no tokens of its own.
    pub(crate) fn at_span(&mut self, span: Span, message: impl fmt::Display) {
        self.0.push(syn::Error::new(span, message));
    }

    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    // Output: `::core::compile_error! { "…" }` for each mistake
    pub(crate) fn to_compile_errors(&self) -> TokenStream {
        self.0.iter().map(syn::Error::to_compile_error).collect()
    }

    #[cfg(test)]
    pub(crate) fn iter(&self) -> impl Iterator<Item = &syn::Error> {
        self.0.iter()
    }
}
