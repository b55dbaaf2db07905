//! Keys: a template such as `"seat:{seat_id}"`, or an expression.

use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::{Expr, ExprLit, ExprMethodCall, ExprPath, ExprUnary, Ident, Lit, LitStr, UnOp};

use crate::{
    argument::unwrapped,
    error::Errors,
    similar::{closest, listed},
    target::{Target, plain},
};

/// What is locked.
pub(crate) enum Key {
    /// Text with values in it; the runtime escapes the values.
    Template(Template),
    /// A whole key, taken as it is.
    Expression(Box<Expr>),
}

/// Text with values between: one text more than values.
pub(crate) struct Template {
    pub(crate) literal: LitStr,
    pub(crate) texts: Vec<String>,
    pub(crate) values: Vec<Value>,
}

/// A value in a template.
pub(crate) struct Value {
    pub(crate) expr: Expr,
    /// `{id:>04}`: at least so many digits.
    pub(crate) width: Option<usize>,
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
    fn written(self, key: &str) -> String {
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

/// The longest text that can be part of a key.
const MAX_BYTES: usize = 512;

/// What values never contain, so that it tells where one ends.
const SEPARATORS: [char; 4] = [':', '/', '|', '#'];

impl Template {
    /// Whether both make the same key of the same arguments.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        let values = |template: &Self| -> Vec<(String, Option<usize>)> {
            let values = template.values.iter();
            values
                .map(|value| (value.expr.to_token_stream().to_string(), value.width))
                .collect()
        };
        self.texts == other.texts && values(self) == values(other)
    }

    fn parse(literal: &LitStr, place: Place<'_>, errors: &mut Errors) -> Option<Self> {
        let option = place.option;
        let text = literal.value();
        let pieces = match split(&text) {
            Ok(pieces) => pieces,
            Err(problem) => {
                errors.at(literal, format!("`{option}`: {problem}"));
                return None;
            }
        };
        let mut problems = problems_of_text(&text, &pieces, place);
        let mut template = Self {
            literal: literal.clone(),
            texts: vec![String::new()],
            values: Vec::new(),
        };
        for piece in &pieces {
            match piece {
                Piece::Text(text) => {
                    if let Some(last) = template.texts.last_mut() {
                        last.push_str(text);
                    }
                }
                Piece::Placeholder(source) => {
                    let value = Value::parse(source, literal, place, &mut problems);
                    template.values.extend(value);
                    template.texts.push(String::new());
                }
            }
        }
        for problem in &problems {
            errors.at(literal, format!("`{option}`: {problem}"));
        }
        problems.is_empty().then_some(template)
    }
}

/// A part of a template.
#[derive(Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Placeholder(String),
}

/// Splits at braces; doubled braces are text.
fn split(template: &str) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut text = String::new();
    let mut rest = template.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '{' if rest.next_if_eq(&'{').is_some() => text.push('{'),
            '}' if rest.next_if_eq(&'}').is_some() => text.push('}'),
            '}' => {
                return Err("`}` closes nothing; a brace in the key itself is written `}}`".into());
            }
            '{' => {
                if !text.is_empty() {
                    pieces.push(Piece::Text(std::mem::take(&mut text)));
                }
                let mut source = String::new();
                loop {
                    match rest.next() {
                        Some('}') => break,
                        Some('{') => {
                            return Err(format!(
                                "there is a `{{` inside the placeholder `{{{source}`; a brace in \
                                 the key itself is written `{{{{`"
                            ));
                        }
                        Some(c) => source.push(c),
                        None => {
                            return Err(format!(
                                "`{{{source}` is never closed; a brace in the key itself is \
                                 written `{{{{`"
                            ));
                        }
                    }
                }
                pieces.push(Piece::Placeholder(source));
            }
            c => text.push(c),
        }
    }
    if !text.is_empty() {
        pieces.push(Piece::Text(text));
    }
    Ok(pieces)
}

/// What is wrong with the text between the values.
fn problems_of_text(template: &str, pieces: &[Piece], place: Place<'_>) -> Vec<String> {
    let target = place.target;
    let mut problems = Vec::new();
    let texts = || {
        pieces.iter().filter_map(|piece| match piece {
            Piece::Text(text) => Some(text.as_str()),
            Piece::Placeholder(_) => None,
        })
    };
    let characters = || texts().flat_map(str::chars);
    if template.is_empty() {
        problems.push("an empty key would be one lock for everybody".to_owned());
    }
    if let [Piece::Placeholder(source)] = pieces {
        let point = target.name();
        problems.push(format!(
            "`{{{source}}}` alone names no resource; write `\"{point}:{{{source}}}\"`, \
             or, if the value is a whole key, `{}`",
            place.written(source)
        ));
    }
    let bytes: usize = texts().map(str::len).sum();
    if bytes > MAX_BYTES {
        problems.push(format!(
            "a key has at most {MAX_BYTES} bytes, and this text has {bytes}"
        ));
    }
    if let Some(control) = characters().find(|c| c.is_control()) {
        problems.push(format!(
            "a key has no control characters: remove `{}`",
            control.escape_default()
        ));
    } else if characters().any(char::is_whitespace) {
        let better = without_white_space(template);
        problems.push(format!("a key has no white space; write `\"{better}\"`"));
    }
    if let Some(verb) = texts().find_map(printf_verb) {
        problems.push(format!(
            "`{verb}` would stay as it is; write the argument's name in braces, such as {}",
            target.example_key()
        ));
    }
    let doubled = target
        .arguments()
        .find(|name| texts().any(|text| text.contains(&format!("{{{name}}}"))));
    if let Some(name) = doubled {
        problems.push(format!(
            "`{{{{{name}}}}}` is the text `{{{name}}}`; write `{{{name}}}` for the argument, or \
             `{{{{{{{name}}}}}}}` for the argument in braces"
        ));
    }
    problems.extend(weak_separator(pieces));
    problems
}

/// A `%d` of other languages; `100%discount` and the escaped byte `%d0` have
/// none.
fn printf_verb(text: &str) -> Option<&str> {
    let mut ends = text.match_indices('%').map(|(at, _)| text.split_at(at).1);
    ends.find_map(|end| {
        let (verb, rest) = end.split_at_checked(2)?;
        let is_verb = ["%d", "%i", "%q", "%s", "%u", "%v", "%x"].contains(&verb);
        (is_verb && !rest.starts_with(char::is_alphanumeric)).then_some(verb)
    })
}

/// `seat: {id} x` as `seat:{id}:x`.
fn without_white_space(template: &str) -> String {
    let mut better = String::new();
    for word in template.split_whitespace() {
        let is_separated =
            better.is_empty() || better.ends_with(SEPARATORS) || word.starts_with(SEPARATORS);
        if !is_separated {
            better.push(':');
        }
        better.push_str(word);
    }
    better
}

/// Two values that nothing keeps apart can make one key of different values.
fn weak_separator(pieces: &[Piece]) -> Option<String> {
    let mut previous: Option<&str> = None;
    let mut between = "";
    for piece in pieces {
        match piece {
            Piece::Text(text) => between = text,
            Piece::Placeholder(source) => {
                if let Some(previous) = previous
                    && !between.contains(SEPARATORS)
                {
                    return Some(format!(
                        "put one of `:` `/` `|` `#` between `{{{previous}}}` and \
                             `{{{source}}}`, as in `{{{previous}}}:{{{source}}}`; without it \
                             different values can make the same key"
                    ));
                }
                previous = Some(source);
                between = "";
            }
        }
    }
    None
}

impl Value {
    fn parse(
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
        check_place(&expr, name, place, problems);
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
    format!("`{{{name}}}` is not understood; {}", places(place))
}

fn places(place: Place<'_>) -> String {
    format!(
        "a placeholder holds an argument, a path, a field, an index or a method call; give \
         anything else as a whole key: `{}`",
        place.written("format!(…)")
    )
}

/// A placeholder names a place or asks it; it does not compute.
fn check_place(expr: &Expr, source: &str, place: Place<'_>, problems: &mut Vec<String>) {
    match expr {
        Expr::Path(path) => problems.extend(unknown_name(path, place.target)),
        Expr::Field(field) => check_place(&field.base, source, place, problems),
        Expr::Index(index) => {
            check_place(&index.expr, source, place, problems);
            check_argument(&index.index, source, place, problems);
        }
        Expr::MethodCall(ExprMethodCall { receiver, args, .. }) => {
            check_place(receiver, source, place, problems);
            for argument in args {
                check_argument(argument, source, place, problems);
            }
        }
        Expr::Unary(ExprUnary {
            op: UnOp::Deref(_),
            expr,
            ..
        }) => check_place(expr, source, place, problems),
        Expr::Reference(reference) if reference.mutability.is_none() => {
            check_place(&reference.expr, source, place, problems);
        }
        Expr::Paren(paren) => check_place(&paren.expr, source, place, problems),
        Expr::Lit(_) => problems.push(format!(
            "`{{{source}}}` is not an argument; arguments are named, such as {}",
            place.target.example_key()
        )),
        _ => problems.push(not_a_place(source, place)),
    }
}

/// Inside `[…]` and `(…)` a literal is as good as a place.
fn check_argument(expr: &Expr, source: &str, place: Place<'_>, problems: &mut Vec<String>) {
    if !matches!(expr, Expr::Lit(_)) {
        check_place(expr, source, place, problems);
    }
}

fn not_a_place(source: &str, place: Place<'_>) -> String {
    format!("`{{{source}}}` computes; {}", places(place))
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
                .find(has_placeholder);
        }
        _ => return None,
    };
    has_placeholder(&literal).then_some(literal)
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

fn has_placeholder(literal: &LitStr) -> bool {
    split(&literal.value()).is_ok_and(|pieces| {
        pieces
            .iter()
            .any(|piece| matches!(piece, Piece::Placeholder(_)))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(text: &str) -> Piece {
        Piece::Text(text.to_owned())
    }

    fn placeholder(source: &str) -> Piece {
        Piece::Placeholder(source.to_owned())
    }

    #[test]
    fn a_verb_is_one_letter_after_a_percent_sign() {
        for (text, verb) in [
            ("seat:%d", Some("%d")),
            ("seat:%s:%d", Some("%s")),
            ("100%off:%v-row", Some("%v")),
            ("%x_", Some("%x")),
            ("100%discount", None),
            ("%d0%bf", None),
            ("100%", None),
            ("50%é", None),
            ("%%", None),
        ] {
            assert_eq!(printf_verb(text), verb, "{text}");
        }
    }

    #[test]
    fn braces_split_and_doubled_braces_are_text() {
        assert_eq!(split(""), Ok(vec![]));
        assert_eq!(split("a:{b}"), Ok(vec![text("a:"), placeholder("b")]));
        assert_eq!(split("{{a}}"), Ok(vec![text("{a}")]));
        assert_eq!(
            split("{{{a}}}:{b.c()}!"),
            Ok(vec![
                text("{"),
                placeholder("a"),
                text("}:"),
                placeholder("b.c()"),
                text("!")
            ])
        );
    }

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
        fn text_is_kept_to_the_letter(key in "[^{}]{0,40}") {
            let pieces = split(&key).unwrap();
            prop_assert_eq!(pieces.len(), usize::from(!key.is_empty()));
            prop_assert!(pieces.iter().all(|piece| *piece == text(&key)));
        }

        #[test]
        fn doubling_braces_gives_the_text_back(key in "[a{}:]{1,40}") {
            let doubled = key.replace('{', "{{").replace('}', "}}");
            prop_assert_eq!(split(&doubled), Ok(vec![text(&key)]));
        }

        #[test]
        fn any_template_is_answered(key in "[a-b{}:.>0?\\PC]{0,40}") {
            let _answer = split(&key);
        }

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
