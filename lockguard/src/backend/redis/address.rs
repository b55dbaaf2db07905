//! Where a node is, and how to log in there.

use std::{fmt, sync::Arc};

use percent_encoding::percent_decode_str;
use url::{Host, Url};

/// Where a node is, and how to log in there.
///
/// `Display` gives what names the node in errors and logs: host and port, or
/// the path of its socket.
/// Neither it nor `Debug` shows a password.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Address {
    pub(super) place: Place,
    pub(super) database: i64,
    pub(super) user: Option<String>,
    pub(super) password: Option<String>,
    name: Arc<str>,
}

/// What is connected to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    Tcp { host: String, port: u16 },
    Tls { host: String, port: u16 },
    Unix { path: String },
}

impl Address {
    /// Reads `redis://[user:password@]host[:6379][/db]`, `rediss://…`, or
    /// `redis+unix:///path[?db=0&user=…&password=…]`.
    ///
    /// User, password and path are percent-decoded.
    ///
    /// # Errors
    ///
    /// Says what is wrong and shows a right address; shows nothing of the
    /// given one that could be a password.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text.is_empty() {
            return Err(instead("an address is empty", TCP_EXAMPLE));
        }
        if text.eq_ignore_ascii_case("memory") {
            return Err(refused_scheme(text));
        }
        let Some((scheme, _)) = text.split_once("://") else {
            return Err(instead("the address has no scheme", TCP_EXAMPLE));
        };
        let scheme = scheme.to_ascii_lowercase();
        let has_tls = match scheme.as_str() {
            "redis" => false,
            "rediss" if cfg!(feature = "tls") => true,
            "redis+unix" => return parse_unix(text),
            _ => return Err(refused_scheme(&scheme)),
        };
        parse_tcp(text, has_tls)
    }

    /// The host and port, or the path of the socket.
    pub(crate) fn name(&self) -> &Arc<str> {
        &self.name
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Address")
            .field("place", &self.place)
            .field("database", &self.database)
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

const TCP_EXAMPLE: &str = "redis://host:6379";
const LOGIN_EXAMPLE: &str = "redis://user:password@host:6379";
const UNIX_EXAMPLE: &str = "redis+unix:///run/redis.sock";
const UNIX_LOGIN_EXAMPLE: &str = "redis+unix:///run/redis.sock?db=0&user=user&password=password";

fn instead(problem: &str, example: &str) -> String {
    format!("{problem}; write `{example}`")
}

fn refused_scheme(scheme: &str) -> String {
    if scheme == "rediss" {
        "`rediss://` needs the feature `tls` of lockguard; \
         enable it, or write `redis://host:6379`"
            .to_owned()
    } else if scheme.eq_ignore_ascii_case("memory") {
        "locks in memory have no host, path or query; write `memory://` alone, or give a \
         server, as `redis://host:6379`"
            .to_owned()
    } else if scheme.contains("cluster") {
        "a cluster is not one of the independent servers that locks need; \
         give each server by itself, as `redis://host:6379`"
            .to_owned()
    } else if scheme.contains("sentinel") {
        "sentinels are not asked for the primary; \
         give the primary's own address, as `redis://host:6379`"
            .to_owned()
    } else if scheme.contains("unix") {
        instead("the scheme of a socket is `redis+unix`", UNIX_EXAMPLE)
    } else {
        let is_scheme = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
        if scheme.chars().all(is_scheme) {
            instead(&format!("the scheme `{scheme}` is unknown"), TCP_EXAMPLE)
        } else {
            // It may be a password: it is not shown.
            instead("the address has no scheme", TCP_EXAMPLE)
        }
    }
}

fn parse_tcp(text: &str, has_tls: bool) -> Result<Address, String> {
    let is_separator = |c: char| c.is_whitespace() || matches!(c, ';' | '|');
    let several = text.split(is_separator).filter(|part| part.contains("://"));
    if several.count() > 1 {
        return Err(instead(
            "several addresses are separated by commas",
            "redis://one:6379,redis://other:6379",
        ));
    }
    no_slash_in_login(text)?;
    // The parser's own message is kept out: it says little.
    let url = Url::parse(text).map_err(|_| instead("the address does not parse", TCP_EXAMPLE))?;
    let host = match url.host() {
        Some(Host::Ipv4(ip)) => ip.to_string(),
        Some(Host::Ipv6(ip)) => ip.to_string(),
        Some(Host::Domain(name)) if !name.is_empty() => {
            decoded(name, TCP_EXAMPLE)?.to_ascii_lowercase()
        }
        _ => return Err(instead("the address has no host", TCP_EXAMPLE)),
    };
    let port = url.port().unwrap_or(6379);
    if port == 0 {
        return Err(instead("port 0 cannot be connected to", TCP_EXAMPLE));
    }
    if let Some((name, _)) = url.query_pairs().next() {
        return Err(unknown_query(&name, "redis://host:6379/0"));
    }
    no_fragment(&url, TCP_EXAMPLE)?;
    let database = match url.path().trim_start_matches('/') {
        "" => 0,
        number => database(number, "redis://host:6379/0")?,
    };
    let (user, password) = login(&url)?;
    let name = if host.contains(':') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    };
    let place = if has_tls {
        Place::Tls { host, port }
    } else {
        Place::Tcp { host, port }
    };
    Ok(Address {
        place,
        database,
        user,
        password,
        name: Arc::from(name),
    })
}

fn parse_unix(text: &str) -> Result<Address, String> {
    if cfg!(not(unix)) {
        return Err(instead("this system has no unix sockets", TCP_EXAMPLE));
    }
    let url = Url::parse(text).map_err(|_| instead("the address does not parse", UNIX_EXAMPLE))?;
    let has_host = url.host_str().is_some_and(|host| !host.is_empty());
    if has_host || url.path().len() < 2 {
        let problem = "a socket's address has three slashes and an absolute path";
        return Err(instead(problem, UNIX_EXAMPLE));
    }
    no_fragment(&url, UNIX_EXAMPLE)?;
    let path = decoded(url.path(), UNIX_EXAMPLE)?;
    let mut address = Address {
        name: Arc::from(path.as_str()),
        place: Place::Unix { path },
        database: 0,
        user: None,
        password: None,
    };
    for (name, value) in url.query_pairs() {
        match &*name {
            "db" => address.database = database(&value, "redis+unix:///run/redis.sock?db=0")?,
            "user" => address.user = Some(value.into_owned()),
            "password" => address.password = Some(value.into_owned()),
            _ => return Err(unknown_query(&name, UNIX_LOGIN_EXAMPLE)),
        }
    }
    if address.user.is_some() && address.password.is_none() {
        let problem = "a user comes without a password";
        return Err(instead(problem, UNIX_LOGIN_EXAMPLE));
    }
    Ok(address)
}

fn login(url: &Url) -> Result<(Option<String>, Option<String>), String> {
    let user = match url.username() {
        "" => None,
        user => Some(decoded(user, LOGIN_EXAMPLE)?),
    };
    let password = match url.password() {
        None => None,
        Some(password) => Some(decoded(password, LOGIN_EXAMPLE)?),
    };
    if user.is_some() && password.is_none() {
        return Err(format!(
            "a user comes without a password; write `{LOGIN_EXAMPLE}`, \
             or `redis://:password@host:6379` for a password alone"
        ));
    }
    Ok((user, password))
}

fn decoded(text: &str, example: &str) -> Result<String, String> {
    match percent_decode_str(text).decode_utf8() {
        Ok(text) => Ok(text.into_owned()),
        Err(_) => Err(instead("the address is not UTF-8 when decoded", example)),
    }
}

fn database(text: &str, example: &str) -> Result<i64, String> {
    match text.parse::<u32>() {
        Ok(number) => Ok(i64::from(number)),
        Err(_) => Err(instead("the database is not a number", example)),
    }
}

/// Refuses an address whose host would be the beginning of its password.
fn no_slash_in_login(text: &str) -> Result<(), String> {
    let begins_path = |before: &str| before.matches('/').count() > "//".len();
    match text.rsplit_once('@') {
        Some((before, _)) if begins_path(before) => Err(instead(
            "a `/` ends the host; inside a password it is written `%2F`",
            LOGIN_EXAMPLE,
        )),
        _ => Ok(()),
    }
}

fn unknown_query(name: &str, example: &str) -> String {
    if name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        instead(&format!("the query `{name}` is unknown"), example)
    } else {
        // It may be the end of a password: it is not shown.
        instead(
            "a `?` begins a query; inside a password it is written `%3F`",
            example,
        )
    }
}

fn no_fragment(url: &Url, example: &str) -> Result<(), String> {
    match url.fragment() {
        None => Ok(()),
        // Certificates are always checked, so `#insecure` has no meaning; a
        // `#` inside a password lands here as well.
        Some(_) => Err(instead(
            "the address contains a `#`, which a password has as `%23`",
            example,
        )),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parsed(text: &str) -> Address {
        Address::parse(text).unwrap()
    }

    fn refused(text: &str) -> String {
        Address::parse(text).unwrap_err()
    }

    #[test]
    fn port_and_database_have_defaults() {
        let address = parsed("redis://cache-1");
        let place = Place::Tcp {
            host: "cache-1".to_owned(),
            port: 6379,
        };
        assert_eq!(address.place, place);
        assert_eq!(address.database, 0);
        assert_eq!(address.to_string(), "cache-1:6379");
    }

    #[test]
    fn port_database_user_and_password_are_read() {
        let address = parsed(" redis://app:s%40cret%3A@Cache:7000/3 ");
        assert_eq!(address.to_string(), "cache:7000");
        assert_eq!(address.database, 3);
        assert_eq!(address.user.as_deref(), Some("app"));
        assert_eq!(address.password.as_deref(), Some("s@cret:"));
    }

    #[test]
    fn a_password_alone_is_read() {
        let address = parsed("redis://:secret@cache/");
        assert_eq!(address.user, None);
        assert_eq!(address.password.as_deref(), Some("secret"));
    }

    #[test]
    fn an_empty_password_is_none() {
        assert_eq!(parsed("redis://:@cache").password, None);
        assert!(refused("redis://secret:@cache").contains("without a password"));
    }

    #[test]
    fn an_ipv6_host_is_shown_in_brackets() {
        let address = parsed("redis://[::1]:7000");
        let place = Place::Tcp {
            host: "::1".to_owned(),
            port: 7000,
        };
        assert_eq!(address.place, place);
        assert_eq!(address.to_string(), "[::1]:7000");
    }

    #[test]
    fn a_socket_is_read_with_its_queries() {
        let address = parsed("redis+unix:///run/my%20redis.sock?db=2&user=app&password=a%26b");
        assert_eq!(address.to_string(), "/run/my redis.sock");
        assert_eq!(address.database, 2);
        assert_eq!(address.user.as_deref(), Some("app"));
        assert_eq!(address.password.as_deref(), Some("a&b"));
    }

    #[test]
    fn debug_hides_the_password() {
        let shown = format!("{:?}", parsed("redis://app:secret@cache"));
        assert!(!shown.contains("secret"), "{shown}");
        assert!(shown.contains("cache"), "{shown}");
    }

    #[test]
    fn every_refusal_shows_a_right_address_and_no_password() {
        let cases = [
            ("", "an address is empty"),
            ("   ", "an address is empty"),
            ("cache:6379", "no scheme"),
            ("app:secret@cache", "no scheme"),
            ("app:secret@redis://cache", "no scheme"),
            ("http://app:secret@cache", "`http` is unknown"),
            ("memory://?shared=secret", "write `memory://` alone"),
            ("Memory", "write `memory://` alone"),
            ("redis://:secret@one redis://:secret@two", "by commas"),
            ("redis://one;redis://:secret@two", "by commas"),
            ("redis-cluster://app:secret@cache", "a cluster"),
            ("redis+cluster://cache", "a cluster"),
            ("redis-sentinel://cache/primary", "sentinels"),
            ("unix:///run/redis.sock", "`redis+unix`"),
            ("redis://", "no host"),
            ("redis://:secret@", "redis://host:6379"),
            ("redis://cache:70000", "does not parse"),
            ("redis://cache:0", "port 0"),
            ("redis://cache/zero", "not a number"),
            ("redis://cache/-1", "not a number"),
            ("redis://cache?db=1", "query `db` is unknown"),
            ("redis://app:2024?secret!@cache", "written `%3F`"),
            ("redis://cache?protocol=resp3", "query `protocol`"),
            ("redis://app:2024/secret@cache", "written `%2F`"),
            ("redis://:sec/ret@cache:6379/1", "written `%2F`"),
            ("redis://:%40/secret@s@cache", "written `%2F`"),
            ("redis://secret@cache", "without a password"),
            ("redis://app:sec#ret@cache", "redis://host:6379"),
            ("redis://cache/#insecure", "contains a `#`"),
            ("redis://app:%ff@cache", "not UTF-8"),
            ("redis+unix://run/redis.sock", "three slashes"),
            ("redis+unix:///", "three slashes"),
            ("redis+unix:///run/redis.sock?base=1", "query `base`"),
            (
                "redis+unix:///run/redis.sock?pass=secret",
                "&password=password`",
            ),
            ("redis+unix:///run/redis.sock?db=x", "not a number"),
            ("redis+unix:///run/redis.sock#secret", "contains a `#`"),
            (
                "redis+unix:///run/redis.sock?user=secret",
                "without a password",
            ),
        ];
        for (text, problem) in cases {
            let message = refused(text);
            assert!(message.contains(problem), "{text}: {message}");
            assert!(message.contains("redis"), "{text}: {message}");
            assert!(!message.contains("secret"), "{text}: {message}");
        }
    }

    #[test]
    #[cfg(not(feature = "tls"))]
    fn tls_without_the_feature_is_refused_by_its_name() {
        let message = refused("rediss://cache");
        assert!(message.contains("feature `tls`"), "{message}");
    }

    #[test]
    #[cfg(feature = "tls")]
    fn tls_is_read_with_the_feature() {
        let place = Place::Tls {
            host: "cache".to_owned(),
            port: 6379,
        };
        assert_eq!(parsed("rediss://cache").place, place);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in ".{0,60}") {
            let _ = Address::parse(&text);
            let _ = Address::parse(&format!("redis://{text}"));
            let _ = Address::parse(&format!("redis+unix:///{text}"));
        }
    }
}
