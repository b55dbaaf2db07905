//! Which rights a user lacks on a server.

use redis::{Pipeline, Value};

/// What locking takes, as the server is asked whether it would be allowed.
///
/// None of it is executed; the arguments are there to make the commands whole.
const NEEDED: [&[&str]; 9] = [
    &["SET", KEY, "v", "NX", "PX", "1"],
    &["GET", KEY],
    &["DEL", KEY],
    &["PTTL", KEY],
    &["PEXPIRE", KEY, "1"],
    &["TYPE", KEY],
    &["TIME"],
    &["EVAL", "return 1", "0"],
    &["EVALSHA", "0000000000000000000000000000000000000000", "0"],
];

/// What the line of a lock takes besides.
const FOR_WAITERS: [&[&str]; 6] = [
    &["ZADD", KEY, "0", "v"],
    &["ZPOPMIN", KEY],
    &["ZRANGE", KEY, "0", "0"],
    &["ZRANGEBYSCORE", KEY, "0", "0"],
    &["ZRANK", KEY, "v"],
    &["ZREM", KEY, "v"],
];

/// What telling whoever is first takes.
const TO_TELL: [&[&str]; 1] = [&["PUBLISH", KEY, "v"]];

/// Any key: which keys are allowed is not asked.
const KEY: &str = "lockguard";

/// The commands that locking takes, in words.
pub(super) fn to_lock() -> String {
    in_words(NEEDED.iter())
}

/// Asks for each command whether the user may run it.
///
/// Servers before version 7 do not know the question, and asking may be
/// forbidden too: then missing rights show when they are needed.
pub(super) fn ask(greeting: &mut Pipeline, user: Option<&str>) {
    for command in NEEDED.iter().chain(&FOR_WAITERS).chain(&TO_TELL) {
        greeting
            .cmd("ACL")
            .arg("DRYRUN")
            .arg(user.unwrap_or("default"))
            .arg(*command);
    }
}

/// What is wrong with the user's rights, from the replies to [`ask`].
pub(super) fn missing(replies: &mut impl Iterator<Item = Value>) -> Vec<String> {
    let to_lock = denied(&NEEDED, replies).map(|commands| {
        format!("the user may not run {commands}, which locking takes; grant them")
    });
    let to_wait = denied(&FOR_WAITERS, replies).map(|commands| {
        format!(
            "the user may not run {commands}, so that waiters of other processes are not told \
             that a lock is free, and ask again and again; grant them"
        )
    });
    to_lock.into_iter().chain(to_wait).collect()
}

/// Why nobody can be told anything by us, from the next reply to [`ask`], if so.
pub(super) fn cannot_tell(replies: &mut impl Iterator<Item = Value>) -> Option<String> {
    let commands = denied(&TO_TELL, replies)?;
    Some(format!(
        "the user may not run {commands}, which tells them; grant it"
    ))
}

/// Which of the commands are forbidden, if any is.
fn denied(commands: &[&[&str]], replies: &mut impl Iterator<Item = Value>) -> Option<String> {
    let asked = commands.iter().zip(replies);
    let denied = asked.filter(|(_, reply)| is_denied(reply));
    let denied = in_words(denied.map(|(command, _)| command));
    (!denied.is_empty()).then_some(denied)
}

/// The names of these commands.
fn in_words<'a>(commands: impl Iterator<Item = &'a &'a [&'a str]>) -> String {
    let names = commands.filter_map(|command| command.first());
    let names: Vec<_> = names.map(|name| name.to_lowercase()).collect();
    names.join(", ")
}

/// Whether the command is forbidden, or not there; a key that is forbidden may be
/// none of ours.
fn is_denied(reply: &Value) -> bool {
    let said = match reply {
        // `ERR Command 'PUBLISH' not found`, where it was renamed.
        Value::ServerError(error) => {
            let said = error.details().unwrap_or_default();
            return said.starts_with("Command '") && said.ends_with("' not found");
        }
        Value::BulkString(said) => String::from_utf8_lossy(said),
        Value::SimpleString(said) => said.into(),
        Value::VerbatimString { text, .. } => text.into(),
        _ => return false,
    };
    said.contains("has no permissions to run ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    #[test]
    fn what_is_denied_is_named() {
        let denied = "User app has no permissions to run the 'del' command";
        let mut replies = vec![Value::Okay; NEEDED.len() + FOR_WAITERS.len()];
        replies[2] = said(denied);
        let missing = missing(&mut replies.into_iter());
        assert_eq!(missing.len(), 1);
        assert!(missing[0].contains("may not run del,"), "{missing:?}");
    }

    #[test]
    fn what_only_waiters_take_is_told_apart() {
        let denied = "User app has no permissions to run the 'zadd' command";
        let mut replies = vec![Value::Okay; NEEDED.len() + FOR_WAITERS.len()];
        replies[NEEDED.len()] = said(denied);
        let missing = missing(&mut replies.into_iter());
        assert_eq!(missing.len(), 1);
        assert!(missing[0].contains("may not run zadd, so"), "{missing:?}");
    }

    #[test]
    fn a_command_that_was_renamed_is_denied_and_a_question_that_is_unknown_denies_nothing() {
        let said =
            |text: &str| redis::parse_redis_value(format!("-{text}\r\n").as_bytes()).unwrap();
        assert!(is_denied(&said("ERR Command 'PUBLISH' not found")));
        assert!(!is_denied(&said(
            "ERR Unknown subcommand or wrong number of arguments for 'DRYRUN'."
        )));
    }

    #[test]
    fn a_denied_key_is_no_missing_right() {
        let denied = said("User command has no permissions to access the 'lockguard' key");
        let replies = vec![denied; NEEDED.len() + FOR_WAITERS.len()];
        assert!(missing(&mut replies.into_iter()).is_empty());
    }
}
