//! Keys: a template such as `"seat:{seat_id}"`, or an expression.

use syn::{Expr, ExprLit, Ident, Lit, LitStr};

use crate::{
    argument::unwrapped,
    error::Errors,
    target::Target,
    template::{self, Template},
};

/// What is locked.
pub(crate) enum Key {
    /// Text with values in it; the runtime escapes the values.
    Template(Template),
    /// A whole key, taken as it is.
    Expression(Box<Expr>),
}

/// Where a key stands, and whose arguments it may name.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    /// `key`, or `keys` for one of several.
    pub(crate) option: &'static str,
    pub(crate) target: &'a Target,
}

impl Place<'_> {
    /// The key as it would be written here.
    pub(crate) fn written(self, key: &str) -> String {
        if self.option == "keys" {
            format!("keys = [{key}]")
        } else {
            format!("key = {key}")
        }
    }
}

impl Key {
    /// Reads the value of `key`, or one of `keys`.
    pub(crate) fn parse(value: &Expr, place: Place<'_>, errors: &mut Errors) -> Option<Self> {
        let problem = match unwrapped(value) {
            Expr::Lit(ExprLit {
                lit: Lit::Str(literal),
                ..
            }) => return Template::parse(literal, place, errors).map(Self::Template),
            Expr::Lit(_) => {
                let example = place.target.example_key();
                let example = place.written(example.trim_matches('`'));
                format!("a key is text: write `{example}`")
            }
            Expr::Array(_) | Expr::Repeat(_) | Expr::Tuple(_) => {
                "this is not one key; several, all or none, are written `keys = […]`".to_owned()
            }
            expr => match uninterpolated(expr) {
                Some(literal) => {
                    errors.at(literal, not_a_template(place));
                    return None;
                }
                None => return Some(Self::Expression(Box::new(value.clone()))),
            },
        };
        errors.at(value, problem);
        None
    }
}

/// What is said of a template that nothing fills in.
pub(crate) fn not_a_template(place: Place<'_>) -> String {
    format!(
        "only a literal of its own is a template: here the braces would stay as they are; write \
         `{}`, or `{}`",
        place.written("\"…\""),
        place.written("format!(…)")
    )
}

/// A literal with a placeholder where nothing fills it in.
pub(crate) fn uninterpolated(expr: &Expr) -> Option<LitStr> {
    let literal = match unwrapped(expr) {
        Expr::Lit(ExprLit {
            lit: Lit::Str(literal),
            ..
        }) => literal.clone(),
        Expr::Reference(reference) => return uninterpolated(&reference.expr),
        Expr::Cast(cast) => return uninterpolated(&cast.expr),
        Expr::Binary(sum) => {
            return uninterpolated(&sum.left).or_else(|| uninterpolated(&sum.right));
        }
        Expr::MethodCall(call) if is_copying(&call.method) => {
            return uninterpolated(&call.receiver);
        }
        Expr::Call(call) => match &*call.func {
            Expr::Path(path) if is_copying(&path.path.segments.last()?.ident) => {
                return call.args.iter().find_map(uninterpolated);
            }
            _ => return None,
        },
        Expr::Array(array) => return array.elems.iter().find_map(uninterpolated),
        Expr::Macro(expr) if is_verbatim(&expr.mac.path.segments.last()?.ident) => {
            return expr
                .mac
                .tokens
                .clone()
                .into_iter()
                .filter_map(|token| syn::parse2::<LitStr>(token.into()).ok())
                .find(template::has_placeholder);
        }
        _ => return None,
    };
    template::has_placeholder(&literal).then_some(literal)
}

/// What makes a `String` of a literal without looking at it.
fn is_copying(function: &Ident) -> bool {
    ["to_owned", "to_string", "into", "from", "as_str", "new"]
        .iter()
        .any(|name| function == name)
}

/// Macros that take literals as they are.
fn is_verbatim(name: &Ident) -> bool {
    name == "concat" || name == "vec"
}
