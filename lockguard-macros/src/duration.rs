//! Durations: `"2s"`, `"1m30s"`, or an expression.

use std::time::Duration;

use syn::{Expr, ExprLit, ExprUnary, Lit, UnOp};

use crate::{argument::unwrapped, error::Errors, similar::closest};

/// How long, as an option says it.
pub(crate) enum Length {
    /// A literal, parsed and checked.
    Literal(Duration),
    /// An expression of type `Duration`, checked when it runs.
    Expression(Box<Expr>),
}

/// Which durations an option accepts.
pub(crate) struct Bounds {
    pub(crate) option: &'static str,
    pub(crate) shortest: Duration,
    pub(crate) too_short: &'static str,
    pub(crate) longest: Duration,
    pub(crate) too_long: &'static str,
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// `ttl`: the runtime refuses the same.
pub(crate) const TTL: Bounds = Bounds {
    option: "ttl",
    shortest: Duration::from_millis(10),
    too_short: "a lease that short ends before a server has answered; the shortest is `\"10ms\"`",
    longest: DAY,
    too_long: "a crashed holder would keep the key that long; the longest is `\"24h\"`",
};

/// `wait`: `"0s"` does not wait for another holder.
pub(crate) const WAIT: Bounds = Bounds {
    option: "wait",
    shortest: Duration::ZERO,
    too_short: "",
    longest: DAY,
    too_long: "no caller waits that long; the longest is `\"24h\"`",
};

const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// `max_hold`: `Model` compares it with `ttl`.
pub(crate) const MAX_HOLD: Bounds = Bounds {
    option: "max_hold",
    shortest: TTL.shortest,
    too_short: TTL.too_short,
    longest: YEAR,
    too_long: "no body runs that long; the longest is `\"365d\"`",
};

/// `min_hold`: `Model` compares it with `ttl` and `max_hold`.
pub(crate) const MIN_HOLD: Bounds = Bounds {
    option: "min_hold",
    shortest: Duration::from_millis(1),
    too_short: "the lock is kept as long as its body anyway: remove it",
    longest: YEAR,
    too_long: "no lock is kept that long; the longest is `\"365d\"`",
};

impl Length {
    /// What a literal says.
    pub(crate) fn literal(&self) -> Option<Duration> {
        match self {
            Self::Literal(duration) => Some(*duration),
            Self::Expression(_) => None,
        }
    }

    /// Reads an option's value.
    pub(crate) fn parse(value: &Expr, bounds: &Bounds, errors: &mut Errors) -> Option<Self> {
        let option = bounds.option;
        let literal = match unwrapped(value) {
            Expr::Lit(ExprLit { lit, .. }) => lit,
            Expr::Unary(ExprUnary {
                op: UnOp::Neg(_),
                expr,
                ..
            }) if matches!(unwrapped(expr), Expr::Lit(_)) => {
                errors.at(value, format!("`{option}` cannot be negative"));
                return None;
            }
            _ => return Some(Self::Expression(Box::new(value.clone()))),
        };
        let parsed = match literal {
            Lit::Str(text) => parse(&text.value()).map_err(|problem| {
                let problem = in_braces(&text.value()).map_or(problem, |value| {
                    format!("only a key is a template; write `{option} = {value}`, a `Duration`")
                });
                format!("`{option} = {}`: {problem}", source(literal))
            }),
            Lit::Int(number) => Err(quoted(option, number.base10_digits(), number.suffix())),
            Lit::Float(number) => Err(quoted(option, number.base10_digits(), number.suffix())),
            _ => Err(format!(
                "`{option}` takes text such as `{option} = \"2s\"`, or an expression of type \
                 `Duration`"
            )),
        };
        match parsed.and_then(|duration| bounds.check(duration, literal)) {
            Ok(duration) => Some(Self::Literal(duration)),
            Err(message) => {
                errors.at(value, message);
                None
            }
        }
    }
}

impl Bounds {
    fn check(&self, duration: Duration, literal: &Lit) -> Result<Duration, String> {
        let problem = if duration < self.shortest {
            self.too_short
        } else if duration > self.longest {
            self.too_long
        } else {
            return Ok(duration);
        };
        let option = self.option;
        Err(format!("`{option} = {}`: {problem}", source(literal)))
    }
}

/// Reads text such as `1m30s` to the millisecond.
///
/// A sum of numbers with units, in any order, spaces allowed: the notation of
/// the `humantime` crate, without units that a lock has no use for.
///
/// # Errors
///
/// A clause that says what is wrong and what to write.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    if text.trim().is_empty() {
        return Err("no duration; write for instance `\"2s\"`".to_owned());
    }
    if text.trim_start().starts_with('-') {
        return Err("a duration cannot be negative".to_owned());
    }
    if let Some(iso) = iso_8601(text) {
        return Err(format!("did you mean `\"{iso}\"`?"));
    }
    let mut millis: u128 = 0;
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (number, after) = split_at_first(rest, |c| !matches!(c, '0'..='9' | '.' | '_'));
        let after = after.trim_start();
        let (unit, after) = split_at_first(after, |c| {
            matches!(c, '0'..='9' | '.' | '_') || c.is_whitespace()
        });
        millis = part(text, number, unit)
            .and_then(|part| millis.checked_add(part).ok_or_else(too_long))?;
        rest = after.trim_start();
    }
    u64::try_from(millis)
        .map(Duration::from_millis)
        .map_err(|_| too_long())
}

/// `1s500ms`: what [`parse`] reads back.
pub(crate) fn written(duration: Duration) -> String {
    let mut rest = duration.as_millis();
    let mut text = String::new();
    for (size, unit) in [(3_600_000, "h"), (60_000, "m"), (1_000, "s"), (1, "ms")] {
        if rest >= size {
            text.push_str(&(rest / size).to_string());
            text.push_str(unit);
            rest %= size;
        }
    }
    if text.is_empty() {
        "0s".to_owned()
    } else {
        text
    }
}

/// One number and its unit, in milliseconds.
fn part(text: &str, number: &str, unit: &str) -> Result<u128, String> {
    let plain = number.replace('_', "");
    if number.is_empty() {
        return Err(format!(
            "`{unit}` has no number before it; write for instance `\"2s\"`"
        ));
    }
    if unit.is_empty() {
        let seconds = fraction_of(&plain, "").map_or_else(|| format!("{plain}s"), written);
        return Err(if plain != text.trim() {
            format!("`{number}` has no unit after it; write for instance `\"{seconds}\"`")
        } else if plain.contains('.') {
            format!("the unit is missing; did you mean `\"{seconds}\"`?")
        } else {
            format!("the unit is missing; did you mean `\"{seconds}\"` or `\"{plain}ms\"`?")
        });
    }
    let size = size_of(unit).ok_or_else(|| unknown_unit(text, number, unit))?;
    if size == 0 {
        return Err(format!(
            "`{unit}` is too fine: whole milliseconds, such as `\"20ms\"`"
        ));
    }
    if number.contains('_') {
        return Err(format!("write `\"{}\"`", text.replace('_', "")));
    }
    if number.contains('.') {
        let whole = fraction(number, size);
        return Err(match whole.and_then(|millis| u64::try_from(millis).ok()) {
            Some(millis) => format!(
                "no fractions; write `\"{}\"`",
                text.replacen(
                    &format!("{number}{unit}"),
                    &written(Duration::from_millis(millis)),
                    1
                )
            ),
            None => format!("`{number}` is no whole number of milliseconds"),
        });
    }
    plain
        .parse::<u128>()
        .ok()
        .and_then(|number| number.checked_mul(size))
        .ok_or_else(too_long)
}

const UNITS: &[(&[&str], u128)] = &[
    (
        &[
            "ms",
            "msec",
            "msecs",
            "millis",
            "millisecond",
            "milliseconds",
        ],
        1,
    ),
    (&["s", "sec", "secs", "second", "seconds"], 1_000),
    (&["m", "min", "mins", "minute", "minutes"], 60_000),
    (&["h", "hr", "hrs", "hour", "hours"], 3_600_000),
    (&["d", "day", "days"], 86_400_000),
    (&["us", "µs", "μs", "micros", "ns", "nanos"], 0),
];

/// A unit in milliseconds; zero for those that are finer.
fn size_of(unit: &str) -> Option<u128> {
    UNITS
        .iter()
        .find(|(names, _)| names.contains(&unit))
        .map(|(_, size)| *size)
}

fn unknown_unit(text: &str, number: &str, unit: &str) -> String {
    let lower = unit.to_lowercase();
    let names = UNITS.iter().flat_map(|(names, _)| names.iter().copied());
    let meant = if size_of(&lower).is_some() {
        Some(lower.as_str())
    } else {
        closest(&lower, names)
    };
    match meant {
        Some(meant) => format!(
            "`{unit}` is not a unit; did you mean `\"{}\"`?",
            text.replacen(&format!("{number}{unit}"), &format!("{number}{meant}"), 1)
        ),
        None => {
            format!("`{unit}` is not a unit; the units are `ms`, `s`, `m` (minutes), `h` and `d`")
        }
    }
}

/// `1.5` seconds in milliseconds, when it comes out even.
fn fraction(number: &str, size: u128) -> Option<u128> {
    let (whole, decimals) = number.split_once('.')?;
    let scale = 10_u128.checked_pow(u32::try_from(decimals.len()).ok()?)?;
    let number = |digits: &str| match digits {
        "" => Some(0),
        digits => digits.parse::<u128>().ok(),
    };
    let scaled = number(whole)?
        .checked_mul(scale)?
        .checked_add(number(decimals)?)?
        .checked_mul(size)?;
    (scaled % scale == 0).then_some(scaled / scale)
}

/// `{timeout}`, as a key would have it.
fn in_braces(text: &str) -> Option<&str> {
    let value = text.trim().strip_prefix('{')?.strip_suffix('}')?.trim();
    let is_place = !value.is_empty() && !value.contains(['{', '}', ':']);
    is_place.then_some(value)
}

/// `PT1M30S`, which other platforms' configuration writes.
fn iso_8601(text: &str) -> Option<String> {
    let time = text.strip_prefix("PT")?.to_lowercase();
    parse(&time).ok().map(written)
}

/// `2s` without quotes is lexed as a number with a suffix.
fn quoted(option: &str, number: &str, suffix: &str) -> String {
    let meant = if let Ok(duration) = parse(&format!("{number}{suffix}")) {
        written(duration)
    } else if let Some(duration) = fraction_of(number, suffix) {
        written(duration)
    } else if number == "0" {
        "0s".to_owned()
    } else if number.bytes().all(|digit| digit.is_ascii_digit()) {
        return format!(
            "`{option}` takes text with a unit: write `{option} = \"{number}s\"` or \
             `{option} = \"{number}ms\"`"
        );
    } else {
        return format!("`{option}` takes text: write for instance `{option} = \"2s\"`");
    };
    format!("`{option}` takes text: write `{option} = \"{meant}\"`")
}

/// `1.5s`, and `1.5` and `1.5f64`, which mean seconds.
fn fraction_of(number: &str, suffix: &str) -> Option<Duration> {
    let size = size_of(suffix).unwrap_or(1_000);
    let millis = (size > 0).then(|| fraction(number, size)).flatten()?;
    u64::try_from(millis).ok().map(Duration::from_millis)
}

fn too_long() -> String {
    "the number is too large".to_owned()
}

fn split_at_first(text: &str, ends: impl Fn(char) -> bool) -> (&str, &str) {
    let at = text.find(ends).unwrap_or(text.len());
    text.split_at(at)
}

fn source(literal: &Lit) -> String {
    quote::ToTokens::to_token_stream(literal).to_string()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sums_of_units_are_read() {
        for (text, millis) in [
            ("2s", 2_000),
            ("250ms", 250),
            ("1m30s", 90_000),
            ("1h", 3_600_000),
            ("1d", 86_400_000),
            ("1h 30m", 5_400_000),
            (" 2 s ", 2_000),
            ("2 seconds", 2_000),
            ("1min", 60_000),
            ("0s", 0),
            ("30s1m", 90_000),
            ("007s", 7_000),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn a_refused_duration_says_what_to_write() {
        for (text, message) in [
            ("", "no duration; write for instance `\"2s\"`"),
            ("  ", "no duration; write for instance `\"2s\"`"),
            (
                "2",
                "the unit is missing; did you mean `\"2s\"` or `\"2ms\"`?",
            ),
            (
                "s",
                "`s` has no number before it; write for instance `\"2s\"`",
            ),
            ("2S", "`S` is not a unit; did you mean `\"2s\"`?"),
            ("2M", "`M` is not a unit; did you mean `\"2m\"`?"),
            ("2MS", "`MS` is not a unit; did you mean `\"2ms\"`?"),
            (
                "2secconds",
                "`secconds` is not a unit; did you mean `\"2seconds\"`?",
            ),
            (
                "1m30",
                "`30` has no unit after it; write for instance `\"30s\"`",
            ),
            ("1.5s", "no fractions; write `\"1s500ms\"`"),
            ("0.5s", "no fractions; write `\"500ms\"`"),
            ("1h0.5m", "no fractions; write `\"1h30s\"`"),
            ("0.0001s", "`0.0001` is no whole number of milliseconds"),
            ("2.5", "the unit is missing; did you mean `\"2s500ms\"`?"),
            (
                "1m0.5",
                "`0.5` has no unit after it; write for instance `\"500ms\"`",
            ),
            (" -2s", "a duration cannot be negative"),
            (
                "10-20s",
                "`-` is not a unit; the units are `ms`, `s`, `m` (minutes), `h` and `d`",
            ),
            (
                "0.0000000000000000000000000000000000000001s",
                "`0.0000000000000000000000000000000000000001` is no whole number of milliseconds",
            ),
            ("1..5s", "`1..5` is no whole number of milliseconds"),
            ("-2s", "a duration cannot be negative"),
            ("1_000ms", "write `\"1000ms\"`"),
            (
                "500us",
                "`us` is too fine: whole milliseconds, such as `\"20ms\"`",
            ),
            ("PT1M30S", "did you mean `\"1m30s\"`?"),
            (
                "2 fortnights",
                "`fortnights` is not a unit; the units are `ms`, `s`, `m` (minutes), `h` and `d`",
            ),
            (
                "two seconds",
                "`two` has no number before it; write for instance `\"2s\"`",
            ),
            (
                "99999999999999999999999999999999999999999s",
                "the number is too large",
            ),
            (
                "340282366920938463463374607431768211455ms",
                "the number is too large",
            ),
        ] {
            assert_eq!(parse(text), Err(message.to_owned()), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(millis in 0_u64..1_000_000_000_000) {
            let duration = Duration::from_millis(millis);
            prop_assert_eq!(parse(&written(duration)), Ok(duration));
        }

        #[test]
        fn any_text_is_answered(text in "\\PC{0,24}") {
            let _answer = parse(&text);
        }

        #[test]
        fn text_that_looks_like_a_duration_is_answered(text in "[0-9._ smhdMSPT-]{0,16}") {
            let _answer = parse(&text);
            let (number, suffix) = split_at_first(&text, |c| !matches!(c, '0'..='9' | '.'));
            let _answer = quoted("ttl", number, suffix);
        }
    }
}
