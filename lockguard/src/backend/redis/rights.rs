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

/// Any key: which keys are allowed is not asked.
const KEY: &str = "lockguard";

/// Asks for each command whether the user may run it.
///
/// Servers before version 7 do not know the question, and asking may be
/// forbidden too: then missing rights show when they are needed.
pub(super) fn ask(greeting: &mut Pipeline, user: Option<&str>) {
    for command in NEEDED {
        greeting
            .cmd("ACL")
            .arg("DRYRUN")
            .arg(user.unwrap_or("default"))
            .arg(command);
    }
}

/// What is wrong with the user's rights, from the replies to [`ask`].
pub(super) fn missing(replies: &mut impl Iterator<Item = Value>) -> Vec<String> {
    let commands: Vec<_> = NEEDED
        .iter()
        .zip(replies)
        .filter(|(_, reply)| is_denied(reply))
        .filter_map(|(command, _)| command.first())
        .map(|command| command.to_lowercase())
        .collect();
    if commands.is_empty() {
        return Vec::new();
    }
    vec![format!(
        "the user may not run {}, which locking takes; grant them",
        commands.join(", ")
    )]
}

/// Whether the command is forbidden; a key that is may be none of ours.
fn is_denied(reply: &Value) -> bool {
    let said = match reply {
        Value::BulkString(said) => String::from_utf8_lossy(said),
        Value::SimpleString(said) => said.into(),
        Value::VerbatimString { text, .. } => text.into(),
        _ => return false,
    };
    said.contains("no permissions") && said.contains("command")
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
        let mut replies = vec![Value::Okay; NEEDED.len()];
        replies[2] = said(denied);
        let missing = missing(&mut replies.into_iter());
        assert_eq!(missing.len(), 1);
        assert!(missing[0].contains("may not run del,"), "{missing:?}");
    }

    #[test]
    fn a_denied_key_is_no_missing_right() {
        let denied = said("User app has no permissions to access the 'lockguard' key");
        let replies = vec![denied; NEEDED.len()];
        assert!(missing(&mut replies.into_iter()).is_empty());
    }
}
