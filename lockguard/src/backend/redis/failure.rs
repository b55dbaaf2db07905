//! What went wrong at a server, in words for whoever reads the error.

use std::slice;

use redis::{ErrorKind, RedisError, ServerError, Value};

use super::rights;

pub(super) const LOADING: &str = "LOADING: the server is loading its data set";

/// What a server's error reply says, its code first, and what to do about it.
pub(super) fn of_reply(error: &ServerError) -> String {
    explained(error.code(), error.details().unwrap_or_default())
}

/// Why a server that replied so is to be given up until it is well again.
///
/// A replica is one for every command: after a fail-over the address leads
/// elsewhere.
/// Other states refuse everything alike, but only what must not be forgotten,
/// such as a release, is worth a new connection.
pub(super) fn unfit(reply: &Value, is_debt: bool) -> Option<String> {
    const REPLICA: [&str; 2] = ["READONLY", "MASTERDOWN"];
    const FOR_NOW: [&str; 4] = ["BUSY", "LOADING", "MISCONF", "NOREPLICAS"];
    let Value::ServerError(error) = reply else {
        return None;
    };
    let reason = of_reply(error);
    let code = reason.split(':').next().unwrap_or_default();
    let is_unfit = REPLICA.contains(&code) || is_debt && FOR_NOW.contains(&code);
    is_unfit.then_some(reason)
}

/// What the server's reply says of rights that we lack, if it does: by itself, or
/// as a list, of single keys.
pub(super) fn missing_rights(reply: &Value) -> impl Iterator<Item = String> {
    let replies = match reply {
        Value::Array(replies) => replies,
        reply => slice::from_ref(reply),
    };
    let reasons = replies.iter().filter_map(|reply| match reply {
        Value::ServerError(error) => Some(of_reply(error)),
        _ => None,
    });
    reasons.filter(|reason| reason.starts_with("NOPERM"))
}

/// Why a connection could not be made, or broke.
pub(super) fn of_connection(error: &RedisError) -> String {
    if error.kind() == ErrorKind::AuthenticationFailed {
        return "WRONGPASS: the server refuses the user or the password".to_owned();
    }
    if let Some(code) = error.code() {
        return explained(code, error.detail().unwrap_or_default());
    }
    let text = error.to_string();
    if error.kind() == ErrorKind::Parse {
        "no Redis server is there: what it says is none's reply".to_owned()
    } else if error.is_connection_refusal() {
        // The redis crate counts a missing socket among the refusals.
        if text.contains("No such file") {
            "no socket there".to_owned()
        } else {
            "connection refused".to_owned()
        }
    } else if error.is_connection_dropped() {
        if text.to_ascii_lowercase().contains("reset") {
            "connection reset".to_owned()
        } else {
            "connection closed".to_owned()
        }
    } else {
        let advice = TLS_ADVICE.iter().find(|(said, _)| text.contains(said));
        advice.map_or_else(|| fragment(&text), |(_, advice)| (*advice).to_owned())
    }
}

/// What is in the text of an error of rustls, and what to do then.
const TLS_ADVICE: [(&str, &str); 5] = [
    (
        "UnknownIssuer",
        "the server's certificate is not signed by anybody who is trusted here; let the variable \
         `SSL_CERT_FILE` name the file of its authority's certificate",
    ),
    (
        "CertificateRequired",
        "the server asks for a certificate of ours, and there is none; set `tls-auth-clients no`",
    ),
    (
        "InvalidContentType",
        "what is there speaks no TLS; write `redis://`",
    ),
    (
        "CaUsedAsEndEntity",
        "the server shows the certificate of an authority (`CA:TRUE`); have it sign one of the \
         server's own",
    ),
    (
        "UnsupportedCertVersion",
        "the server's certificate is of an old kind, without its names; make one with a \
         `subjectAltName`",
    ),
];

/// An error's code and text, out of what scripts wrap them in.
///
/// Servers before version 7 say `@user_script: 9: -OOM command not allowed …`,
/// where a script passes on what it was told, and more before that where it ends
/// with it; of a missing right they tell in words alone.
/// Later ones say `ERR ACL failure in script: …`.
fn unwrapped<'a>(code: &'a str, detail: &'a str) -> (&'a str, &'a str) {
    let by_script = match detail.rsplit_once("@user_script: ") {
        Some((_, by_script)) => Some(by_script),
        None => (code == "@user_script:").then_some(detail),
    };
    let after_its_line = by_script.and_then(|said| said.split_once(": "));
    let said = after_its_line.map_or(detail, |(_, said)| said);
    if let Some(denied) = said.strip_prefix("ACL failure in script: ") {
        return ("NOPERM", denied);
    }
    if said.starts_with("The user executing the script can't") {
        return ("NOPERM", said);
    }
    let inner = said.strip_prefix('-').and_then(|said| said.split_once(' '));
    let code = if by_script.is_some() { "ERR" } else { code };
    inner.unwrap_or((code, said))
}

fn explained(code: &str, detail: &str) -> String {
    let (code, detail) = unwrapped(code, detail);
    let advice = match code {
        "READONLY" => "this is a replica; give the primary's address",
        "OOM" => "the server is out of memory; raise maxmemory or free some",
        "NOAUTH" => {
            "the server wants a password; write the address as `redis://user:password@host:6379`, \
             or that of a socket as `redis+unix:///run/redis.sock?user=user&password=password`"
        }
        "WRONGPASS" => "the server refuses the user or the password",
        "LOADING" => return LOADING.to_owned(),
        "MASTERDOWN" => "this is a replica without its primary; give the primary's address",
        "MOVED" | "ASK" | "CLUSTERDOWN" | "CROSSSLOT" => {
            "this is a node of a cluster; give servers that are independent of each other"
        }
        "MISCONF" => "the server cannot persist and refuses writes; see its log",
        "NOREPLICAS" => "the server refuses writes, since too few replicas are connected",
        "BUSY" => "the server is busy with somebody's script",
        "ERR" if detail.starts_with("DB index is out of range") => {
            "the server has no database of that number; write a lower one behind the `/` of its \
             address, or raise its `databases`"
        }
        "NOPERM" => return format!("NOPERM: {}; {}", fragment(detail), missing_grant(detail)),
        _ => return format!("{code}: {}", fragment(detail)),
    };
    format!("{code}: {advice}")
}

/// What to grant a user, by what the server says is missing.
fn missing_grant(detail: &str) -> String {
    if detail.contains("access") && detail.contains(" key") {
        "grant the pattern of the lock's key, and that of what stands beside it: for keys like \
         `seat:17`, `~seat:*` and `~{seat:*`"
            .to_owned()
    } else if detail.contains(" channel") {
        "grant the channels `&lockguard:*`".to_owned()
    } else if detail.contains("'subscribe'") {
        "grant subscribe".to_owned()
    } else {
        format!("grant {}", rights::to_lock())
    }
}

/// The server's text as a lowercase fragment, without a command's arguments:
/// an owner token can be among them.
fn fragment(text: &str) -> String {
    let text = text.split(", with args").next().unwrap_or_default();
    let text = text.trim().trim_end_matches('.');
    let mut chars = text.chars();
    match chars.next() {
        Some(first) if !chars.as_str().starts_with(char::is_uppercase) => {
            first.to_lowercase().chain(chars).collect()
        }
        Some(_) => text.to_owned(),
        None => "no further word".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replica_is_unfit_and_who_refuses_for_the_moment_is_for_releases() {
        let said = |code| {
            let text = format!("-{code} as the server says\r\n");
            redis::parse_redis_value(text.as_bytes()).unwrap()
        };
        for replica in ["READONLY", "MASTERDOWN"] {
            assert!(unfit(&said(replica), false).is_some(), "{replica}");
            assert!(unfit(&said(replica), true).is_some(), "{replica}");
        }
        for for_now in ["BUSY", "LOADING", "MISCONF", "NOREPLICAS"] {
            assert!(unfit(&said(for_now), false).is_none(), "{for_now}");
            assert!(unfit(&said(for_now), true).is_some(), "{for_now}");
        }
        for other in ["ERR", "NOPERM", "WRONGTYPE"] {
            assert!(unfit(&said(other), true).is_none(), "{other}");
        }
    }

    #[test]
    fn a_connection_that_was_reset_is_told_from_one_that_was_closed() {
        let text = |kind: std::io::ErrorKind| of_connection(&std::io::Error::from(kind).into());
        assert_eq!(
            text(std::io::ErrorKind::ConnectionReset),
            "connection reset"
        );
        assert_eq!(text(std::io::ErrorKind::UnexpectedEof), "connection closed");
    }

    /// As the library for TLS words it.
    #[test]
    fn a_certificate_of_the_first_version_is_to_have_names() {
        let said = "invalid peer certificate: Other(OtherError(UnsupportedCertVersion))";
        let text = of_connection(&std::io::Error::other(said).into());
        assert!(text.contains("`subjectAltName`"), "{text}");
    }

    #[test]
    fn a_replica_is_named_and_what_to_give_instead() {
        let text = explained("READONLY", "You can't write against a read only replica.");
        assert_eq!(
            text,
            "READONLY: this is a replica; give the primary's address"
        );
    }

    /// As versions 6.2 and 7.4 word them.
    #[test]
    fn a_code_inside_a_scripts_error_is_found() {
        let ended = "Error running script (call to f_ab): @user_script:11: \
                     @user_script: 11: -READONLY You can't write against a read only replica.";
        for (code, detail, found) in [
            ("ERR", ended, "READONLY: "),
            ("@user_script:", "9: -OOM command not allowed", "OOM: "),
            ("@user_script:", "9: -NOREPLICAS Not enough", "NOREPLICAS: "),
            (
                "@user_script:",
                "9: Wrong number of args",
                "ERR: wrong number",
            ),
            ("ERR", "wrong number of arguments", "ERR: wrong number"),
        ] {
            let text = explained(code, detail);
            assert!(text.starts_with(found), "{text}");
        }
    }

    #[test]
    fn a_right_that_a_script_misses_is_one_that_is_to_be_granted() {
        let old = "12: The user executing the script can't";
        let new = "ACL failure in script:";
        for (code, detail, grant) in [
            (
                "@user_script:",
                format!("{old} run this command or subcommand"),
                "set, get",
            ),
            (
                "@user_script:",
                format!("{old} access at least one of the keys mentioned in the command arguments"),
                "`~{seat:*`",
            ),
            (
                "@user_script:",
                format!("{old} publish to the channel mentioned in the command"),
                "`&lockguard:*`",
            ),
            (
                "ERR",
                format!("{new} User app has no permissions to run the 'set' command"),
                "set, get",
            ),
            (
                "ERR",
                format!("{new} No permissions to access a key"),
                "`~{seat:*`",
            ),
            (
                "ERR",
                format!("{new} No permissions to access a channel"),
                "`&lockguard:*`",
            ),
        ] {
            let text = explained(code, &detail);
            assert!(
                text.starts_with("NOPERM: ") && text.contains(grant),
                "{text}"
            );
        }
    }

    #[test]
    fn a_missing_right_names_the_commands_that_are_needed() {
        let detail = "User app has no permissions to run the 'evalsha' command";
        let text = explained("NOPERM", detail);
        assert!(
            text.starts_with("NOPERM: user app has no permissions"),
            "{text}"
        );
        assert!(text.contains("grant set, get"), "{text}");
    }

    #[test]
    fn a_missing_key_or_channel_names_the_pattern_that_is_needed() {
        for (missing, pattern) in [
            ("one of the keys used as arguments", "`~{seat:*`"),
            ("a key", "`~{seat:*`"),
            ("one of the channels used as arguments", "`&lockguard:*`"),
        ] {
            let detail = format!("this user has no permissions to access {missing}");
            let text = explained("NOPERM", &detail);
            assert!(text.contains(pattern), "{text}");
        }
    }

    #[test]
    fn who_may_not_listen_is_told_to_grant_that() {
        let detail = "User app has no permissions to run the 'subscribe' command";
        let text = explained("NOPERM", detail);
        assert!(text.ends_with("grant subscribe"), "{text}");
    }

    #[test]
    fn an_unknown_command_does_not_show_the_token() {
        let detail = "unknown command 'EVALSHA', with args beginning with: 'lg1:app:0123' ";
        let text = explained("ERR", detail);
        assert_eq!(text, "ERR: unknown command 'EVALSHA'");
    }

    #[test]
    fn an_unknown_code_is_passed_on() {
        assert_eq!(
            explained("NEWCODE", "Something else."),
            "NEWCODE: something else"
        );
        assert_eq!(explained("NEWCODE", ""), "NEWCODE: no further word");
    }
}
