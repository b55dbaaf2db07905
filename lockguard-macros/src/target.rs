//! The function under the attribute.

use proc_macro2::{Group, Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote_spanned};
use syn::{
    Attribute, Block, Expr, ExprAsync, FnArg, Pat, ReceiverKind, Signature, Stmt, Token, Type,
    Visibility, braced,
    ext::IdentExt,
    parse::{ParseStream, Parser},
    token::Brace,
};

use crate::{
    error::Errors,
    output,
    refusal::{refuse_blocking, refuse_early_futures, refuse_kind, refuse_other_item},
};

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
            refuse_other_item(input)?;
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
        let (block, inner_attributes) = block(&signature, rest, errors);
        let is_sound = errors.count() == before;
        let arguments = arguments(&signature);
        let mut output = output::declared(&signature);
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

/// The function's block, and the attributes at its head; an empty one where
/// there is none, which is answered.
fn block(
    signature: &Signature,
    rest: TokenStream,
    errors: &mut Errors,
) -> (Braced, Vec<Attribute>) {
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
    let block = Braced {
        brace: brace.span.join(),
        tokens,
    };
    (block, inner_attributes)
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

/// A name without a needless prefix: `r#id` is `id`, while `r#type` stays.
pub(crate) fn plain(name: &Ident) -> String {
    let plain = name.unraw().to_string();
    if syn::parse_str::<Ident>(&plain).is_ok() {
        plain
    } else {
        name.to_string()
    }
}

/// Whether a name occurs, also in the text of `println!("{name}")`.
pub(crate) fn mentions(tokens: &TokenStream, name: &str) -> bool {
    tokens.clone().into_iter().any(|token| match token {
        TokenTree::Ident(ident) => ident.unraw() == name,
        TokenTree::Group(group) => mentions(&group.stream(), name),
        TokenTree::Literal(literal) => literal.to_string().contains(&format!("{{{name}")),
        TokenTree::Punct(_) => false,
    })
}
