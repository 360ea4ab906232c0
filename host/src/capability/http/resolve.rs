//! From names to addresses that may be connected to.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::LazyLock;

use async_trait::async_trait;
use ipnet::IpNet;
use url::Host;

/// Addresses of one name that are looked at.
const ADDRESSES: usize = 32;

/// Looks names up.
#[async_trait]
pub trait Resolve: Send + Sync {
    /// The addresses of a host.
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>>;
}

/// The machine's own resolver.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemResolver;

#[async_trait]
impl Resolve for SystemResolver {
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        Ok(tokio::net::lookup_host((host, 0)).await?.map(|address| address.ip()).collect())
    }
}

/// Why no address of a host may be connected to.
#[derive(Debug)]
pub(in crate::capability) enum Unreachable {
    /// Nobody knows the name.
    Unknown(io::Error),
    /// The name has no address.
    Nowhere,
    /// A private one, for which no network is granted.
    Private(IpAddr),
    /// One that nobody may connect to.
    Never(IpAddr),
}

/// The addresses of a host that may be connected to; at least one. One that stands in the
/// place of a name passes the same checks as one that a resolver gave.
pub(in crate::capability) async fn addresses<S: AsRef<str>>(
    resolver: &dyn Resolve,
    host: &Host<S>,
    port: u16,
    networks: &[IpNet],
) -> Result<Vec<SocketAddr>, Unreachable> {
    let found = match host {
        Host::Ipv4(address) => vec![IpAddr::V4(*address)],
        Host::Ipv6(address) => vec![IpAddr::V6(*address)],
        Host::Domain(name) => resolver.resolve(name.as_ref()).await.map_err(Unreachable::Unknown)?,
    };
    let mut refused = Unreachable::Nowhere;
    let mut permitted = Vec::new();
    for address in found.into_iter().take(ADDRESSES) {
        match barrier(address, networks) {
            None => permitted.push(SocketAddr::new(address, port)),
            // The first is told: one is enough to see what the name means.
            Some(_) if !matches!(refused, Unreachable::Nowhere) => {}
            Some(Barrier::Private) => refused = Unreachable::Private(meant(address)),
            Some(Barrier::Never) => refused = Unreachable::Never(address),
        }
    }
    if permitted.is_empty() { Err(refused) } else { Ok(permitted) }
}

/// What kind of address stands in the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Barrier {
    /// Not of the public internet: a granted network opens it.
    Private,
    /// A metadata service, or no address of one host: nothing opens it.
    Never,
}

/// Why an address must not be connected to, or `None`. An address that hides another is as
/// bad as the worse of the two.
fn barrier(address: IpAddr, networks: &[IpNet]) -> Option<Barrier> {
    let within = |nets: &[IpNet], address: IpAddr| nets.iter().any(|net| net.contains(&address));
    if within(&NEVER, address) || hidden(address).is_some_and(|hidden| within(&NEVER, hidden)) {
        return Some(Barrier::Never);
    }
    let meant = meant(address);
    (within(&PRIVATE, meant) && !within(networks, meant)).then_some(Barrier::Private)
}

/// The address that a grant has to name: the hidden one, where the packets go, but for ranges
/// that are private whatever they hide.
fn meant(address: IpAddr) -> IpAddr {
    let private = PRIVATE.iter().any(|net| net.contains(&address));
    hidden(address).filter(|_| !private).unwrap_or(address)
}

/// The IPv4 address inside an IPv6 one that a gateway or the kernel would unwrap.
fn hidden(address: IpAddr) -> Option<IpAddr> {
    let IpAddr::V6(v6) = address else { return None };
    let [a, b, c, d, e, f, g, h] = v6.segments();
    let (high, low) = match [a, b, c, d, e, f] {
        // `::` and `::1` are themselves.
        [0, 0, 0, 0, 0, 0] if (g, h) == (0, 0) || (g, h) == (0, 1) => return None,
        // IPv4-compatible and mapped (RFC 4291), translated (RFC 2765).
        [0, 0, 0, 0, 0, 0 | 0xffff] | [0, 0, 0, 0, 0xffff, 0] => (g, h),
        // Behind the NAT64 prefixes, the well-known (RFC 6052) and the local (RFC 8215).
        [0x64, 0xff9b, 0, 0, 0, 0] | [0x64, 0xff9b, 1, ..] => (g, h),
        // 6to4 (RFC 3056).
        [0x2002, high, low, ..] => (high, low),
        // ISATAP (RFC 5214).
        [_, _, _, _, 0 | 0x200, 0x5efe] => (g, h),
        _ => return None,
    };
    Some(IpAddr::V4(Ipv4Addr::from(u32::from(high) << 16 | u32::from(low))))
}

/// IANA's special-purpose registries, but for what is in [`NEVER`].
static PRIVATE: LazyLock<Vec<IpNet>> = LazyLock::new(|| {
    nets(&[
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        // The way to the next 6to4 relay, deprecated (RFC 7526).
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "::1/128",
        "64:ff9b:1::/48",
        "100::/64",
        "2001:2::/48",
        "2001:10::/28",
        "2001:db8::/32",
        "3fff::/20",
        "5f00::/16",
        "fc00::/7",
    ])
});

static NEVER: LazyLock<Vec<IpNet>> = LazyLock::new(|| {
    nets(&[
        "0.0.0.0/8",
        // Link-local; the metadata services of most clouds are at 169.254.169.254.
        "169.254.0.0/16",
        "fe80::/10",
        // Metadata and host services at other addresses: Alibaba, Azure, Oracle (two), AWS,
        // Google, Scaleway.
        "100.100.100.200/32",
        "168.63.129.16/32",
        "192.0.0.192/32",
        "fd00:c1::/32",
        "fd00:ec2::/32",
        "fd20:ce::/32",
        "fd00:42::/32",
        // Multicast, reserved, broadcast.
        "224.0.0.0/3",
        "ff00::/8",
        // Unspecified; Teredo, which hides an IPv4 address; the deprecated site-local.
        "::/128",
        "2001::/32",
        "fec0::/10",
    ])
});

fn nets(texts: &[&str]) -> Vec<IpNet> {
    texts.iter().filter_map(|text| text.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_are_whole() {
        assert_eq!((PRIVATE.len(), NEVER.len()), (20, 15));
    }

    #[test]
    fn private_addresses_need_a_network_and_metadata_never_passes() {
        let granted = nets(&["10.0.0.0/8", "127.0.0.0/8", "100.64.0.0/10", "fc00::/7", "169.254.0.0/16"]);
        let (open, private, never) = (None, Some(Barrier::Private), Some(Barrier::Never));
        for (address, ungranted, with_grant) in [
            ("93.184.216.34", open, open),
            ("2606:2800:220:1::1", open, open),
            ("10.1.2.3", private, open),
            ("192.168.0.1", private, private),
            ("127.0.0.1", private, open),
            ("::ffff:127.0.0.1", private, open),
            ("::ffff:169.254.169.254", never, never),
            ("64:ff9b::a9fe:a9fe", never, never),
            ("2002:a9fe:a9fe::1", never, never),
            ("64:ff9b::5db8:d822", open, open),
            ("64:ff9b:1::5db8:d822", private, private),
            ("64:ff9b:1::a9fe:a9fe", never, never),
            ("::169.254.169.254", never, never),
            ("::10.1.2.3", private, open),
            ("::ffff:0:169.254.169.254", never, never),
            ("2606:2800:220:1:0:5efe:a9fe:a9fe", never, never),
            ("2606:2800:220:1:200:5efe:10.1.2.3", private, open),
            ("2002:a01:203::", private, open),
            ("fd00:42::42", never, never),
            ("fd00:c1::a9fe:a9fe", never, never),
            ("192.88.99.1", private, private),
            ("3fff::1", private, private),
            ("169.254.169.254", never, never),
            ("100.100.100.200", never, never),
            ("fd00:ec2::254", never, never),
            ("fd12::1", private, open),
            ("::1", private, private),
            ("0.0.0.0", never, never),
            ("::", never, never),
            ("255.255.255.255", never, never),
        ] {
            let address: IpAddr = address.parse().unwrap();
            assert_eq!(barrier(address, &[]), ungranted, "{address}");
            assert_eq!(barrier(address, &granted), with_grant, "{address}");
        }
    }
}
