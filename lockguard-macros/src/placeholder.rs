//! Placeholders: what stands in the braces of a template.

use proc_macro2::TokenStream;
use syn::{Expr, ExprMethodCall, ExprPath, ExprUnary, LitStr, UnOp};

use crate::{
    key::Place,
    similar::{closest, listed},
    target::{Target, plain},
};

/// A value in a template.
pub(crate) struct Value {
    pub(crate) expr: Expr,
    /// `{id:>04}`: at least so many digits.
    pub(crate) width: Option<usize>,
}

impl Value {
    /// Reads what stands between two braces.
    pub(crate) fn parse(
        source: &str,
        literal: &LitStr,
        place: Place<'_>,
        problems: &mut Vec<String>,
    ) -> Option<Self> {
        let target = place.target;
        let (name, format) = split_format(source);
        if name.trim().is_empty() {
            problems.push(format!(
                "`{{{source}}}` names no argument; write it in the braces, such as {}",
                target.example_key()
            ));
            return None;
        }
        let width = format.map(|format| parse_width(name, format));
        let width = match width.transpose() {
            Ok(width) => width,
            Err(problem) => {
                problems.push(problem);
                return None;
            }
        };
        let expr = LitStr::new(name, literal.span())
            .parse::<TokenStream>()
            .and_then(|tokens| syn::parse2::<Expr>(target.resolve(tokens)));
        let Ok(expr) = expr else {
            problems.push(unreadable(name, place));
            return None;
        };
        let before = problems.len();
        check_value(&expr, name, place, problems);
        (problems.len() == before).then_some(Self { expr, width })
    }
}

/// Splits at the first colon that is not part of `::`.
fn split_format(source: &str) -> (&str, Option<&str>) {
    let mut after_path_colon = false;
    for (at, c) in source.char_indices() {
        let rest = source.get(at..).unwrap_or_default();
        if c != ':' || after_path_colon {
            after_path_colon = false;
        } else if rest.starts_with("::") {
            after_path_colon = true;
        } else {
            let (name, format) = source.split_at(at);
            return (name, format.get(1..));
        }
    }
    (source, None)
}

/// The only format that keeps different values different.
fn parse_width(name: &str, format: &str) -> Result<usize, String> {
    let format = format.trim_end();
    if format.is_empty() {
        return Err(format!("`{{{name}:}}` has no format; write `{{{name}}}`"));
    }
    if format.ends_with('?') {
        return Err(format!(
            "`{{{name}:{format}}}`: `Debug` output may differ between two builds, which would \
             then take different locks; write `{{{name}}}`, and implement `Display` for its type"
        ));
    }
    let digits = ["0>", ">0", "0"]
        .into_iter()
        .find_map(|prefix| format.strip_prefix(prefix));
    let width = digits.and_then(|digits| {
        let is_plain = !digits.starts_with('0') && digits.bytes().all(|b| b.is_ascii_digit());
        is_plain.then(|| digits.parse().ok()).flatten()
    });
    match width {
        Some(width @ 1..=39) => Ok(width),
        Some(_) => Err(format!(
            "`{{{name}:{format}}}`: no integer has more than 39 digits; write for instance \
             `{{{name}:>04}}`"
        )),
        None => Err(format!(
            "`{{{name}:{format}}}`: a format can give different values one key; write `{{{name}}}`, \
             or `{{{name}:>04}}` to pad an unsigned integer with zeros"
        )),
    }
}

fn unreadable(name: &str, place: Place<'_>) -> String {
    let raw = format!("r#{}", name.trim());
    if place.target.arguments().any(|argument| argument == raw) {
        return format!("`{{{name}}}` is a keyword; write `{{{raw}}}`");
    }
    format!("`{{{name}}}` is not understood; {}", what_it_holds(place))
}

fn what_it_holds(place: Place<'_>) -> String {
    format!(
        "a placeholder holds an argument, a path, a field, an index or a method call; give \
         anything else as a whole key: `{}`",
        place.written("format!(…)")
    )
}

/// A placeholder names a value or asks one; it does not compute.
fn check_value(expr: &Expr, source: &str, place: Place<'_>, problems: &mut Vec<String>) {
    match expr {
        Expr::Path(path) => problems.extend(unknown_name(path, place.target)),
        Expr::Field(field) => check_value(&field.base, source, place, problems),
        Expr::Index(index) => {
            check_value(&index.expr, source, place, problems);
            check_argument(&index.index, source, place, problems);
        }
        Expr::MethodCall(ExprMethodCall { receiver, args, .. }) => {
            check_value(receiver, source, place, problems);
            for argument in args {
                check_argument(argument, source, place, problems);
            }
        }
        Expr::Unary(ExprUnary {
            op: UnOp::Deref(_),
            expr,
            ..
        }) => check_value(expr, source, place, problems),
        Expr::Reference(reference) if reference.mutability.is_none() => {
            check_value(&reference.expr, source, place, problems);
        }
        Expr::Paren(paren) => check_value(&paren.expr, source, place, problems),
        Expr::Lit(_) => problems.push(format!(
            "`{{{source}}}` is not an argument; arguments are named, such as {}",
            place.target.example_key()
        )),
        _ => problems.push(computes(source, place)),
    }
}

/// Inside `[…]` and `(…)` a literal is as good as a name.
fn check_argument(expr: &Expr, source: &str, place: Place<'_>, problems: &mut Vec<String>) {
    if !matches!(expr, Expr::Lit(_)) {
        check_value(expr, source, place, problems);
    }
}

fn computes(source: &str, place: Place<'_>) -> String {
    format!("`{{{source}}}` computes; {}", what_it_holds(place))
}

/// A lower-case name that is no argument is a slip; others are paths.
fn unknown_name(path: &ExprPath, target: &Target) -> Option<String> {
    let name = plain(path.path.get_ident()?);
    if name == "self" {
        return (!target.has_receiver()).then(|| not_an_argument(&name, target));
    }
    let is_constant = name.starts_with(char::is_uppercase);
    if is_constant || target.arguments().any(|argument| argument == name) {
        return None;
    }
    Some(not_an_argument(&name, target))
}

fn not_an_argument(name: &str, target: &Target) -> String {
    let point = target.name();
    let arguments: Vec<String> = target.arguments().collect();
    let arguments = || arguments.iter().map(String::as_str);
    if arguments().any(|argument| argument.starts_with("__arg")) {
        // async-trait takes patterns apart inside the future it makes.
        return format!(
            "`{name}` is not an argument of `{point}`; if a pattern binds it, `#[async_trait]` \
             takes it apart after the key is made: give the argument a name, and take it apart in \
             the body"
        );
    }
    match closest(name, arguments()) {
        Some(meant) => {
            format!("`{name}` is not an argument of `{point}`; did you mean `{meant}`?")
        }
        None if target.has_receiver() => {
            format!(
                "`{name}` is not an argument of `{point}`; a field of `self` is written \
                 `{{self.{name}}}`"
            )
        }
        None if arguments().next().is_none() => {
            let none = if target.has_arguments() {
                "whose arguments have no names: give it one in the signature"
            } else {
                "which has none"
            };
            format!("`{name}` is not an argument of `{point}`, {none}")
        }
        None => format!(
            "`{name}` is not an argument of `{point}`; its arguments are {}",
            listed(arguments())
        ),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_path_is_not_a_format() {
        assert_eq!(split_format("a"), ("a", None));
        assert_eq!(split_format("a:>04"), ("a", Some(">04")));
        assert_eq!(split_format("A::B"), ("A::B", None));
        assert_eq!(split_format("A::B:04"), ("A::B", Some("04")));
        assert_eq!(split_format("::a::B"), ("::a::B", None));
        assert_eq!(split_format("a:"), ("a", Some("")));
    }

    #[test]
    fn a_zero_padded_width_is_the_only_format() {
        for format in ["04", ">04", "0>4", "039"] {
            assert!(parse_width("id", format).is_ok(), "{format}");
        }
        for format in [
            "", "?", "#?", "x", "4", ">4", "<04", "^04", "+04", "04x", ".2", "00", "0", "040",
            "04$", "w$", "0w$", "0>04", "p", "e",
        ] {
            assert!(parse_width("id", format).is_err(), "{format}");
        }
    }

    proptest! {
        #[test]
        fn a_format_is_what_follows_a_single_colon(source in "[a:]{0,12}") {
            let (name, format) = split_format(&source);
            let joined = match format {
                Some(format) => format!("{name}:{format}"),
                None => name.to_owned(),
            };
            prop_assert_eq!(joined, source);
        }
    }
}
