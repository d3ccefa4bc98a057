//! TLS of the append connection, by rustls: what sqlx does with a server's certificate in each mode, done here as well.

use std::convert::Infallible;
use std::error::Error;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream};
use tokio_rustls::TlsConnector;

type Failure = Box<dyn Error + Send + Sync>;

/// What is asked of the server's certificate, and what is shown of our own. Files are paths, or their PEM text.
#[derive(Clone)]
pub(in crate::event_store) struct Trust {
    /// Whether the certificate must be one of a known authority, for the server's name; otherwise the connection is encrypted and the server
    /// at its other end may be any.
    pub(super) certificate: bool,
    /// The authorities besides those that browsers know.
    pub(super) roots: Option<String>,
    /// Our certificate and its key.
    pub(super) client: (Option<String>, Option<String>),
}

impl Trust {
    async fn client_config(&self) -> Result<ClientConfig, Failure> {
        // Named, because a process with another default must not change the log's connection.
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions()?;
        let config = if self.certificate {
            let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(self.roots().await?), provider);
            config.with_webpki_verifier(verifier.build()?)
        } else {
            config.dangerous().with_custom_certificate_verifier(Arc::new(AnyServer(provider)))
        };
        Ok(match &self.client {
            (Some(certificate), Some(key)) => {
                let (certificate, key) = (pem(certificate).await?, pem(key).await?);
                let chain = CertificateDer::pem_slice_iter(&certificate).collect::<Result<_, _>>()?;
                config.with_client_auth_cert(chain, PrivateKeyDer::from_pem_slice(&key)?)?
            }
            (None, None) => config.with_no_client_auth(),
            _ => return Err("sslcert and sslkey must be given together".into()),
        })
    }

    async fn roots(&self) -> Result<RootCertStore, Failure> {
        let mut roots: RootCertStore = webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect();
        if let Some(file) = &self.roots {
            for certificate in CertificateDer::pem_slice_iter(&pem(file).await?) {
                roots.add(certificate?)?;
            }
        }
        Ok(roots)
    }
}

/// A file's bytes; text that is a certificate itself is taken as it is.
async fn pem(file: &str) -> Result<Vec<u8>, Failure> {
    if file.trim_start().starts_with("-----BEGIN ") {
        return Ok(file.as_bytes().to_vec());
    }
    tokio::fs::read(file).await.map_err(|error| format!("{file}: {error}").into())
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> MakeTlsConnect<S> for Trust {
    type Stream = Encrypted<S>;
    type TlsConnect = Handshake;
    type Error = Infallible;

    fn make_tls_connect(&mut self, host: &str) -> Result<Handshake, Infallible> {
        Ok(Handshake { trust: self.clone(), host: host.to_owned() })
    }
}

/// A handshake that is to come: only a server that speaks TLS costs the reading of certificates.
pub(in crate::event_store) struct Handshake {
    trust: Trust,
    host: String,
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> TlsConnect<S> for Handshake {
    type Stream = Encrypted<S>;
    type Error = Failure;
    type Future = Pin<Box<dyn Future<Output = Result<Encrypted<S>, Failure>> + Send>>;

    fn connect(self, stream: S) -> Self::Future {
        Box::pin(async move {
            let connector = TlsConnector::from(Arc::new(self.trust.client_config().await?));
            Ok(Encrypted(connector.connect(ServerName::try_from(self.host)?, stream).await?))
        })
    }
}

/// The encrypted stream.
pub(in crate::event_store) struct Encrypted<S>(tokio_rustls::client::TlsStream<S>);

impl<S: AsyncRead + AsyncWrite + Unpin> TlsStream for Encrypted<S> {
    fn channel_binding(&self) -> ChannelBinding {
        // As sqlx: passwords are not bound to the channel. `verify-full` is what keeps a server in the middle out.
        ChannelBinding::none()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Encrypted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Encrypted<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

/// Takes every server's certificate, if the server has its key: what `prefer` and `require` mean.
#[derive(Debug)]
struct AnyServer(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyServer {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
