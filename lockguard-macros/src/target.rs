//! The function under the attribute.

use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote_spanned};
use syn::{
    Attribute, Block, Expr, ExprAsync, FnArg, Pat, ReceiverKind, ReturnType, Signature, Stmt,
    Token, Type, Visibility, braced,
    ext::IdentExt,
    parse::{ParseStream, Parser},
    token::Brace,
};

use crate::{error::Errors, output};

/// A function whose body can run under a lock.
pub(crate) struct Target {
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) visibility: Visibility,
    pub(crate) signature: Signature,
    pub(crate) inner_attributes: Vec<Attribute>,
    pub(crate) body: Body,
    /// The type of the body's value, `_` for every part that has no name.
    pub(crate) output: Type,
    arguments: Vec<Argument>,
}

/// What runs under the lock.
pub(crate) enum Body {
    /// The body of an `async fn`.
    Function(Braced),
    /// The async block that a function ends with and returns.
    Future {
        /// The statements before it, which run when the function is called.
        before: Vec<Stmt>,
        capture: Option<Token![move]>,
        block: Braced,
        /// What is put around the block, from the inside out.
        wrappers: Vec<Wrapper>,
    },
}

/// Tokens in braces, unparsed: an editor completes in a body that does not
/// parse yet.
pub(crate) struct Braced {
    pub(crate) brace: Span,
    pub(crate) tokens: TokenStream,
}

/// What turns an async block into the function's return value.
pub(crate) enum Wrapper {
    /// `Box::pin( … )`
    Call(Box<Expr>),
    /// `….boxed()`
    Method(Ident),
}

/// A name that an argument brings into the body.
struct Argument {
    name: Ident,
    /// Whether its type is a reference, so that the caller owns what it names.
    is_borrowed: bool,
    /// Whether its type is a collection, which yields its items by reference.
    is_list: bool,
    /// `#[cfg(…)]` on the argument; the name is there only where it holds.
    conditions: Vec<Attribute>,
}

impl Target {
    /// Reads the item; `None` when it is no function at all.
    pub(crate) fn parse(item: &TokenStream, errors: &mut Errors) -> Option<Self> {
        let read = (|input: ParseStream<'_>| {
            let attributes = input.call(Attribute::parse_outer)?;
            let visibility: Visibility = input.parse()?;
            if let Some(kind) = other_item(input) {
                let article = if kind.starts_with(['a', 'e', 'i']) {
                    "an"
                } else {
                    "a"
                };
                return Err(input.error(format!(
                    "`#[distributed_lock]` goes on an async function, not on {article} {kind}{}",
                    hint(kind)
                )));
            }
            let signature: Signature = input.parse()?;
            let rest: TokenStream = input.parse()?;
            Ok((attributes, visibility, signature, rest))
        })
        .parse2(item.clone());
        match read {
            Ok((attributes, visibility, signature, rest)) => {
                Some(Self::check(attributes, visibility, signature, rest, errors))
            }
            Err(error) => {
                errors.at_span(error.span(), error);
                None
            }
        }
    }

    fn check(
        attributes: Vec<Attribute>,
        visibility: Visibility,
        signature: Signature,
        rest: TokenStream,
        errors: &mut Errors,
    ) -> Self {
        let before = errors.count();
        refuse_kind(&signature, errors);
        let read = |input: ParseStream<'_>| {
            let content;
            let brace = braced!(content in input);
            let inner_attributes = content.call(Attribute::parse_inner)?;
            let tokens = content.parse()?;
            let _rest: TokenStream = input.parse()?;
            Ok((brace, inner_attributes, tokens))
        };
        let (brace, inner_attributes, tokens) = read.parse2(rest).unwrap_or_else(|_| {
            errors.at(
                &signature.ident,
                format!(
                    "`{}` has no body to run under the lock: give it one here, or put the \
                     attribute on the function that has it",
                    signature.ident.unraw()
                ),
            );
            (Brace::default(), Vec::new(), TokenStream::new())
        });
        let is_sound = errors.count() == before;
        let arguments = arguments(&signature);
        let mut output = output::declared(&signature);
        let block = Braced {
            brace: brace.span.join(),
            tokens,
        };
        let body = if signature.asyncness.is_none() && is_sound {
            if let Some(body) = returned_future(&block) {
                refuse_early_futures(&body, errors);
                output = output::of_future(&output).unwrap_or_else(|| output::infer(&output));
                body
            } else {
                refuse_blocking(&attributes, &signature, &block, errors);
                Body::Function(block)
            }
        } else {
            Body::Function(block)
        };
        output::erase_opaque(&mut output);
        Self {
            attributes,
            visibility,
            signature,
            inner_attributes,
            body,
            output,
            arguments,
        }
    }

    /// The function's name, without `r#`.
    pub(crate) fn name(&self) -> String {
        self.signature.ident.unraw().to_string()
    }

    /// The names that the arguments bring into the body.
    pub(crate) fn arguments(&self) -> impl Iterator<Item = String> {
        self.arguments.iter().map(|argument| plain(&argument.name))
    }

    /// Whether this argument is a collection that the function owns.
    pub(crate) fn is_list(&self, name: &Ident) -> bool {
        self.argument(name).is_some_and(|argument| argument.is_list)
    }

    /// Whether there are any, also such as `_`, which bring no name.
    pub(crate) fn has_arguments(&self) -> bool {
        !self.signature.inputs.is_empty()
    }

    pub(crate) fn has_receiver(&self) -> bool {
        self.signature.receiver().is_some()
    }

    // Input:  seat_id, in the literal
    // Output: seat_id, as the argument's own name
    //
    // A literal that came through `macro_rules` was written in another scope;
    // what it names is the argument all the same.
    pub(crate) fn resolve(&self, tokens: TokenStream) -> TokenStream {
        tokens
            .into_iter()
            .map(|token| match token {
                TokenTree::Ident(mut ident) => {
                    if let Some(scope) = self.scope_of(&ident) {
                        ident.set_span(scope.located_at(ident.span()));
                    }
                    TokenTree::Ident(ident)
                }
                TokenTree::Group(group) => {
                    let mut resolved = Group::new(group.delimiter(), self.resolve(group.stream()));
                    resolved.set_span(group.span());
                    TokenTree::Group(resolved)
                }
                token => token,
            })
            .collect()
    }

    fn scope_of(&self, name: &Ident) -> Option<Span> {
        if name == "self" {
            return Some(self.signature.receiver()?.self_token.span);
        }
        Some(self.argument(name)?.name.span())
    }

    fn argument(&self, name: &Ident) -> Option<&Argument> {
        let name = plain(name);
        self.arguments
            .iter()
            .find(|argument| plain(&argument.name) == name)
    }

    /// A template that fits the function, in quotes.
    pub(crate) fn example_key(&self) -> String {
        let name = self.name();
        match self.arguments.first() {
            Some(argument) => format!("`\"{name}:{{{}}}\"`", plain(&argument.name)),
            None => format!("`\"{name}\"`"),
        }
    }

    // Input:  async fn f(self, a: A, _b: B, c: &C, d: D) { … self … a … c … }
    // Output: let _ = &_b; let _ = &a; let _ = &self;
    //
    // An async block captures what it mentions, and fields rather than whole
    // values: a transaction that the body never names would be dropped after
    // the release. The last one first, which keeps a function's order of drops.
    // A name that is neither mentioned nor begins with `_` keeps its warning;
    // `self` has none.
    pub(crate) fn capture_arguments(&self) -> TokenStream {
        // What an async block written by hand captures is the user's choice.
        let Body::Function(body) = &self.body else {
            return TokenStream::new();
        };
        let arguments = self
            .arguments
            .iter()
            .rev()
            .filter(|argument| argument.belongs_to(body))
            .map(Argument::capture);
        let receiver = self.signature.receiver().and_then(|receiver| {
            let is_borrowed = match &receiver.kind {
                ReceiverKind::Value => false,
                ReceiverKind::Typed(_, ty) => matches!(**ty, Type::Reference(_)),
                _ => true,
            };
            let this = receiver.self_token;
            (!is_borrowed).then(|| quote_spanned!(Span::mixed_site()=> let _ = &#this;))
        });
        arguments.chain(receiver).collect()
    }
}

impl Argument {
    fn belongs_to(&self, body: &Braced) -> bool {
        let name = self.name.unraw().to_string();
        !self.is_borrowed && (name.starts_with('_') || mentions(&body.tokens, &name))
    }

    // Output: let _ = &a;
    fn capture(&self) -> TokenStream {
        let site = Span::mixed_site();
        let Self {
            name, conditions, ..
        } = self;
        // Or clippy would tell the user that `_name` is used.
        let allowed = name
            .to_string()
            .starts_with('_')
            .then(|| quote_spanned!(site=> #[allow(clippy::used_underscore_binding)]));
        quote_spanned!(site=> #(#conditions)* #allowed let _ = &#name;)
    }
}

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
fn refuse_kind(signature: &Signature, errors: &mut Errors) {
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
fn refuse_blocking(
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
fn refuse_early_futures(body: &Body, errors: &mut Errors) {
    let Body::Future { before, .. } = body else {
        return;
    };
    let early = before.iter().find_map(|statement| match statement {
        Stmt::Item(_) => None,
        statement => early_return(statement.to_token_stream()),
    });
    if let Some(word) = early {
        errors.at(
            word,
            "a future that is returned here runs without the lock: decide inside the `async` \
             block at the end",
        );
    }
}

/// The first `return` that is not that of an async block, a closure or a function.
fn early_return(tokens: TokenStream) -> Option<Ident> {
    let mut tokens = tokens.into_iter();
    // Whether the next braces belong to one: `async move {`, `fn f() -> A {`.
    let (mut is_async, mut is_function) = (false, false);
    let mut is_behind_value = false;
    let mut last = None;
    while let Some(token) = tokens.next() {
        match &token {
            TokenTree::Ident(word) if word == "return" => return Some(word.clone()),
            TokenTree::Ident(word) => {
                is_async = word == "async" || (is_async && word == "move");
                // Without a name it is a type.
                is_function |= last.is_some_and(|last| is_word(&last, "fn"));
                is_behind_value = !NO_VALUES.iter().any(|it| word == it);
            }
            TokenTree::Punct(sign) if sign.as_char() == '|' && !is_behind_value => {
                skip_closure(&mut tokens);
                is_async = false;
            }
            TokenTree::Punct(sign) => {
                is_async = false;
                is_function &= sign.as_char() != ';';
                // An operator may be two of these.
                is_behind_value = matches!(sign.as_char(), '?' | '|');
            }
            TokenTree::Group(group) => {
                let is_skipped = is_async || is_function;
                if !is_skipped && let Some(word) = early_return(group.stream()) {
                    return Some(word);
                }
                is_async = false;
                is_function &= group.delimiter() != Delimiter::Brace;
                is_behind_value = true;
            }
            TokenTree::Literal(_) => {
                is_async = false;
                is_behind_value = true;
            }
        }
        last = Some(token);
    }
    None
}

/// The words that a closure may follow: a `|` behind others is an operator, or
/// stands between patterns.
const NO_VALUES: [&str; 9] = [
    "async", "break", "else", "if", "in", "match", "move", "static", "while",
];

fn is_word(token: &TokenTree, text: &str) -> bool {
    matches!(token, TokenTree::Ident(word) if word == text)
}

/// Goes on to the end of a closure, from behind its first `|`; or of a pattern, which
/// may begin with one too.
fn skip_closure(tokens: &mut impl Iterator<Item = TokenTree>) {
    let mut is_body = false;
    // `-> A {` ends with its braces; a type has commas of its own.
    let mut has_type = false;
    let (mut last, mut before_last) = (' ', ' ');
    for token in tokens {
        let sign = match token {
            TokenTree::Punct(sign) => sign.as_char(),
            TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => '{',
            _ => ' ',
        };
        match sign {
            '>' if last == '=' => return,
            ',' | ';' if is_body && !has_type => return,
            '{' if has_type => return,
            '>' if (before_last, last) == ('|', '-') => has_type = true,
            '|' => is_body = true,
            _ => {}
        }
        (before_last, last) = (last, sign);
    }
}

/// The names in the arguments' patterns.
fn arguments(signature: &Signature) -> Vec<Argument> {
    let mut arguments = Vec::new();
    for input in &signature.inputs {
        let FnArg::Typed(input) = input else { continue };
        let conditions: Vec<Attribute> = input
            .attrs
            .iter()
            .filter(|attribute| attribute.path().is_ident("cfg"))
            .cloned()
            .collect();
        let mut names = Vec::new();
        bindings(&input.pat, &mut names);
        arguments.extend(names.into_iter().map(|name| Argument {
            name,
            is_borrowed: matches!(*input.ty, Type::Reference(_)),
            is_list: is_list(&input.ty),
            conditions: conditions.clone(),
        }));
    }
    arguments
}

fn is_list(ty: &Type) -> bool {
    let Type::Path(path) = ty else {
        return matches!(ty, Type::Array(_));
    };
    let name = path.path.segments.last().map(|last| last.ident.to_string());
    let name = name.unwrap_or_default();
    ["Vec", "VecDeque", "BTreeSet", "HashSet", "LinkedList"].contains(&name.as_str())
}

fn bindings(pattern: &Pat, names: &mut Vec<Ident>) {
    match pattern {
        Pat::Ident(pattern) => {
            // Without a colon, `None` in a pattern is a constant.
            let is_constant = pattern.ident.to_string().starts_with(char::is_uppercase);
            if !is_constant {
                names.push(pattern.ident.clone());
            }
            if let Some((_, inner)) = &pattern.subpat {
                bindings(inner, names);
            }
        }
        Pat::Reference(pattern) => bindings(&pattern.pat, names),
        Pat::Paren(pattern) => bindings(&pattern.pat, names),
        Pat::Tuple(pattern) => each_binding(pattern.elems.iter(), names),
        Pat::TupleStruct(pattern) => each_binding(pattern.elems.iter(), names),
        Pat::Slice(pattern) => each_binding(pattern.elems.iter(), names),
        Pat::Struct(pattern) => {
            each_binding(pattern.fields.iter().map(|field| &*field.pat), names);
        }
        // Each case binds the same names.
        Pat::Or(pattern) => each_binding(pattern.cases.first().into_iter(), names),
        _ => {}
    }
}

fn each_binding<'a>(patterns: impl Iterator<Item = &'a Pat>, names: &mut Vec<Ident>) {
    for pattern in patterns {
        bindings(pattern, names);
    }
}

/// The async block that a body ends with, as `#[async_trait]` writes it.
fn returned_future(body: &Braced) -> Option<Body> {
    let mut statements = Block::parse_within.parse2(body.tokens.clone()).ok()?;
    let Some(Stmt::Expr(mut last, None)) = statements.pop() else {
        return None;
    };
    let mut wrappers = Vec::new();
    loop {
        last = match last {
            Expr::Async(ExprAsync { capture, block, .. }) => {
                wrappers.reverse();
                return Some(Body::Future {
                    before: statements,
                    capture,
                    block: Braced {
                        brace: block.brace_token.span.join(),
                        tokens: block.stmts.iter().map(ToTokens::to_token_stream).collect(),
                    },
                    wrappers,
                });
            }
            Expr::Call(mut call) if call.args.len() == 1 && is_pin(&call.func) => {
                wrappers.push(Wrapper::Call(call.func));
                call.args.pop()?
            }
            Expr::MethodCall(call) if call.args.is_empty() && is_boxing(&call.method) => {
                wrappers.push(Wrapper::Method(call.method));
                *call.receiver
            }
            Expr::Paren(paren) => *paren.expr,
            Expr::Group(group) => *group.expr,
            _ => return None,
        };
    }
}

/// `Box::pin`, by whatever path.
fn is_pin(function: &Expr) -> bool {
    matches!(function, Expr::Path(path)
        if path.path.segments.last().is_some_and(|last| last.ident == "pin"))
}

fn is_boxing(method: &Ident) -> bool {
    method == "boxed" || method == "boxed_local"
}

/// A name as it is mostly written: `r#id` is `id`, while `r#type` stays.
pub(crate) fn plain(name: &Ident) -> String {
    let plain = name.unraw().to_string();
    if syn::parse_str::<Ident>(&plain).is_ok() {
        plain
    } else {
        name.to_string()
    }
}

/// Whether a name occurs, also in the text of `println!("{name}")`.
fn mentions(tokens: &TokenStream, name: &str) -> bool {
    tokens.clone().into_iter().any(|token| match token {
        TokenTree::Ident(ident) => ident.unraw() == name,
        TokenTree::Group(group) => mentions(&group.stream(), name),
        TokenTree::Literal(literal) => literal.to_string().contains(&format!("{{{name}")),
        TokenTree::Punct(_) => false,
    })
}
