//! How often an address may try: each has a budget that comes back with time.
//!
//! What is tried are tokens of 256 random bits, which nobody guesses at any speed. The budget
//! keeps those who try from costing much, and tells a client with a wrong token to slow down.
//! It does not hold off somebody who has many addresses, and knows nothing of what other
//! nodes saw. How many addresses are told apart is bounded; when there are more, the new ones
//! share one budget.

use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::time::Duration;

use axum::http::HeaderMap;
use governor::clock::{Clock, MonotonicClock};
use governor::middleware::NoOpMiddleware;
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter};

/// The budgets of addresses. Its clock is the monotonic one: a step of the wall clock locks
/// nobody out.
pub(super) struct Throttle<C: Clock = MonotonicClock> {
    limiter: RateLimiter<IpAddr, DashMapStateStore<IpAddr>, C, NoOpMiddleware<C::Instant>>,
    clock: C,
    addresses: usize,
}

impl Throttle {
    /// `per_minute` tries of an address, all of them at once if it likes; `addresses` are told
    /// apart.
    pub fn new(per_minute: u32, addresses: usize) -> Self {
        Self::with_clock(per_minute, addresses, MonotonicClock)
    }
}

impl<C: Clock + Clone> Throttle<C> {
    fn with_clock(per_minute: u32, addresses: usize, clock: C) -> Self {
        let quota = Quota::per_minute(NonZeroU32::new(per_minute).unwrap_or(NonZeroU32::MIN));
        let limiter = RateLimiter::new(quota, DashMapStateStore::default(), clock.clone());
        Self { limiter, clock, addresses }
    }

    /// Takes one try from the budget of an address, or says how long it has to wait.
    pub fn spend(&self, address: IpAddr) -> Result<(), Duration> {
        if self.limiter.len() >= self.addresses {
            self.limiter.retain_recent();
        }
        let known = self.limiter.len() < self.addresses;
        let key = if known { network(address) } else { Ipv6Addr::UNSPECIFIED.into() };
        self.limiter.check_key(&key).map_err(|until| until.wait_time_from(self.clock.now()))
    }
}

/// Who holds an address of IPv6 has 2⁶⁴ of them.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        address => address,
    }
}

/// The address that a request comes from. Of a proxy on this machine the last one that it
/// has added is taken; whoever else sends such a header is taken for what they are.
pub(super) fn address_of(peer: IpAddr, headers: &HeaderMap) -> IpAddr {
    if !peer.to_canonical().is_loopback() {
        return peer;
    }
    let added = headers.get_all("x-forwarded-for").iter().next_back().and_then(|value| value.to_str().ok());
    let last = added.and_then(|addresses| addresses.rsplit(',').next()?.trim().parse().ok());
    last.unwrap_or(peer)
}

#[cfg(test)]
mod tests {
    use governor::clock::FakeRelativeClock;

    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_waits_when_its_tries_are_spent_and_others_do_not() {
        let clock = FakeRelativeClock::default();
        let throttle = Throttle::with_clock(3, 100, clock.clone());
        let (one, other) = (ip("192.0.2.1"), ip("192.0.2.2"));
        for _ in 0..3 {
            assert_eq!(throttle.spend(one), Ok(()));
        }
        assert_eq!(throttle.spend(one), Err(Duration::from_secs(20)));
        assert_eq!(throttle.spend(other), Ok(()));
        clock.advance(Duration::from_secs(20));
        assert_eq!(throttle.spend(one), Ok(()));
        assert!(throttle.spend(one).is_err());
    }

    #[test]
    fn the_addresses_of_a_network_share_a_budget_and_so_do_too_many() {
        let throttle = Throttle::with_clock(1, 100, FakeRelativeClock::default());
        assert!(throttle.spend(ip("2001:db8::1")).is_ok());
        assert!(throttle.spend(ip("2001:db8::ffff:2")).is_err());
        assert!(throttle.spend(ip("2001:db8:0:1::1")).is_ok());
        let few = Throttle::with_clock(1, 2, FakeRelativeClock::default());
        let taken = (1..=10).filter(|n| few.spend(IpAddr::from([192, 0, 2, *n])).is_ok()).count();
        assert_eq!(taken, 3, "two of their own, and one for all others");
    }

    #[test]
    fn what_a_proxy_on_this_machine_adds_is_believed_and_no_other() {
        let mut headers = HeaderMap::new();
        headers.insert("x-forwarded-for", "10.0.0.1, 203.0.113.7".parse().unwrap());
        assert_eq!(address_of(ip("127.0.0.1"), &headers), ip("203.0.113.7"));
        assert_eq!(address_of(ip("198.51.100.1"), &headers), ip("198.51.100.1"));
        assert_eq!(address_of(ip("127.0.0.1"), &HeaderMap::new()), ip("127.0.0.1"));
    }
}
