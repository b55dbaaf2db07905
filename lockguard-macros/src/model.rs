//! What the attribute means, once every part of it is known to fit.

use std::time::Duration;

use proc_macro2::Ident;
use syn::{Expr, ExprLit, Lit, LitStr, Path};

use crate::{
    argument::{Arguments, unwrapped},
    binding,
    choice::{OnBusy, OnLost},
    duration::{self, Length, written},
    error::Errors,
    key::{Key, Place},
    keys::Keys,
    target::Target,
};

/// A lock and the function that runs under it.
pub(crate) struct Model {
    pub(crate) target: Target,
    pub(crate) keys: Keys,
    pub(crate) ttl: Length,
    /// Absent: the manager's default, and no wait where a busy key is skipped.
    pub(crate) wait: Option<Length>,
    /// Absent: the lease is not renewed.
    pub(crate) max_hold: Option<Length>,
    /// Absent: the lock is free when the body ends.
    pub(crate) min_hold: Option<Length>,
    /// What the body calls its fencing token.
    pub(crate) fence: Option<Ident>,
    /// What the body calls its lease.
    pub(crate) bind: Option<Ident>,
    pub(crate) on_busy: OnBusy,
    /// Absent: `Err(error.into())`.
    pub(crate) on_error: Option<Expr>,
    pub(crate) on_lost: OnLost,
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
        let max_hold = length(arguments.max_hold.as_ref(), &duration::MAX_HOLD).flatten();
        let min_hold = length(arguments.min_hold.as_ref(), &duration::MIN_HOLD).flatten();
        let ttl = ttl.flatten();
        check_holds(
            &arguments,
            [&ttl, &max_hold, &min_hold].map(|length| length.as_ref()?.literal()),
            errors,
        );
        let on_lost = match &arguments.on_lost {
            Some(value) => OnLost::parse(value, errors),
            None => Some(OnLost::Cancel),
        };
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
        let (bind, fence) = names(&arguments, &target, errors);
        let on_busy = match &arguments.on_busy {
            Some(value) => OnBusy::parse(value, &target, errors),
            None => Some(OnBusy::Error),
        };
        let wait = match (&on_busy, &arguments.wait) {
            (Some(OnBusy::Skip), None) => Some(Length::Literal(Duration::ZERO)),
            _ => wait.flatten(),
        };
        let keys = keys(&arguments, &target, errors);
        Some(Self {
            target,
            keys: keys?,
            ttl: ttl?,
            wait,
            max_hold,
            min_hold,
            fence,
            bind,
            on_busy: on_busy?,
            on_error: arguments.on_error,
            on_lost: on_lost?,
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
            "`ttl` is missing: say how long the body may take, and a crashed holder keeps the lock, \
             such as `ttl = \"2s\"`",
        ),
    }
}

/// What the body calls its lease and its fencing token.
fn names(
    arguments: &Arguments,
    target: &Target,
    errors: &mut Errors,
) -> (Option<Ident>, Option<Ident>) {
    let mut name = |option, example, value: &Option<Expr>| {
        let value = value.as_ref()?;
        binding::parse(option, example, value, target, errors)
    };
    let bind = name("bind", "bind = lease", &arguments.bind);
    let fence = name("fence", "fence = token", &arguments.fence);
    if let Some(name) = &fence
        && bind.as_ref() == Some(name)
    {
        errors.at(
            name,
            format!(
                "`bind` and `fence` are two things, and `{name}` names one: write `fence = \
                 {name}_token`"
            ),
        );
    }
    (bind, fence)
}

/// `key` or `keys`; never both.
fn keys(arguments: &Arguments, target: &Target, errors: &mut Errors) -> Option<Keys> {
    if let Some(name) = arguments.later_of("key", "keys") {
        errors.at(
            name,
            "`key` and `keys` are both given: put all of them into `keys = […]`",
        );
        return None;
    }
    if let Some(keys) = &arguments.keys {
        return Keys::parse(keys, target, errors);
    }
    let place = Place {
        option: "key",
        target,
    };
    Key::parse(arguments.key.as_ref()?, place, errors).map(Keys::One)
}

/// What literals say about each other; the runtime compares the rest.
fn check_holds(
    arguments: &Arguments,
    [ttl, max_hold, min_hold]: [Option<Duration>; 3],
    errors: &mut Errors,
) {
    if let (Some(ttl), Some(max_hold)) = (ttl, max_hold)
        && max_hold < ttl
    {
        errors.at(
            &arguments.max_hold,
            format!(
                "`max_hold` is how long a lease is renewed, and a lease lasts the `ttl` of {ttl}: \
                 write `max_hold = \"{ttl}\"` or more, or remove it",
                ttl = written(ttl)
            ),
        );
    }
    let Some(min_hold) = min_hold else { return };
    match max_hold {
        Some(max_hold) if min_hold > max_hold => errors.at(
            &arguments.min_hold,
            format!(
                "`min_hold` is longer than `max_hold`, after which no lock is kept: write \
                 `min_hold = \"{}\"` or less",
                written(max_hold)
            ),
        ),
        None if !arguments.mentions("max_hold") && ttl.is_some_and(|ttl| min_hold > ttl) => {
            errors.at(
                &arguments.min_hold,
                format!(
                    "`min_hold` is longer than `ttl`, when an unrenewed lock is free: write \
                     `ttl = \"{min}\"` or more, or `max_hold = \"{min}\"` to renew the lease",
                    min = written(min_hold)
                ),
            );
        }
        _ => {}
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
