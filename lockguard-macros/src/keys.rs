//! What one lease is for: one key, or several, all or none.

use quote::ToTokens;
use syn::{Expr, ExprLit, Lit, parse_quote_spanned, spanned::Spanned};

use crate::{
    argument::unwrapped,
    error::Errors,
    key::{self, Key, Place},
    target::Target,
};

/// What is locked.
pub(crate) enum Keys {
    /// `key = …`
    One(Key),
    /// `keys = […]`, each a template or an expression.
    List(Vec<Key>),
    /// `keys = …`: whatever the expression yields.
    Each(Box<Expr>),
}

impl Keys {
    /// Reads the value of `keys`.
    pub(crate) fn parse(value: &Expr, target: &Target, errors: &mut Errors) -> Option<Self> {
        let place = Place {
            option: "keys",
            target,
        };
        let example = target.example_key();
        let example = example.trim_matches('`');
        let problem = match unwrapped(value) {
            Expr::Array(array) if array.elems.is_empty() => {
                format!("without a key nothing is locked: write `keys = [{example}]`")
            }
            Expr::Array(array) => {
                let before = errors.count();
                let keys: Vec<Key> = array
                    .elems
                    .iter()
                    .filter_map(|key| Key::parse(key, place, errors))
                    .collect();
                refuse_twins(&keys, errors);
                return (errors.count() == before).then_some(Self::List(keys));
            }
            Expr::Lit(ExprLit {
                lit: Lit::Str(text),
                ..
            }) => {
                let text = text.to_token_stream();
                format!("`keys` takes a list: write `keys = [{text}]`, or `key = {text}`")
            }
            Expr::Repeat(_) => "these are all the same key: write `key = …`".to_owned(),
            Expr::Lit(_) | Expr::Tuple(_) => {
                format!("`keys` takes a list: write `keys = [{example}, …]`")
            }
            expr => match key::uninterpolated(listed(expr)) {
                Some(literal) => {
                    errors.at(literal, key::not_a_template(place));
                    return None;
                }
                None => return Some(Self::Each(Box::new(lent(value, target)))),
            },
        };
        errors.at(value, problem);
        None
    }
}

// Input:  seats, an argument that is a `Vec`
// Output: &seats
//
// As with `key`, the argument stays the body's.
fn lent(value: &Expr, target: &Target) -> Expr {
    if let Expr::Path(path) = unwrapped(value)
        && path
            .path
            .get_ident()
            .is_some_and(|name| target.is_list(name))
    {
        parse_quote_spanned!(value.span()=> &#value)
    } else {
        value.clone()
    }
}

/// The list under what changes nothing about it: `["a"].into_iter()`.
fn listed(expr: &Expr) -> &Expr {
    match unwrapped(expr) {
        Expr::MethodCall(call) if is_listing(&call.method.to_string()) => listed(&call.receiver),
        Expr::Reference(reference) => listed(&reference.expr),
        expr => expr,
    }
}

fn is_listing(method: &str) -> bool {
    ["iter", "into_iter", "as_slice", "to_vec"].contains(&method)
}

/// The same template twice is one key that was meant to be another.
fn refuse_twins(keys: &[Key], errors: &mut Errors) {
    let templates = || {
        keys.iter().filter_map(|key| match key {
            Key::Template(template) => Some(template),
            Key::Expression(_) => None,
        })
    };
    for (at, template) in templates().enumerate() {
        if templates().take(at).any(|other| other.is_same(template)) {
            errors.at(
                &template.literal,
                "`keys`: this key stands in the list twice: remove it, or name the one that was \
                 meant",
            );
        }
    }
}
