//! Templates: text with values in braces.

use quote::ToTokens;
use syn::LitStr;

use crate::{error::Errors, key::Place, placeholder::Value};

/// Text with values between: one text more than values.
pub(crate) struct Template {
    pub(crate) literal: LitStr,
    pub(crate) texts: Vec<String>,
    pub(crate) values: Vec<Value>,
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

    /// Reads a literal, and reports everything that is wrong with it.
    pub(crate) fn parse(literal: &LitStr, place: Place<'_>, errors: &mut Errors) -> Option<Self> {
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

/// Whether it would be a template where it stood alone.
pub(crate) fn has_placeholder(literal: &LitStr) -> bool {
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
        fn what_is_split_is_the_whole_template(key in "[a-b{}:.>0?\\PC]{0,40}") {
            if let Ok(pieces) = split(&key) {
                let written = |piece: &Piece| match piece {
                    Piece::Text(text) => text.replace('{', "{{").replace('}', "}}"),
                    Piece::Placeholder(source) => format!("{{{source}}}"),
                };
                let whole: String = pieces.iter().map(written).collect();
                prop_assert_eq!(whole, key);
            }
        }
    }
}
