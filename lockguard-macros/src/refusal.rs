//! What cannot run under a lock, and what to do instead.

use proc_macro2::{Ident, TokenStream};
use syn::{
    Attribute, ExprAsync, ExprClosure, ExprReturn, Item, ReturnType, Signature, Token, Type,
    Visibility,
    ext::IdentExt,
    parse::{ParseStream, Parser},
    token::Brace,
    visit::Visit,
};

use crate::{
    error::Errors,
    output,
    target::{Body, Braced, mentions},
};

/// Whether the attribute stands on an item, and not on a statement or an
/// expression, where nothing could follow the mistakes.
pub(crate) fn is_item(item: &TokenStream) -> bool {
    let read = |input: ParseStream<'_>| {
        let _attributes = input.call(Attribute::parse_outer)?;
        let _visibility: Visibility = input.parse()?;
        let kind = other_item(input);
        let _rest: TokenStream = input.parse()?;
        Ok(!matches!(kind, Some("expression" | "statement")))
    };
    read.parse2(item.clone()).unwrap_or_default()
}

/// Refuses what is no function; consumes nothing.
pub(crate) fn refuse_other_item(input: ParseStream<'_>) -> syn::Result<()> {
    let Some(kind) = other_item(input) else {
        return Ok(());
    };
    let article = if kind.starts_with(['a', 'e', 'i']) {
        "an"
    } else {
        "a"
    };
    Err(input.error(format!(
        "`#[distributed_lock]` goes on an async function, not on {article} {kind}{}",
        hint(kind)
    )))
}

/// What an item is called, if it is no function.
fn other_item(input: ParseStream<'_>) -> Option<&'static str> {
    let ahead = input.fork();
    let first = ahead.call(Ident::parse_any).ok();
    let second = ahead.call(Ident::parse_any).ok();
    let second = second.map(|word| word.to_string());
    let Some(first) = first else {
        return Some("expression");
    };
    Some(match first.to_string().as_str() {
        "fn" | "async" | "unsafe" => match second.as_deref() {
            Some("impl") => "impl block",
            Some("trait") => "trait",
            Some("move") => "expression",
            _ if input.peek2(Brace) || input.peek2(Token![|]) => "expression",
            _ => return None,
        },
        "extern" => match second.as_deref() {
            Some("crate") => "extern crate",
            None if is_extern_block(input) => "extern block",
            _ => return None,
        },
        "const" => match second.as_deref() {
            Some("fn" | "async" | "unsafe" | "extern") => return None,
            _ => "constant",
        },
        "struct" => "struct",
        "enum" => "enum",
        "union" if second.is_some() => "union",
        "trait" => "trait",
        "impl" => "impl block",
        "mod" => "module",
        "static" => "static",
        "type" => "type alias",
        "use" => "import",
        "macro_rules" | "macro" => "macro",
        "let" => "statement",
        _ => "expression",
    })
}

fn is_extern_block(input: ParseStream<'_>) -> bool {
    let ahead = input.fork();
    ahead.parse::<syn::Abi>().is_ok() && ahead.peek(Brace)
}

fn hint(kind: &str) -> &'static str {
    match kind {
        "impl block" | "trait" => ": put it on each method that needs the lock",
        "expression" | "statement" => {
            ": move the code into a function, or use `manager.lock(key, ttl).run(async |_| { … })`"
        }
        _ => "",
    }
}

/// Functions that cannot wait for a lock, whatever their body.
pub(crate) fn refuse_kind(signature: &Signature, errors: &mut Errors) {
    let name = signature.ident.unraw();
    if let Some(constness) = &signature.constness {
        errors.at(
            constness,
            format!("`{name}` is const, and a lock is taken at run time: remove `const`"),
        );
    }
    if let Some(abi) = &signature.abi {
        errors.at(
            abi,
            format!(
                "`{name}` is called from another language, which cannot await it: lock an async \
                 function that it calls"
            ),
        );
    } else if let Some(variadic) = &signature.variadic {
        errors.at(
            variadic,
            format!("`{name}` takes any number of arguments, which an async function cannot"),
        );
    }
    if let ReturnType::Type(_, output) = &signature.output
        && matches!(**output, Type::Never(_))
    {
        errors.at(
            output,
            format!(
                "`{name}` never returns, so its lock would never be released: lock one round \
                     of its loop, in a function of its own"
            ),
        );
    }
    if name == "main" && signature.inputs.is_empty() {
        errors.at(
            &signature.ident,
            "`main` registers the lock manager, so it cannot run under a lock: lock a function \
             that it calls",
        );
    }
}

/// A function that is not async, and returns no future that can be locked.
pub(crate) fn refuse_blocking(
    attributes: &[Attribute],
    signature: &Signature,
    body: &Braced,
    errors: &mut Errors,
) {
    let name = signature.ident.unraw();
    let test = attributes.iter().find(|attribute| {
        let segments = &attribute.path().segments;
        segments.last().is_some_and(|last| last.ident == "test")
    });
    if let Some(test) = test {
        errors.at(
            test,
            format!(
                "the test attribute has made `{name}` a function that is not async: put \
                 `#[distributed_lock]` above it"
            ),
        );
    } else if mentions(&body.tokens, "block_on") {
        errors.at(
            &signature.ident,
            format!(
                "`{name}` blocks on its future: put `#[distributed_lock]` above `#[tokio::main]` \
                 or `#[tokio::test]`, or on the async function that `block_on` is given"
            ),
        );
    } else if output::of_future(&output::declared(signature)).is_some() {
        errors.at(
            &signature.output,
            format!(
                "`{name}` returns a future that it does not end with: end its body with \
                 `async move {{ … }}` or `Box::pin(async move {{ … }})`, which then runs under \
                 the lock"
            ),
        );
    } else {
        errors.at(
            signature.fn_token,
            format!(
                "`{name}` is not async, and taking a lock waits: write `async fn {name}`; \
                 blocking code calls it as `handle.block_on({name}(…))`, where `handle` is a \
                 `tokio::runtime::Handle`"
            ),
        );
    }
}

/// A future that a function returns before the one at its end has no lock.
pub(crate) fn refuse_early_futures(body: &Body, errors: &mut Errors) {
    let Body::Future { before, .. } = body else {
        return;
    };
    let mut early = EarlyReturn(None);
    for statement in before {
        early.visit_stmt(statement);
    }
    if let Some(word) = early.0 {
        errors.at(
            word,
            "a future that is returned here runs without the lock: decide inside the `async` \
             block at the end",
        );
    }
}

/// The first `return` of the function itself, and of nothing inside it.
struct EarlyReturn(Option<Token![return]>);

impl Visit<'_> for EarlyReturn {
    fn visit_expr_return(&mut self, expression: &ExprReturn) {
        self.0.get_or_insert(expression.return_token);
    }

    fn visit_expr_async(&mut self, _: &ExprAsync) {}

    fn visit_expr_closure(&mut self, _: &ExprClosure) {}

    fn visit_item(&mut self, _: &Item) {}
}
