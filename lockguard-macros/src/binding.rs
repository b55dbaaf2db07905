//! Names that the attribute brings into the body: `bind = lease`.

use proc_macro2::Ident;
use syn::{Expr, ExprLit, Lit, ext::IdentExt};

use crate::{
    argument::unwrapped,
    error::Errors,
    target::{Target, plain},
};

/// Reads the value of an option that names a new variable.
pub(crate) fn parse(
    option: &str,
    example: &str,
    value: &Expr,
    target: &Target,
    errors: &mut Errors,
) -> Option<Ident> {
    let problem = match unwrapped(value) {
        Expr::Path(path) if path.attrs.is_empty() => match path.path.get_ident() {
            Some(name) if is_variable(name) => {
                let Some(problem) = taken(option, example, name, target) else {
                    return Some(name.clone());
                };
                problem
            }
            _ => takes_a_name(option, example),
        },
        Expr::Lit(ExprLit {
            lit: Lit::Str(text),
            ..
        }) if syn::parse_str::<Ident>(&text.value()).is_ok() => format!(
            "`{option}` takes a name, not text: write `{option} = {}`",
            text.value()
        ),
        Expr::Infer(_) => {
            format!("`{option}` without a name binds nothing: write `{example}`, or remove it")
        }
        _ => takes_a_name(option, example),
    };
    errors.at(value, problem);
    None
}

/// A name that a pattern would not take for a constant or a type.
fn is_variable(name: &Ident) -> bool {
    let name = name.unraw().to_string();
    !name.starts_with(char::is_uppercase) && !["self", "super", "crate"].contains(&name.as_str())
}

/// A variable of an argument's name would hide the argument.
fn taken(option: &str, example: &str, name: &Ident, target: &Target) -> Option<String> {
    let is_argument = target.arguments().any(|argument| argument == plain(name));
    let other = if example.ends_with(&format!(" {name}")) {
        format!("{option} = held_{name}")
    } else {
        example.to_owned()
    };
    is_argument.then(|| {
        format!(
            "`{name}` is an argument of `{}`, and the body could not use it any more: choose \
             another name, such as `{other}`",
            target.name()
        )
    })
}

fn takes_a_name(option: &str, example: &str) -> String {
    format!("`{option}` takes the name of a new variable: write `{example}`")
}
