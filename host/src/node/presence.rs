//! How a command finds the node that has the store open: a file in its data folder.
//!
//! The file names the node's address and a token that is new with each start; only the
//! user who runs the node can read it. It is there while the node serves. One that a
//! killed node left behind names a process that no longer holds the store, and is passed
//! over.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// Its name in the data folder.
const FILE: &str = "node.json";
/// More than this is not read.
const MOST_BYTES: u64 = 4 << 10;

/// Where a running node is reached.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Presence {
    /// Where it listens.
    pub address: SocketAddr,
    /// What requests must show: `Authorization: Bearer`.
    pub token: String,
    /// Its process.
    pub pid: u32,
}

/// The file of a node that serves; gone when this is dropped.
#[derive(Debug)]
pub struct Published(PathBuf);

impl Presence {
    /// A node of this process.
    pub fn new(listens: SocketAddr, token: String) -> Self {
        let here = match listens.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            ip => ip,
        };
        Self { address: SocketAddr::new(here, listens.port()), token, pid: std::process::id() }
    }

    /// Writes the file.
    pub fn publish(&self, data: &Path) -> io::Result<Published> {
        let path = data.join(FILE);
        let partial = data.join(format!("{FILE}.partial"));
        // One of an earlier node could have other rights.
        let _ = fs::remove_file(&partial);
        let mut options = File::options();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options.open(&partial)?.write_all(&serde_json::to_vec(self)?)?;
        fs::rename(&partial, &path)?;
        Ok(Published(path))
    }

    /// The node of a data folder whose store this process holds; `None` if it serves
    /// nobody.
    pub fn of(data: &Path, holder: Option<u32>) -> Option<Self> {
        use std::io::Read as _;
        let mut text = Vec::new();
        File::open(data.join(FILE)).ok()?.take(MOST_BYTES).read_to_end(&mut text).ok()?;
        let found: Self = serde_json::from_slice(&text).ok()?;
        holder.is_none_or(|pid| pid == found.pid).then_some(found)
    }
}

impl Drop for Published {
    fn drop(&mut self) {
        // A file that stays is passed over, since nobody of this number holds the store.
        let _ = fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_for_its_user_alone_and_a_stale_one_is_passed_over() {
        let data = tempfile::tempdir().unwrap();
        let presence = Presence::new("0.0.0.0:8700".parse().unwrap(), "secret".to_owned());
        assert_eq!(presence.address.to_string(), "127.0.0.1:8700", "a command is on the same machine");
        let published = presence.publish(data.path()).unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = fs::metadata(data.path().join(FILE)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        assert!(Presence::of(data.path(), Some(presence.pid)).is_some_and(|found| found == presence));
        assert!(Presence::of(data.path(), Some(presence.pid + 1)).is_none(), "another process holds the store");
        drop(published);
        assert!(Presence::of(data.path(), None).is_none());
    }
}
