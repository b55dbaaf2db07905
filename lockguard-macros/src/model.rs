//! What the attribute means, once every part of it is known to fit.

use std::time::Duration;

use proc_macro2::Ident;
use syn::{Expr, ExprLit, Lit, LitStr, Path};

use crate::{
    argument::{Arguments, unwrapped},
    binding,
    choice::OnBusy,
    duration::{self, Length},
    error::Errors,
    key::Key,
    target::Target,
};

/// A lock and the function that runs under it.
pub(crate) struct Model {
    pub(crate) target: Target,
    pub(crate) key: Key,
    pub(crate) ttl: Length,
    /// Absent: the manager's default, and no wait where a busy key is skipped.
    pub(crate) wait: Option<Length>,
    /// What the body calls its lease.
    pub(crate) bind: Option<Ident>,
    pub(crate) on_busy: OnBusy,
    /// Absent: `Err(error.into())`.
    pub(crate) on_error: Option<Expr>,
    /// Absent: the registered one.
    pub(crate) manager: Option<Expr>,
    /// Absent: the function's module and name.
    pub(crate) name: Option<LitStr>,
    /// Absent: `::lockguard`.
    pub(crate) crate_path: Option<Path>,
}

impl Model {
    /// Checks all values; `None` when something the expansion needs is missing.
    pub(crate) fn check(
        arguments: Arguments,
        target: Option<Target>,
        errors: &mut Errors,
    ) -> Option<Self> {
        if let Some(target) = &target {
            require(&arguments, target, errors);
        }
        let mut length =
            |value: Option<&Expr>, bounds| value.map(|value| Length::parse(value, bounds, errors));
        let ttl = length(arguments.ttl.as_ref(), &duration::TTL);
        let wait = length(arguments.wait.as_ref(), &duration::WAIT);
        if let Some(handler) = &arguments.on_error {
            check_handler(handler, errors);
        }
        if let Some(manager) = &arguments.manager {
            check_manager(manager, errors);
        }
        let name = arguments
            .name
            .as_ref()
            .and_then(|name| literal_name(name, errors));
        let target = target?;
        let bind = arguments
            .bind
            .as_ref()
            .and_then(|name| binding::parse("bind", "bind = lease", name, &target, errors));
        let on_busy = match &arguments.on_busy {
            Some(value) => OnBusy::parse(value, &target, errors),
            None => Some(OnBusy::Error),
        };
        let wait = match (&on_busy, &arguments.wait) {
            (Some(OnBusy::Skip), None) => Some(Length::Literal(Duration::ZERO)),
            _ => wait.flatten(),
        };
        let key = arguments
            .key
            .as_ref()
            .and_then(|key| Key::parse(key, &target, errors));
        Some(Self {
            target,
            key: key?,
            ttl: ttl??,
            wait,
            bind,
            on_busy: on_busy?,
            on_error: arguments.on_error,
            manager: arguments.manager,
            name,
            crate_path: arguments.crate_path,
        })
    }
}

/// The options without which there is no lock.
fn require(arguments: &Arguments, target: &Target, errors: &mut Errors) {
    let site = proc_macro2::Span::call_site();
    let has_key = arguments.mentions("key") || arguments.mentions("keys");
    let key = target.example_key().replace('`', "");
    match (has_key, arguments.mentions("ttl")) {
        (true, true) => {}
        (false, false) => errors.at_span(
            site,
            format!(
                "`key` and `ttl` are missing: write `#[distributed_lock(key = {key}, ttl = \
                 \"2s\")]`"
            ),
        ),
        (false, true) => errors.at_span(
            site,
            format!("`key` is missing: say what is locked, such as `key = {key}`"),
        ),
        (true, false) => errors.at_span(
            site,
            "`ttl` is missing: say how long the body may take, and the lock of a crashed holder \
             stays taken, such as `ttl = \"2s\"`",
        ),
    }
}

fn check_handler(handler: &Expr, errors: &mut Errors) {
    match unwrapped(handler) {
        Expr::Path(_) => {}
        Expr::Closure(closure) => {
            if let Some(asyncness) = &closure.asyncness {
                errors.at(
                    asyncness,
                    "`on_error` is not async: return a value, and await in the caller",
                );
            }
            if closure.inputs.len() != 1 {
                errors.at(
                    closure,
                    "`on_error` is given the `LockError` and nothing else: write `on_error = \
                     |error| …`",
                );
            }
        }
        _ => errors.at(
            handler,
            "`on_error` takes a function of the error: write `on_error = |error| …`, or its path",
        ),
    }
}

fn check_manager(manager: &Expr, errors: &mut Errors) {
    if let Expr::Lit(literal) = unwrapped(manager) {
        let message = match &literal.lit {
            Lit::Str(name) => format!(
                "`manager` takes a manager, not its name: write `manager = \
                 lockguard::named({name:?})`",
                name = name.value()
            ),
            _ => "`manager` takes a manager, such as `manager = self.locks`".to_owned(),
        };
        errors.at(manager, message);
    }
}

fn literal_name(name: &Expr, errors: &mut Errors) -> Option<LitStr> {
    let Expr::Lit(ExprLit {
        lit: Lit::Str(literal),
        ..
    }) = unwrapped(name)
    else {
        errors.at(
            name,
            "`name` takes text that does not change from call to call: write `name = \"…\"`",
        );
        return None;
    };
    let text = literal.value();
    if text.trim().is_empty() || text.contains(char::is_control) {
        errors.at(
            name,
            "`name` is what metrics and spans call this lock: write visible text on one line",
        );
        return None;
    }
    if text.contains(['{', '}']) {
        errors.at(
            name,
            "`name` has no placeholders, so that all calls are counted together: remove the \
             braces",
        );
        return None;
    }
    Some(literal.clone())
}
