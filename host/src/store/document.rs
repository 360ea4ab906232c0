//! Documents: small values of a tenant under a kind and a name, which their owners read and
//! write whole.
//!
//! They are written with a run's commit or by themselves, and are as durable as all else.

use serde::de::DeserializeOwned;

use super::database::Database;
use super::entry::{DocumentsEntry, Entry};
use super::keys::{Key, Space};
use super::record::{DocumentKind, DocumentWrite};
use super::{StoreError, lock};

pub(super) fn document_prefix(tenant: &str, kind: DocumentKind) -> Key {
    Space::Document.key().text(tenant).text(kind.name())
}

impl Database {
    /// A document; `None` if there is none.
    pub fn document<T: DeserializeOwned>(
        &self,
        tenant: &str,
        kind: DocumentKind,
        id: &str,
    ) -> Result<Option<T>, StoreError> {
        let value = self.inner.get(&document_prefix(tenant, kind).last(id).done())?;
        value.map(|value| decoded(kind, id, &value)).transpose()
    }

    /// The documents whose names begin with `prefix`, in the order of their names.
    pub fn documents<T: DeserializeOwned>(
        &self,
        tenant: &str,
        kind: DocumentKind,
        prefix: &str,
    ) -> Result<Vec<(String, T)>, StoreError> {
        let own = document_prefix(tenant, kind);
        let skipped = own.clone().done().len();
        let mut documents = Vec::new();
        for (key, value) in self.inner.scan(&own.last(prefix), None)? {
            let name = key.get(skipped..).and_then(|name| std::str::from_utf8(name).ok());
            let name = name.ok_or_else(|| StoreError::damaged("a document", "its name is no text"))?;
            documents.push((name.to_owned(), decoded(kind, name, &value)?));
        }
        Ok(documents)
    }

    /// Writes documents outside of any run: all of them or, on an error, none.
    pub fn write_documents(&self, tenant: &str, documents: Vec<DocumentWrite>) -> Result<(), StoreError> {
        self.inner.check_writable()?;
        let mut writer = lock(&self.inner.writer);
        writer.accounts.check_open(tenant)?;
        let entry = Entry::Documents(DocumentsEntry { tenant: tenant.to_owned(), documents });
        self.inner.write_entry(&mut writer, entry).map(drop)
    }
}

fn decoded<T: DeserializeOwned>(kind: DocumentKind, id: &str, value: &[u8]) -> Result<T, StoreError> {
    rmp_serde::from_slice(value).map_err(|e| StoreError::damaged(format!("the {} {id}", kind.name()), e))
}
