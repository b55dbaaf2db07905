//! TLS on a connection to a node, through rustls.

use std::{io, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::{CryptoProvider, ring},
    pki_types::ServerName,
};
use rustls_native_certs::load_native_certs;
use tokio::{net::TcpStream, task::spawn_blocking};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// Begins TLS with the server of this name, whose certificate must be signed by an
/// authority that the system trusts.
pub(super) async fn connect(host: &str, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
    // Read from files.
    let trusted = spawn_blocking(trusted_by_system).await??;
    connect_trusting(trusted, host, stream).await
}

/// As [`connect`], where these authorities are trusted.
async fn connect_trusting(
    roots: RootCertStore,
    host: &str,
    stream: TcpStream,
) -> io::Result<TlsStream<TcpStream>> {
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    let connector = TlsConnector::from(Arc::new(config(roots)?));
    connector.connect(name, stream).await
}

fn trusted_by_system() -> io::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    let found = load_native_certs();
    let (added, _) = roots.add_parsable_certificates(found.certs);
    match (added, found.errors.into_iter().next()) {
        (0, Some(error)) => Err(io::Error::other(error)),
        (0, None) => Err(io::Error::other("this system trusts no certificate")),
        _ => Ok(roots),
    }
}

fn config(roots: RootCertStore) -> io::Result<ClientConfig> {
    // The program's, where it has chosen one.
    let provider = CryptoProvider::get_default().cloned();
    let provider = provider.unwrap_or_else(|| Arc::new(ring::default_provider()));
    let config = ClientConfig::builder_with_provider(provider);
    let config = config.with_safe_default_protocol_versions();
    let config = config.map_err(io::Error::other)?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

#[cfg(test)]
mod tests {
    use std::{fs, io::Write as _, net::TcpListener, thread};

    use lockguard_servers::free_port;
    use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
    use redis::{Pipeline, Value};

    use super::*;
    use crate::backend::redis::{RedisNode, failure, tests::Server, wire::Wire};

    /// A server with a certificate that nobody has signed but itself, what trusts
    /// it, and the port where it speaks TLS.
    fn server(auth_clients: &str) -> (Server, RootCertStore, u16) {
        server_that_is(IsCa::NoCa, auth_clients)
    }

    /// As [`server`], with a certificate of this kind.
    fn server_that_is(is_ca: IsCa, auth_clients: &str) -> (Server, RootCertStore, u16) {
        let mut certificate = CertificateParams::new(["cache.example".to_owned()]).unwrap();
        certificate.is_ca = is_ca;
        let signing_key = KeyPair::generate().unwrap();
        let cert = certificate.self_signed(&signing_key).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let file = |name: &str, text: String| {
            let path = directory.path().join(name);
            fs::write(&path, text).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let (certificate, key) = (
            file("cert", cert.pem()),
            file("key", signing_key.serialize_pem()),
        );
        let port = free_port();
        #[rustfmt::skip]
        let server = Server::with(&[
            "--tls-port", &port.to_string(), "--tls-auth-clients", auth_clients,
            "--tls-cert-file", &certificate, "--tls-key-file", &key,
            "--tls-ca-cert-file", &certificate,
        ]);
        let mut roots = RootCertStore::empty();
        roots.add(cert.der().clone()).unwrap();
        (server, roots, port)
    }

    async fn refusal(port: u16) -> String {
        let refused = RedisNode::connect(&format!("rediss://127.0.0.1:{port}")).await;
        refused.unwrap_err().to_string()
    }

    #[tokio::test]
    async fn what_a_server_lacks_for_tls_is_said_with_what_to_do() {
        let (server, roots, port) = server("yes");
        let error = refusal(port).await;
        assert!(error.contains("`SSL_CERT_FILE`"), "{error}");
        let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let stream = connect_trusting(roots, "cache.example", stream).await;
        let mut wire = Wire::new(stream.unwrap());
        let mut questions = Pipeline::new();
        let error = wire.ask(questions.cmd("PING")).await.unwrap_err();
        let error = failure::of_connection(&error);
        assert!(error.contains("`tls-auth-clients no`"), "{error}");
        let error = refusal(server.port()).await;
        assert!(error.contains("write `redis://`"), "{error}");
    }

    #[tokio::test]
    async fn a_server_is_talked_to_that_proves_its_name() {
        let (server, roots, port) = server("no");
        let connect = async |name| {
            let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            connect_trusting(roots.clone(), name, stream).await
        };

        let mut wire = Wire::new(connect("cache.example").await.unwrap());
        let mut questions = Pipeline::new();
        questions.cmd("ECHO").arg(vec![b'a'; 100_000]).cmd("PING");
        let replies = wire.ask(&questions).await.unwrap();
        assert_eq!(replies[0], Value::BulkString(vec![b'a'; 100_000]));

        let error = connect("other.example").await.unwrap_err();
        assert!(error.to_string().contains("not valid for name"), "{error}");
        drop(server);
    }

    #[tokio::test]
    async fn who_hangs_up_on_our_greeting_may_speak_tls() {
        let (_server, _, port) = server("no");
        let refused = RedisNode::connect(&format!("redis://127.0.0.1:{port}")).await;
        let error = refused.unwrap_err().to_string();
        assert!(error.contains("write `rediss://`"), "{error}");
    }

    #[tokio::test]
    async fn who_answers_a_greeting_by_tls_without_it_is_said_to_speak_none() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let answering = thread::spawn(move || {
            let (mut client, _) = listener.accept().unwrap();
            client
                .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                .unwrap();
            client
        });
        let error = refusal(port).await;
        assert!(error.contains("speaks no TLS; write `redis://`"), "{error}");
        answering.join().unwrap();
    }

    #[tokio::test]
    async fn an_authority_that_shows_its_own_certificate_is_told_to_sign_another() {
        let authority = IsCa::Ca(BasicConstraints::Unconstrained);
        let (_server, roots, port) = server_that_is(authority, "no");
        let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let error = connect_trusting(roots, "cache.example", stream).await;
        let error = failure::of_connection(&error.unwrap_err().into());
        assert!(error.contains("`CA:TRUE`"), "{error}");
    }
}
