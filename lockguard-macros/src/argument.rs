//! The options between the parentheses, by name.

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::ToTokens;
use syn::{
    Expr, ExprLit, Lit, Path, Token,
    ext::IdentExt,
    parse::{ParseStream, Parser, discouraged::Speculative},
};

use crate::{
    duration,
    error::Errors,
    option::{self, Row, row, unknown},
};

/// The options as they were written: names are known, values are not looked at.
#[derive(Default)]
pub(crate) struct Arguments {
    pub(crate) key: Option<Expr>,
    pub(crate) keys: Option<Expr>,
    pub(crate) ttl: Option<Expr>,
    pub(crate) wait: Option<Expr>,
    pub(crate) max_hold: Option<Expr>,
    pub(crate) min_hold: Option<Expr>,
    pub(crate) fence: Option<Expr>,
    pub(crate) bind: Option<Expr>,
    pub(crate) on_busy: Option<Expr>,
    pub(crate) on_error: Option<Expr>,
    pub(crate) on_lost: Option<Expr>,
    pub(crate) manager: Option<Expr>,
    pub(crate) name: Option<Expr>,
    pub(crate) crate_path: Option<Path>,
    /// Options that were given by their names, and where.
    given: Vec<(&'static Row, Ident)>,
    /// Options that were meant by other names: these are not missing either.
    meant: Vec<&'static str>,
}

impl Arguments {
    /// Whether the option was meant, even if its value makes no sense.
    pub(crate) fn mentions(&self, option: &str) -> bool {
        self.is_given(option) || self.meant.contains(&option)
    }

    fn is_given(&self, option: &str) -> bool {
        self.given.iter().any(|(row, _)| row.name == option)
    }

    /// Of these two, the one that was given later, if both were.
    pub(crate) fn later_of(&self, one: &str, other: &str) -> Option<&Ident> {
        let mut both = self
            .given
            .iter()
            .filter(|(row, _)| row.name == one || row.name == other);
        both.nth(1).map(|(_, name)| name)
    }

    /// Reads all options; a mistake in one does not hide the next.
    pub(crate) fn parse(options: TokenStream, errors: &mut Errors) -> Self {
        let mut arguments = Self::default();
        let read = (|input: ParseStream<'_>| {
            while !input.is_empty() {
                arguments.read_option(input, errors);
            }
            Ok(())
        })
        .parse2(options);
        if let Err(error) = read {
            errors.at_span(error.span(), error);
        }
        arguments
    }

    /// Reads one option and the comma after it; always consumes something.
    fn read_option(&mut self, input: ParseStream<'_>, errors: &mut Errors) {
        if let Ok(Some(comma)) = input.parse::<Option<Token![,]>>() {
            errors.at(comma, "there is no option before this comma");
            return;
        }
        let Some(name) = option_name(input) else {
            self.refuse_positional(input, errors);
            return;
        };
        let row = self.recognize(&name, errors);
        if !is_assignment(input) {
            if let Some(row) = row {
                errors.at(&name, without_value(row, input));
            }
            skip_value(input);
            return;
        }
        if input.parse::<Token![=]>().is_err() {
            return;
        }
        if let Some(row) = row {
            self.read_value(row, &name, input, errors);
        } else {
            skip_expression(input);
        }
        expect_comma(&name.to_string(), input, errors);
    }

    fn read_value(&mut self, row: &Row, name: &Ident, input: ParseStream<'_>, errors: &mut Errors) {
        let ahead = input.fork();
        if row.name == "crate" && ahead.call(Path::parse_mod_style).is_ok() && ends(&ahead) {
            self.crate_path = input.call(Path::parse_mod_style).ok();
            return;
        }
        let Some(value) = value(row, name, input, errors) else {
            return;
        };
        match row.name {
            "key" => self.key = Some(value),
            "keys" => self.keys = Some(value),
            "ttl" => self.ttl = Some(value),
            "wait" => self.wait = Some(value),
            "max_hold" => self.max_hold = Some(value),
            "min_hold" => self.min_hold = Some(value),
            "fence" => self.fence = Some(value),
            "bind" => self.bind = Some(value),
            "on_busy" => self.on_busy = Some(value),
            "on_error" => self.on_error = Some(value),
            "on_lost" => self.on_lost = Some(value),
            "manager" => self.manager = Some(value),
            "name" => self.name = Some(value),
            _ => errors.at(&value, wrong_crate(&value)),
        }
    }

    /// The row of a name; a name that is none of ours is answered.
    fn recognize(&mut self, name: &Ident, errors: &mut Errors) -> Option<&'static Row> {
        let given = name.unraw().to_string();
        let Some(row) = row(&given) else {
            self.refuse_unknown(&given, name, errors);
            return None;
        };
        if self.is_duplicate(row, name, errors) {
            return None;
        }
        self.given.push((row, name.clone()));
        Some(row)
    }

    fn refuse_unknown(&mut self, given: &str, name: impl ToTokens, errors: &mut Errors) {
        let (message, meant) = unknown(given);
        errors.at(name, message);
        self.meant.extend(meant);
    }

    fn is_duplicate(&self, row: &Row, name: &Ident, errors: &mut Errors) -> bool {
        let is_second = self.is_given(row.name);
        if is_second {
            errors.at(name, format!("`{}` is given twice: remove one", row.name));
        }
        is_second
    }

    /// Options have names: says which one the value looks like.
    fn refuse_positional(&mut self, input: ParseStream<'_>, errors: &mut Errors) {
        let ahead = input.fork();
        let Ok(value) = ahead.parse::<Expr>() else {
            if let Ok(token) = input.parse::<TokenTree>() {
                errors.at(
                    &token,
                    format!("expected an option, such as `{}`", option::example()),
                );
            }
            skip_value(input);
            return;
        };
        input.advance_to(&ahead);
        if let Expr::Assign(assignment) = &value {
            // `max-hold = "1m"`, to a parser, assigns to a difference.
            let left = assignment.left.to_token_stream();
            self.refuse_unknown(&left.to_string().replace(' ', ""), left, errors);
            expect_comma("", input, errors);
            return;
        }
        let lengths: &[&'static str] = &["ttl", "wait"];
        let (candidates, text): (&[_], _) = match unwrapped(&value) {
            Expr::Lit(ExprLit {
                lit: Lit::Str(literal),
                ..
            }) => {
                let is_duration = duration::parse(&literal.value()).is_ok();
                let text = literal.to_token_stream().to_string();
                (if is_duration { lengths } else { &["key"] }, text)
            }
            Expr::Lit(_) => (lengths, "\"2s\"".to_owned()),
            Expr::Closure(_) => (&["on_error"], "…".to_owned()),
            _ => (&["key"], "…".to_owned()),
        };
        let is_open = |option: &str| !self.mentions(option) && !self.excludes(option);
        let option = candidates.iter().copied().find(|option| is_open(option));
        let meant = option.map_or_else(
            || "write which one this is, such as `on_busy = skip`".to_owned(),
            |option| format!("write `{option} = {text}`"),
        );
        self.meant.extend(option);
        errors.at(&value, format!("options are named: {meant}"));
        expect_comma(option.unwrap_or_default(), input, errors);
    }

    /// Whether the option cannot stand beside one that was given.
    fn excludes(&self, option: &str) -> bool {
        option == "key" && self.mentions("keys")
    }
}

/// Answers an option that has no `=`.
fn without_value(row: &Row, input: ParseStream<'_>) -> String {
    let Row { name, example, .. } = row;
    if let Some(sign) = other_sign(input) {
        format!("`{name}` takes its value after `=`, not `{sign}`: write `{example}`")
    } else if input.peek(syn::token::Paren) {
        format!("`{name}` takes its value after `=`, not in parentheses: write `{example}`")
    } else if input.peek(syn::token::Bracket) {
        format!("`{name}` takes its value after `=`: write `{example}`")
    } else {
        format!("`{name}` has no value: write `{example}`")
    }
}

/// The expression behind an option's sign; one that is not understood is
/// answered and skipped.
fn value(row: &Row, name: &Ident, input: ParseStream<'_>, errors: &mut Errors) -> Option<Expr> {
    let ahead = input.fork();
    let error = match ahead.parse::<Expr>() {
        Ok(value) => {
            input.advance_to(&ahead);
            return Some(value);
        }
        Err(error) => error,
    };
    let Row {
        name: option,
        example,
        ..
    } = row;
    if ends(input) {
        errors.at(name, format!("`{option}` has no value: write `{example}`"));
        return None;
    }
    // Where the options end there is nothing to underline.
    let span = if ahead.is_empty() {
        name.span()
    } else {
        error.span()
    };
    errors.at_span(
        span,
        format!("`{option}` is not understood: write `{example}` ({error})"),
    );
    skip_value_only(input);
    None
}

fn wrong_crate(value: &Expr) -> String {
    match unwrapped(value) {
        Expr::Lit(ExprLit {
            lit: Lit::Str(path),
            ..
        }) => format!(
            "`crate` takes a path, not text: write `crate = {}`",
            path.value()
        ),
        _ => "`crate` takes the path where lockguard is: write `crate = \
              my_framework::lockguard`"
            .to_owned(),
    }
}

/// The expression inside parentheses and the invisible groups of `macro_rules`.
pub(crate) fn unwrapped(mut value: &Expr) -> &Expr {
    loop {
        value = match value {
            Expr::Group(group) => &group.expr,
            Expr::Paren(paren) => &paren.expr,
            _ => return value,
        };
    }
}

/// The name that begins an option: a word that is not the start of an expression.
fn option_name(input: ParseStream<'_>) -> Option<Ident> {
    let ahead = input.fork();
    let name = ahead.call(Ident::parse_any).ok()?;
    let is_option = is_assignment(&ahead)
        || ends(&ahead)
        || other_sign(&ahead).is_some()
        || (is_group(&ahead) && row(&name.to_string()).is_some());
    if !is_option {
        return None;
    }
    input.advance_to(&ahead);
    Some(name)
}

fn is_assignment(input: ParseStream<'_>) -> bool {
    input.peek(Token![=]) && !input.peek(Token![==]) && !input.peek(Token![=>])
}

/// What stands between a name and its value elsewhere.
fn other_sign(input: ParseStream<'_>) -> Option<&'static str> {
    if input.peek(Token![:]) && !input.peek(Token![::]) {
        let is_assigned = input.peek2(Token![=]);
        Some(if is_assigned { ":=" } else { ":" })
    } else if input.peek(Token![=>]) {
        Some("=>")
    } else if input.peek(Token![==]) {
        Some("==")
    } else {
        None
    }
}

fn is_group(input: ParseStream<'_>) -> bool {
    input.peek(syn::token::Paren) || input.peek(syn::token::Bracket)
}

fn ends(input: ParseStream<'_>) -> bool {
    input.is_empty() || input.peek(Token![,])
}

fn starts_option(input: ParseStream<'_>) -> bool {
    let ahead = input.fork();
    ahead.call(Ident::parse_any).is_ok() && is_assignment(&ahead)
}

/// The same, for an option that no comma separates from what is skipped.
fn starts_known_option(input: ParseStream<'_>) -> bool {
    let name = input.fork().call(Ident::parse_any);
    starts_option(input) && name.is_ok_and(|name| row(&name.to_string()).is_some())
}

/// Consumes the comma after the value of an option, or of none (`""`), or says
/// that it is not there.
fn expect_comma(option: &str, input: ParseStream<'_>, errors: &mut Errors) {
    if input.is_empty() || matches!(input.parse::<Option<Token![,]>>(), Ok(Some(_))) {
        return;
    }
    let span = input
        .cursor()
        .token_tree()
        .map_or_else(Span::call_site, |(token, _)| token.span());
    if starts_option(input) {
        errors.at_span(span, "there is no comma before this option");
    } else {
        let advice = if option == "key" && input.peek(Token![:]) {
            "a template is text, in quotes"
        } else {
            "a comma separates options"
        };
        let problem = match option {
            "" => advice.to_owned(),
            option => format!("the value of `{option}` ended before this; {advice}"),
        };
        errors.at_span(span, problem);
        skip_value(input);
    }
}

/// Goes on at the next option.
fn skip_value(input: ParseStream<'_>) {
    skip_value_only(input);
    if input.parse::<Option<Token![,]>>().is_err() {
        skip_rest(input);
    }
}

/// Stops before the comma that the next option follows.
///
/// A comma may belong to the broken value; one that `name =` follows does not.
fn skip_value_only(input: ParseStream<'_>) {
    while !input.is_empty() && !starts_known_option(input) {
        let ahead = input.fork();
        if let Ok(Some(_)) = ahead.parse::<Option<Token![,]>>()
            && (ahead.is_empty() || option_name(&ahead).is_some())
        {
            return;
        }
        if input.parse::<TokenTree>().is_err() {
            skip_rest(input);
        }
    }
}

fn skip_expression(input: ParseStream<'_>) {
    let ahead = input.fork();
    if ahead.parse::<Expr>().is_ok() {
        input.advance_to(&ahead);
    } else {
        skip_value_only(input);
    }
}

fn skip_rest(input: ParseStream<'_>) {
    drop(input.parse::<TokenStream>());
}
