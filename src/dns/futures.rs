//! Lookups that are awaited.

use super::{Answer, Lookup, LookupError, ResolverRef};
use crate::LoopHandle;
use crate::error::{Error, Result};
use crate::task::{Promise, promise};
use crate::util::{AddrHints, AddrInfo};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

type Found<T> = Result<Answer<T>, LookupError>;

impl LoopHandle {
    /// The addresses of a host, by the resolver that the base has for connections by name: as this
    /// system is configured, and following it when that changes. IPv6 addresses come first; there is
    /// at least one.
    ///
    /// ```
    /// use libevent2::EventBase;
    /// use std::net::IpAddr;
    ///
    /// let mut base = EventBase::new()?;
    /// let handle = base.handle().clone();
    /// let found = base.block_on(handle.resolve("127.0.0.1"))?;
    /// assert_eq!(found?, ["127.0.0.1".parse::<IpAddr>().unwrap()]);
    /// # Ok::<(), libevent2::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Dns`] with what was asked for and the cause; [`Error::Os`] when the system's
    /// configuration cannot be read; [`Error::Closed`] when the base is gone.
    #[doc(alias = "getaddrinfo")]
    pub async fn resolve(&self, host: &str) -> Result<Vec<IpAddr>> {
        let resolver = self.inner().resolver()?;
        Ok(resolver.resolve_host(host).await?.records)
    }
}

/// Lookups that are awaited. Dropping the future cancels the lookup.
impl ResolverRef {
    /// As [`lookup_host`](Self::lookup_host).
    ///
    /// ```
    /// use libevent2::EventBase;
    /// use libevent2::dns::{Cause, Config, Resolver};
    ///
    /// let mut base = EventBase::new()?;
    /// let mut config = Config::default();
    /// config.hosts.add("printer.example.com", "192.0.2.9".parse().unwrap());
    /// let resolver = Resolver::new(&base, config)?;
    ///
    /// let found = base.block_on(resolver.resolve_host("printer.example.com"))??;
    /// assert_eq!(found.records[0].to_string(), "192.0.2.9");
    /// # Ok::<(), libevent2::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Dns`] with the cause; [`Error::Closed`] when the resolver or the base is gone.
    pub async fn resolve_host(&self, host: &str) -> Result<Answer<IpAddr>> {
        answer(|promise| self.lookup_host(host, |found| promise.resolve(found))).await
    }

    /// As [`lookup_ipv4`](Self::lookup_ipv4).
    ///
    /// # Errors
    /// As [`resolve_host`](Self::resolve_host).
    pub async fn resolve_ipv4(&self, host: &str) -> Result<Answer<Ipv4Addr>> {
        answer(|promise| self.lookup_ipv4(host, |found| promise.resolve(found))).await
    }

    /// As [`lookup_ipv6`](Self::lookup_ipv6).
    ///
    /// # Errors
    /// As [`resolve_host`](Self::resolve_host).
    pub async fn resolve_ipv6(&self, host: &str) -> Result<Answer<Ipv6Addr>> {
        answer(|promise| self.lookup_ipv6(host, |found| promise.resolve(found))).await
    }

    /// As [`lookup_addr`](Self::lookup_addr).
    ///
    /// # Errors
    /// As [`resolve_host`](Self::resolve_host).
    pub async fn resolve_addr(&self, address: IpAddr) -> Result<Answer<String>> {
        answer(|promise| self.lookup_addr(address, |found| promise.resolve(found))).await
    }

    /// As [`getaddrinfo`](Self::getaddrinfo).
    ///
    /// # Errors
    /// As [`resolve_host`](Self::resolve_host); [`Error::Invalid`] without host and service.
    pub async fn resolve_addrinfo(
        &self,
        host: Option<&str>,
        service: Option<&str>,
        hints: AddrHints,
    ) -> Result<Answer<AddrInfo>> {
        answer(|promise| self.getaddrinfo(host, service, hints, |found| promise.resolve(found)))
            .await
    }
}

/// Waits for what `ask` begins, which goes when the future does.
async fn answer<T>(ask: impl FnOnce(Promise<Found<T>>) -> Result<Lookup>) -> Result<Answer<T>> {
    let (promise, promised) = promise();
    let lookup = ask(promise)?;
    // Broken by the end of the base.
    let found = promised
        .await
        .map_err(|_| Error::Closed { what: "event base" })?;
    drop(lookup);
    Ok(found?)
}
