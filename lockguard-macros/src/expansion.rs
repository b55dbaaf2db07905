//! The function as it is compiled.
//!
//! Everything that decides is in the runtime crate: what stands here evaluates
//! the options and calls it.
//! Introduced names begin with `__lockguard`; locals cannot meet the user's,
//! items would.

use std::time::Duration;

use proc_macro2::{Ident, Literal, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::{
    Block, Expr, LitStr, Pat, Stmt, Token, Type, ext::IdentExt as _, parse::Parser as _,
    spanned::Spanned,
};

use crate::{
    choice::{OnBusy, OnLost},
    duration::Length,
    error::Errors,
    key::Key,
    keys::Keys,
    model::Model,
    placeholder::Value,
    refusal::is_item,
    target::{Body, Braced, Target, Wrapper, mentions},
    template::Template,
};

// Input:  async fn f(a: A) -> R { body }
// Output: async fn f(a: A) -> R { locked(body) }
//
// Input:  fn f(a: A) -> Pin<Box<dyn Future<Output = R>>> { …; Box::pin(async move { body }) }
// Output: fn f(a: A) -> Pin<Box<dyn Future<Output = R>>> { …; Box::pin(async move { locked(body) }) }
pub(crate) fn expand(model: &Model) -> TokenStream {
    let Target {
        attributes,
        visibility,
        signature,
        inner_attributes,
        body,
        ..
    } = &model.target;
    let (brace, body) = match body {
        Body::Function(body) => (Some(body.brace), locked(model, body)),
        Body::Future {
            before,
            capture,
            block,
            wrappers,
        } => {
            let locked = locked(model, &using_arguments(model, block));
            // At the user's brace, whose scope `#[instrument]` below us looks for.
            let braces = Span::call_site().located_at(block.brace);
            let block = quote_spanned!(braces=> { #locked });
            // The lock borrows what the block may have only seen through, and
            // nothing is left behind that the block could borrow.
            let capture = capture.unwrap_or_else(|| Token![move](Span::mixed_site()));
            let block = quote_spanned!(Span::mixed_site()=> async #capture #block);
            let future = wrappers
                .iter()
                .fold(block, |future, wrapper| wrap(&future, wrapper));
            (None, quote!(#(#before)* #future))
        }
    };
    // The user's brace: lints suggest what to write before it.
    let braces = brace.map_or_else(Span::call_site, |brace| Span::call_site().located_at(brace));
    let body = quote_spanned!(braces=> { #(#inner_attributes)* #body });
    quote! {
        #(#attributes)*
        #visibility #signature #body
    }
}

// Input:  { let id = id; body }
// Output: { let id = id; let _ = &id; body }
//
// `#[async_trait]` binds every argument anew inside the block: one that the
// options name is used, also where the body does without it.
fn using_arguments(model: &Model, block: &Braced) -> Braced {
    let request = request(model);
    let use_of = |name: &Ident| {
        mentions(&request, &name.unraw().to_string())
            .then(|| quote_spanned!(Span::mixed_site()=> let _ = &#name;))
    };
    let statements = Block::parse_within.parse2(block.tokens.clone());
    let tokens = statements.map(|statements| {
        let used = statements.iter().map(|statement| {
            let used = bound_anew(statement).and_then(use_of);
            quote!(#statement #used)
        });
        used.collect()
    });
    Braced {
        brace: block.brace,
        tokens: tokens.unwrap_or_else(|_| block.tokens.clone()),
    }
}

/// The name in `let name = name;`.
fn bound_anew(statement: &Stmt) -> Option<&Ident> {
    let Stmt::Local(local) = statement else {
        return None;
    };
    let (Pat::Ident(pattern), Some(init)) = (&local.pat, &local.init) else {
        return None;
    };
    let is_itself = matches!(&*init.expr, Expr::Path(path) if path.path.is_ident(&pattern.ident));
    is_itself.then_some(&pattern.ident)
}

// Input:  the mistakes, and the item that the attribute stands on
// Output: every mistake, then the item as it was, so that its callers and
//         editors do not fail too
pub(crate) fn refuse(errors: &Errors, item: &TokenStream) -> TokenStream {
    let errors = errors.to_compile_errors();
    if !is_item(item) {
        return errors;
    }
    quote! {
        #errors
        #[allow(unused_variables)]
        #item
    }
}

// Input:  { body }
// Output: the whole of a locked function's body:
//
//     use ::lockguard::__private as __lockguard;
//     let request = { …; request(key, ttl, point).wait(wait) };
//     return locked::<R, _>(request, async move { body }).await;
//
// One call of the runtime and one await, which are most of what the attribute
// costs the compiler: the runtime's future acquires, polls the body, drops it,
// and releases.
//
// With `on_error`, or `on_busy = skip`:
//
//     return match try_locked(request, async move { body }).await {
//         Ok(value) => value,
//         Err(error) => …,
//     };
//
// With `on_busy = expr`, which may move the arguments that the body takes:
//
//     let acquired = match unless_busy(acquire(request).await) {
//         Ok(acquired) => acquired,
//         Err(_) => return expr,
//     };
//     return match locked_since(acquired, async move { body }).await { … };
//
// Not acquired and lost meet in one place: what the user gave as `on_error`
// appears once, and so do the errors in it.
fn locked(model: &Model, body: &Braced) -> TokenStream {
    let site = Span::mixed_site();
    let runtime = runtime(model);
    let request = request(model);
    let body = body_future(model, body);
    let output = &model.target.output;
    // At the return type: the runtime's future holds the value over the
    // release, and a value that is not `Send` is reported there.
    let place = place_of(output);
    let tried = quote_spanned!(place=> __lockguard::try_locked(__lockguard_request, #body));
    let failed = failed(model);
    let ended = match (&model.on_busy, &model.on_error) {
        (OnBusy::Error, None) => quote_spanned! {place=>
            return __lockguard::locked::<#output, _>(__lockguard_request, #body).await;
        },
        (OnBusy::Error, Some(_)) => or_else(&tried, &failed),
        (OnBusy::Skip, _) => {
            let skipped = quote_spanned! {site=>
                match __lockguard::if_not_busy(__lockguard_error) {
                    __lockguard::Ok(__lockguard_error) => #failed,
                    __lockguard::Err(_) => __lockguard::skipped::<#output>(),
                }
            };
            or_else(&tried, &skipped)
        }
        (OnBusy::Value(value), _) => {
            let acquired = unless_busy(output, value);
            let tried =
                quote_spanned!(place=> __lockguard::locked_since(__lockguard_acquired, #body));
            let ended = or_else(&tried, &failed);
            quote_spanned!(site=> #acquired #ended)
        }
    };
    quote_spanned! {site=>
        #runtime
        let __lockguard_request = #request;
        #ended
    }
}

// Input:  try_locked(…), fail::<R>(error)
// Output: return match try_locked(…).await {
//     Ok(value) => value,
//     Err(error) => fail::<R>(error),
// };
fn or_else(tried: &TokenStream, failed: &TokenStream) -> TokenStream {
    quote_spanned! {Span::mixed_site()=>
        return match #tried.await {
            __lockguard::Ok(__lockguard_value) => __lockguard_value,
            __lockguard::Err(__lockguard_error) => #failed,
        };
    }
}

// Input:  on_busy = expr
// Output: let acquired = match unless_busy(acquire(request).await) {
//     Ok(acquired) => acquired,
//     Err(_) => { let value: R = if false { never() } else { expr }; return value; }
// };
//
// The expression stands where the body's surroundings are: it sees all
// arguments, moves them if it likes, awaits and uses `?`; one that panics is
// nothing to warn of.
fn unless_busy(output: &Type, value: &Expr) -> TokenStream {
    quote_spanned! {Span::mixed_site()=>
        let __lockguard_acquire = __lockguard::acquire(__lockguard_request);
        let __lockguard_acquired = match __lockguard::unless_busy(__lockguard_acquire.await) {
            __lockguard::Ok(__lockguard_acquired) => __lockguard_acquired,
            __lockguard::Err(_) => {
                let __lockguard_value: #output = if false { __lockguard::never() } else { #value };
                return __lockguard_value;
            }
        };
    }
}

// Output: use ::lockguard::__private as __lockguard;
//
// One import, so that a missing crate is one error.
fn runtime(model: &Model) -> TokenStream {
    let site = Span::mixed_site();
    let path = if let Some(path) = &model.crate_path {
        path.to_token_stream()
    } else {
        quote_spanned!(site=> ::lockguard)
    };
    quote_spanned!(site=> use #path::__private as __lockguard;)
}

// Input:  key = "seat:{seat_id}", ttl = "2s", wait = "5s"
// Output: __lockguard::request_at(&["seat:", ""], &[&seat_id], 2000, "point")
//     .wait(__lockguard::Duration::from_millis(5000))
//
// Input:  key = "seat:{seat_id}", ttl = "2s", wait = expr
// Output: {
//     let __lockguard_key = __lockguard::key(&["seat:", ""], &[&seat_id]);
//     let __lockguard_ttl = __lockguard::Duration::from_millis(2000);
//     let __lockguard_wait: __lockguard::Duration = expr;
//     __lockguard::request(__lockguard_key, __lockguard_ttl, "point").wait(__lockguard_wait)
// }
//
// Input:  manager = expr
// Output: {
//     …
//     let __lockguard_manager = __lockguard::manager_of(&expr);
//     __lockguard::request_of(__lockguard_manager, __lockguard_key, …)
// }
//
// A block, so that nothing in it lives over the await; a statement for each
// expression, so that a `MutexGuard` in one is gone before the next.
// Where the key is the only expression, it is one call: that is how most
// functions are written, and each call costs the compiler.
fn request(model: &Model) -> TokenStream {
    let site = Span::mixed_site();
    if let Some(request) = request_of_literals(model) {
        return request;
    }
    let request = match (&model.keys, &model.manager) {
        (Keys::One(_), None) => "request",
        (Keys::One(_), Some(_)) => "request_of",
        (Keys::List(_) | Keys::Each(_), None) => "request_all",
        (Keys::List(_) | Keys::Each(_), Some(_)) => "request_all_of",
    };
    let request = Ident::new(request, site);
    let key = keys(&model.keys);
    let ttl = duration("__lockguard_ttl", &model.ttl);
    let point = point(model);
    let wait = model.wait.as_ref().map(|wait| with("wait", wait));
    let max_hold = model.max_hold.as_ref().map(|hold| with("max_hold", hold));
    let min_hold = model.min_hold.as_ref().map(|hold| with("min_hold", hold));
    let (lengths, calls): (Vec<_>, Vec<_>) =
        [wait, max_hold, min_hold].into_iter().flatten().unzip();
    let kinds = kinds(model);
    let manager = model.manager.as_ref().map(|manager| {
        let place = place_of(manager);
        let manager = borrowed(manager);
        let manager = quote_spanned!(place=> __lockguard::manager_of(#manager));
        quote_spanned!(site=> let __lockguard_manager = #manager;)
    });
    let given = manager
        .as_ref()
        .map(|_| quote_spanned!(site=> __lockguard_manager,));
    quote_spanned! {site=>
        {
            let __lockguard_key = #key;
            #ttl
            #(#lengths)*
            #manager
            __lockguard::#request(#given __lockguard_key, __lockguard_ttl, #point)
                #(#calls)*
                #kinds
        }
    }
}

// Output: the one call, and `None` where an option is an expression
fn request_of_literals(model: &Model) -> Option<TokenStream> {
    let site = Span::mixed_site();
    let (Keys::One(Key::Template(template)), None) = (&model.keys, &model.manager) else {
        return None;
    };
    let lengths = [
        ("wait", &model.wait),
        ("max_hold", &model.max_hold),
        ("min_hold", &model.min_hold),
    ];
    let mut calls = TokenStream::new();
    for (option, length) in lengths {
        let Some(length) = length else { continue };
        let (option, millis) = (Ident::new(option, site), millis(length.literal()?));
        calls.extend(quote_spanned! {site=>
            .#option(__lockguard::Duration::from_millis(#millis))
        });
    }
    let ttl = millis(model.ttl.literal()?);
    let (texts, values) = parts(template);
    let point = point(model);
    let kinds = kinds(model);
    Some(quote_spanned! {site=>
        __lockguard::request_at(#texts, #values, #ttl, #point) #calls #kinds
    })
}

// Input:  fence = ident, on_lost = finish
// Output: .fenced().on_lost(__lockguard::OnLost::Finish)
fn kinds(model: &Model) -> TokenStream {
    let site = Span::mixed_site();
    let fenced = model
        .fence
        .as_ref()
        .map(|_| quote_spanned!(site=> .fenced()));
    let on_lost = match model.on_lost {
        OnLost::Cancel => None,
        OnLost::Finish => Some(quote_spanned!(site=> .on_lost(__lockguard::OnLost::Finish))),
    };
    quote_spanned!(site=> #fenced #on_lost)
}

// Input:  wait = "5s"
// Output: let __lockguard_wait = __lockguard::Duration::from_millis(5000);
//         .wait(__lockguard_wait)
fn with(option: &str, length: &Length) -> (TokenStream, TokenStream) {
    let site = Span::mixed_site();
    let name = format!("__lockguard_{option}");
    let statement = duration(&name, length);
    let name = Ident::new(&name, site);
    let option = Ident::new(option, site);
    (statement, quote_spanned!(site=> .#option(#name)))
}

// Input:  key = "seat:{seat_id}"
// Output: __lockguard::key(&["seat:", ""], &[&seat_id])
//
// Input:  keys = ["seat:{from}", to]
// Output: {
//     let __lockguard_key_0 = __lockguard::key(&["seat:", ""], &[&from]);
//     let __lockguard_key_1 = __lockguard::raw_key(&to);
//     __lockguard::keys([__lockguard_key_0, __lockguard_key_1])
// }
//
// Input:  keys = expr
// Output: __lockguard::raw_keys(expr)
fn keys(keys: &Keys) -> TokenStream {
    let site = Span::mixed_site();
    match keys {
        Keys::One(one) => key(one),
        Keys::List(list) => {
            let names: Vec<Ident> = (0..list.len())
                .map(|at| Ident::new(&format!("__lockguard_key_{at}"), site))
                .collect();
            let list = list.iter().map(key);
            quote_spanned! {site=>
                {
                    #(let #names = #list;)*
                    __lockguard::keys([#(#names),*])
                }
            }
        }
        Keys::Each(expr) => {
            quote_spanned!(place_of(expr)=> __lockguard::raw_keys(#expr))
        }
    }
}

// Input:  "seat:{seat_id}:{row:>04}"
// Output: __lockguard::key(&["seat:", ":", ""], &[&seat_id, &__lockguard::padded(&row, 4)])
//
// Input:  expr
// Output: __lockguard::raw_key(&expr)
fn key(key: &Key) -> TokenStream {
    let site = Span::mixed_site();
    match key {
        Key::Expression(expr) => {
            let (place, expr) = (place_of(expr), borrowed(expr));
            quote_spanned!(place=> __lockguard::raw_key(#expr))
        }
        Key::Template(template) => {
            let (texts, values) = parts(template);
            quote_spanned!(site=> __lockguard::key(#texts, #values))
        }
    }
}

// Input:  name
// Output: &name
//
// Input:  "seat:".to_owned() + name
// Output: &("seat:".to_owned() + name)
fn borrowed(expr: &Expr) -> TokenStream {
    let place = place_of(expr);
    if binds_less_than_a_borrow(expr) {
        quote_spanned!(place=> &(#expr))
    } else {
        quote_spanned!(place=> &#expr)
    }
}

fn binds_less_than_a_borrow(expr: &Expr) -> bool {
    match expr {
        Expr::Binary(_) | Expr::Cast(_) | Expr::Range(_) => true,
        // An expression that came through `macro_rules` is not kept together by
        // its invisible group.
        Expr::Group(group) => binds_less_than_a_borrow(&group.expr),
        _ => false,
    }
}

// Input:  "seat:{seat_id}:{row:>04}"
// Output: &["seat:", ":", ""]
//         &[&seat_id, &__lockguard::padded(&row, 4)]
fn parts(template: &Template) -> (TokenStream, TokenStream) {
    let Template {
        literal,
        texts,
        values,
    } = template;
    let site = Span::mixed_site();
    let texts = texts.iter().map(|text| LitStr::new(text, literal.span()));
    // The literal's place, so that a value without `Display` is underlined there.
    let place = place_of(literal);
    let values = values.iter().map(|Value { expr, width }| match width {
        None => quote_spanned!(place=> &#expr),
        Some(width) => {
            let width = Literal::usize_unsuffixed(*width);
            quote_spanned!(place=> &__lockguard::padded(&#expr, #width))
        }
    });
    (
        quote_spanned!(site=> &[#(#texts),*]),
        quote_spanned!(site=> &[#(#values),*]),
    )
}

/// Names of ours, underlined as what the user wrote.
fn place_of(tokens: &impl Spanned) -> Span {
    Span::mixed_site().located_at(tokens.span())
}

// Input:  __lockguard_ttl, "2s"
// Output: let __lockguard_ttl = __lockguard::Duration::from_millis(2000);
//
// Input:  __lockguard_ttl, expr
// Output: let __lockguard_ttl: __lockguard::Duration = expr;
fn duration(name: &str, duration: &Length) -> TokenStream {
    let site = Span::mixed_site();
    let name = Ident::new(name, site);
    match duration {
        Length::Expression(expr) => {
            let ty = quote_spanned!(place_of(expr)=> __lockguard::Duration);
            quote_spanned!(site=> let #name: #ty = #expr;)
        }
        Length::Literal(literal) => {
            let millis = millis(*literal);
            quote_spanned!(site=> let #name = __lockguard::Duration::from_millis(#millis);)
        }
    }
}

fn millis(literal: Duration) -> Literal {
    // At most a year, by `Bounds`.
    Literal::u64_unsuffixed(u64::try_from(literal.as_millis()).unwrap_or(u64::MAX))
}

// Output: "name", or `module::function`
fn point(model: &Model) -> TokenStream {
    if let Some(name) = &model.name {
        name.to_token_stream()
    } else {
        let function = format!("::{}", model.target.name());
        quote_spanned! {Span::mixed_site()=>
            __lockguard::concat!(__lockguard::module_path!(), #function)
        }
    }
}

// Input:  bind = lease, fence = token
// Output: let lease = __lockguard::lease();
//         let token = __lockguard::fence();
//
// The names are the user's, where the user wrote them: one that the body does
// not use is a warning there.
fn bindings(model: &Model) -> TokenStream {
    let site = Span::mixed_site();
    let lease = model
        .bind
        .as_ref()
        .map(|name| quote_spanned!(site=> let #name = __lockguard::lease();));
    let token = model
        .fence
        .as_ref()
        .map(|name| quote_spanned!(site=> let #name = __lockguard::fence();));
    quote_spanned!(site=> #lease #token)
}

// Input:  { body }
// Output: async move {
//     let _ = &a;
//     let lease = lease();                                // only with `bind = lease`
//     if false { return never::<R>(); }
//     { body }
// }
//
// What never runs tells the compiler the type of the block, so that a mistake in
// the body is reported where it is; not by a `loop {}`, whose `allow` of unreachable
// code a crate that forbids `unused` would be told of.
// The body keeps a block of its own, for what it declares must not shadow `R`.
fn body_future(model: &Model, body: &Braced) -> TokenStream {
    let captures = model.target.capture_arguments();
    let bindings = bindings(model);
    let output = &model.target.output;
    let Braced { brace, tokens } = body;
    // At the user's brace, so that "expected `i32`, found `()`" shows it; not
    // of the user's making, so that no lint calls the block superfluous.
    let braces = Span::call_site().located_at(*brace);
    let body = quote_spanned!(braces=> { #tokens });
    // Messages of the compiler point here: at the body and at the return type, and
    // not at the whole attribute.
    let site = Span::mixed_site();
    let (block, place) = (site.located_at(*brace), place_of(output));
    let returned = quote_spanned!(place=> return __lockguard::never::<#output>(););
    quote_spanned! {block=>
        async move {
            #captures
            #bindings
            if false {
                #returned
            }
            #body
        }
    }
}

// Output: __lockguard::fail::<R>(error), or on_error::<R>(handler, error)
fn failed(model: &Model) -> TokenStream {
    let site = Span::mixed_site();
    let output = &model.target.output;
    match &model.on_error {
        None => quote_spanned!(site=> __lockguard::fail::<#output>(__lockguard_error)),
        Some(handler) => quote_spanned! {place_of(handler)=>
            __lockguard::on_error::<#output>(#handler, __lockguard_error)
        },
    }
}

// Input:  async move { … }
// Output: Box::pin(async move { … }), or async move { … }.boxed()
fn wrap(future: &TokenStream, wrapper: &Wrapper) -> TokenStream {
    match wrapper {
        Wrapper::Call(function) => quote!(#function(#future)),
        Wrapper::Method(method) => quote!(#future.#method()),
    }
}
