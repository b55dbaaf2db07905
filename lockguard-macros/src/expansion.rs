//! The function as it is compiled.
//!
//! Everything that decides is in the runtime crate: what stands here evaluates
//! the options and calls it.
//! Introduced names begin with `__lockguard`; locals cannot meet the user's,
//! items would.

use proc_macro2::{Ident, Literal, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::{LitStr, Token, spanned::Spanned};

use crate::{
    choice::{OnBusy, OnLost},
    duration::Length,
    error::Errors,
    key::{Key, Template, Value},
    keys::Keys,
    model::Model,
    target::{self, Body, Braced, Target, Wrapper},
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
    let body = match body {
        Body::Function(body) => locked(model, body),
        Body::Future {
            before,
            capture,
            block,
            wrappers,
        } => {
            let locked = locked(model, block);
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
            quote!(#(#before)* #future)
        }
    };
    quote! {
        #(#attributes)*
        #visibility #signature {
            #(#inner_attributes)*
            #body
        }
    }
}

// Input:  the mistakes, and the item that the attribute stands on
// Output: every mistake, then the item as it was, so that its callers and
//         editors do not fail too
pub(crate) fn refuse(errors: &Errors, item: &TokenStream) -> TokenStream {
    let errors = errors.to_compile_errors();
    if !target::is_item(item) {
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
//     let error = 'failed: {
//         let acquire = { …; acquire(request(manager, key, ttl, point)) };
//         let guard = match acquire.await {
//             Ok(guard) => guard,
//             Err(error) => break 'failed error,              // without `on_busy`
//         };
//         let value = {
//             let lease = lease(&guard);                      // only with `bind = lease`
//             let body = async move { body };
//             let value = run(&guard, pin!(body)).await;
//             value
//         };
//         release(guard).await;
//         match value { Ok(value) => return value, Err(error) => error }
//     };
//     return fail::<R>(error);
//
// The guard is declared before the body and lent to it, so that the body and
// all it owns are dropped before the release, however it ends.
// The value has a name inside the block, and `run` is gone when it leaves: as
// the block's last expression the two would lie side by side in the future.
// Not acquire and lost meet in one place: what the user gave as `on_error`
// appears once, and so do the errors in it.
fn locked(model: &Model, body: &Braced) -> TokenStream {
    let runtime = runtime(model);
    let acquire = acquire(model);
    let bindings = bindings(model);
    let body = body_future(&model.target, body);
    let refused = refused(model);
    let failed = failed(model);
    // At the return type: the value lives over the release, and a value that
    // is not `Send` is reported there.
    let value = Ident::new("__lockguard_value", place_of(&model.target.output));
    quote_spanned! {Span::mixed_site()=>
        #runtime
        let __lockguard_error = '__lockguard_failed: {
            let __lockguard_acquire = #acquire;
            let __lockguard_guard = match __lockguard_acquire.await {
                __lockguard::Ok(__lockguard_guard) => __lockguard_guard,
                __lockguard::Err(__lockguard_error) => #refused,
            };
            let #value = {
                #bindings
                let __lockguard_body = #body;
                let __lockguard_body = __lockguard::pin!(__lockguard_body);
                let __lockguard_value = __lockguard::run(&__lockguard_guard, __lockguard_body).await;
                __lockguard_value
            };
            __lockguard::release(__lockguard_guard).await;
            match #value {
                __lockguard::Ok(__lockguard_value) => return __lockguard_value,
                __lockguard::Err(__lockguard_error) => __lockguard_error,
            }
        };
        return #failed;
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

// Input:  key = "seat:{seat_id}", ttl = "2s", wait = expr, manager = expr
// Output: {
//     let __lockguard_key = __lockguard::key(&["seat:", ""], &[&seat_id]);
//     let __lockguard_ttl = __lockguard::Duration::from_millis(2000);
//     let __lockguard_wait: __lockguard::Duration = expr;
//     let __lockguard_manager = __lockguard::manager_of(&expr);
//     __lockguard::acquire(__lockguard::request(…).wait(__lockguard_wait))
// }
//
// A block, so that nothing in it lives over the await; a statement for each
// expression, so that a `MutexGuard` in one is gone before the next.
fn acquire(model: &Model) -> TokenStream {
    let site = Span::mixed_site();
    let request = match &model.keys {
        Keys::One(_) => quote_spanned!(site=> request),
        Keys::List(_) | Keys::Each(_) => quote_spanned!(site=> request_all),
    };
    let key = keys(&model.keys);
    let ttl = duration("__lockguard_ttl", &model.ttl);
    let point = point(model);
    let wait = model.wait.as_ref().map(|wait| with("wait", wait));
    let max_hold = model.max_hold.as_ref().map(|hold| with("max_hold", hold));
    let min_hold = model.min_hold.as_ref().map(|hold| with("min_hold", hold));
    let (lengths, calls): (Vec<_>, Vec<_>) =
        [wait, max_hold, min_hold].into_iter().flatten().unzip();
    let fenced = model
        .fence
        .as_ref()
        .map(|_| quote_spanned!(site=> .fenced()));
    let on_lost = match model.on_lost {
        OnLost::Cancel => None,
        OnLost::Finish => Some(quote_spanned!(site=> .on_lost(__lockguard::OnLost::Finish))),
    };
    let manager = match &model.manager {
        None => quote_spanned!(site=> __lockguard::default_manager()),
        Some(manager) => {
            quote_spanned!(place_of(manager)=> __lockguard::manager_of(&#manager))
        }
    };
    quote_spanned! {site=>
        {
            let __lockguard_key = #key;
            #ttl
            #(#lengths)*
            let __lockguard_manager = #manager;
            __lockguard::acquire(
                __lockguard::#request(
                    __lockguard_manager,
                    __lockguard_key,
                    __lockguard_ttl,
                    #point,
                )
                #(#calls)*
                #fenced
                #on_lost
            )
        }
    }
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
            quote_spanned!(place_of(expr)=> __lockguard::raw_key(&#expr))
        }
        Key::Template(Template {
            literal,
            texts,
            values,
        }) => {
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
            quote_spanned!(site=> __lockguard::key(&[#(#texts),*], &[#(#values),*]))
        }
    }
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
        Length::Literal(duration) => {
            // At most a year, by `Bounds`.
            let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
            let millis = Literal::u64_unsuffixed(millis);
            quote_spanned!(site=> let #name = __lockguard::Duration::from_millis(#millis);)
        }
    }
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

// Output: break 'failed error
//
// Input:  on_busy = skip
// Output: match if_busy(error) {
//     Ok(_) => return skipped::<R>(),
//     Err(error) => break 'failed error,
// }
//
// Input:  on_busy = expr
// Output: match if_busy(error) {
//     Ok(_) => { let value: R = expr; return value; }
//     Err(error) => break 'failed error,
// }
//
// The expression stands where the body's surroundings are: it sees all
// arguments, moves them if it likes, awaits and uses `?`; one that panics is
// nothing to warn of.
fn refused(model: &Model) -> TokenStream {
    let site = Span::mixed_site();
    let output = &model.target.output;
    let failed = quote_spanned!(site=> break '__lockguard_failed __lockguard_error);
    let busy = match &model.on_busy {
        OnBusy::Error => return failed,
        OnBusy::Skip => quote_spanned!(site=> return __lockguard::skipped::<#output>()),
        OnBusy::Value(value) => quote_spanned! {site=> {
            let __lockguard_value: #output = #value;
            #[allow(unreachable_code)]
            return __lockguard_value;
        }},
    };
    quote_spanned! {site=>
        match __lockguard::if_busy(__lockguard_error) {
            __lockguard::Ok(_) => #busy,
            __lockguard::Err(__lockguard_error) => #failed,
        }
    }
}

// Input:  bind = lease, fence = token
// Output: let lease = __lockguard::lease(&__lockguard_guard);
//         let token = __lockguard::fence(&__lockguard_guard);
//
// The names are the user's, where the user wrote them: one that the body does
// not use is a warning there.
fn bindings(model: &Model) -> TokenStream {
    let site = Span::mixed_site();
    let lease = model
        .bind
        .as_ref()
        .map(|name| quote_spanned!(site=> let #name = __lockguard::lease(&__lockguard_guard);));
    let token = model
        .fence
        .as_ref()
        .map(|name| quote_spanned!(site=> let #name = __lockguard::fence(&__lockguard_guard);));
    quote_spanned!(site=> #lease #token)
}

// Input:  { body }
// Output: async move {
//     let _ = &a;
//     if let Some(output) = declared::<R>() { return output; }
//     { body }
// }
//
// `declared` is always `None`: it tells the compiler the type of the block, so
// that a mistake in the body is reported where it is.
// The body keeps a block of its own, for what it declares must not shadow `R`.
fn body_future(target: &Target, body: &Braced) -> TokenStream {
    let captures = target.capture_arguments();
    let output = &target.output;
    let Braced { brace, tokens } = body;
    // At the user's brace, so that "expected `i32`, found `()`" shows it; not
    // of the user's making, so that no lint calls the block superfluous.
    let braces = Span::call_site().located_at(*brace);
    let body = quote_spanned!(braces=> { #tokens });
    quote_spanned! {Span::mixed_site()=>
        async move {
            #captures
            if let __lockguard::Some(__lockguard_output) = __lockguard::declared::<#output>() {
                return __lockguard_output;
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
