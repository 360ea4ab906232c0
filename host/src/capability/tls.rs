//! TLS for all outgoing connections: one provider, one set of roots.

use std::sync::{Arc, LazyLock};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

static ROOTS: LazyLock<RootCertStore> = LazyLock::new(|| {
    let mut roots = RootCertStore::empty();
    // The machine's own store first: a private authority is there or nowhere.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    roots
});

static CLIENT: LazyLock<Option<ClientConfig>> = LazyLock::new(|| trusting(ROOTS.clone()));

fn trusting(roots: RootCertStore) -> Option<ClientConfig> {
    // For clients that are built elsewhere without a provider of their own.
    let provider = rustls::crypto::ring::default_provider();
    let _ = provider.clone().install_default();
    let config = ClientConfig::builder_with_provider(Arc::new(provider)).with_safe_default_protocol_versions().ok()?;
    Some(config.with_root_certificates(roots).with_no_client_auth())
}

/// The configuration of a TLS client, made once; `None` if ring does not know TLS 1.2.
pub fn client() -> Option<ClientConfig> {
    CLIENT.clone()
}

/// The same, which trusts the certificates of a PEM text as well; the error says what is
/// wrong with them.
pub fn client_trusting(pem: Option<&[u8]>) -> Result<ClientConfig, String> {
    let mut roots = ROOTS.clone();
    for certificate in CertificateDer::pem_slice_iter(pem.unwrap_or_default()) {
        let certificate = certificate.map_err(|e| e.to_string())?;
        roots.add(certificate).map_err(|e| e.to_string())?;
    }
    trusting(roots).ok_or_else(|| "TLS cannot be used".into())
}
