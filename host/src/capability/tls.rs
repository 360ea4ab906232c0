//! TLS for all outgoing connections: one provider, one set of roots.

use std::sync::{Arc, LazyLock};

use rustls::{ClientConfig, RootCertStore};

static CLIENT: LazyLock<Option<ClientConfig>> = LazyLock::new(|| {
    // For clients that are built elsewhere without a provider of their own.
    let provider = rustls::crypto::ring::default_provider();
    let _ = provider.clone().install_default();
    let mut roots = RootCertStore::empty();
    // The machine's own store first: a private authority is there or nowhere.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    let config = ClientConfig::builder_with_provider(Arc::new(provider)).with_safe_default_protocol_versions().ok()?;
    Some(config.with_root_certificates(roots).with_no_client_auth())
});

/// The configuration of a TLS client, made once; `None` if ring does not know TLS 1.2.
pub fn client() -> Option<ClientConfig> {
    CLIENT.clone()
}
