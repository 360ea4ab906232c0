//! From names to addresses that may be connected to.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::LazyLock;

use async_trait::async_trait;
use ipnet::IpNet;

/// Looks names up.
#[async_trait]
pub trait Resolve: Send + Sync {
    /// The addresses of a host.
    async fn resolve(&self, host: &str) -> std::io::Result<Vec<IpAddr>>;
}

/// The machine's own resolver.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemResolver;

#[async_trait]
impl Resolve for SystemResolver {
    async fn resolve(&self, host: &str) -> std::io::Result<Vec<IpAddr>> {
        Ok(tokio::net::lookup_host((host, 0)).await?.map(|address| address.ip()).collect())
    }
}

/// What kind of address stands in the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Barrier {
    /// Not of the public internet: a granted network opens it.
    Private,
    /// A metadata service, or no address of one host: nothing opens it.
    Never,
}

/// Why an address must not be connected to, or `None`.
pub(super) fn barrier(address: IpAddr, networks: &[IpNet]) -> Option<Barrier> {
    let address = embedded(address);
    let within = |nets: &[IpNet]| nets.iter().any(|net| net.contains(&address));
    if within(&NEVER) {
        Some(Barrier::Never)
    } else if within(&PRIVATE) && !within(networks) {
        Some(Barrier::Private)
    } else {
        None
    }
}

/// The IPv4 address inside an IPv6 one that a gateway or the kernel would unwrap.
fn embedded(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    let [a, b, c, d, e, f, g, h] = v6.segments();
    let v4 = |high: u16, low: u16| IpAddr::V4(Ipv4Addr::from(u32::from(high) << 16 | u32::from(low)));
    match [a, b, c, d, e, f] {
        // Mapped (RFC 4291), and behind the well-known NAT64 prefix (RFC 6052).
        [0, 0, 0, 0, 0, 0xffff] | [0x64, 0xff9b, 0, 0, 0, 0] => v4(g, h),
        // 6to4 (RFC 3056).
        [0x2002, high, low, ..] => v4(high, low),
        _ => address,
    }
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
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "::1/128",
        "64:ff9b:1::/48",
        "2001:db8::/32",
        "fc00::/7",
    ])
});

static NEVER: LazyLock<Vec<IpNet>> = LazyLock::new(|| {
    nets(&[
        "0.0.0.0/8",
        // Link-local; the metadata services of most clouds are at 169.254.169.254.
        "169.254.0.0/16",
        "fe80::/10",
        // Metadata and host services at other addresses: Alibaba, Azure, Oracle, AWS, Google.
        "100.100.100.200/32",
        "168.63.129.16/32",
        "192.0.0.192/32",
        "fd00:ec2::/32",
        "fd20:ce::/32",
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
        assert_eq!((PRIVATE.len(), NEVER.len()), (14, 13));
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
