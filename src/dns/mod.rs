//! DNS on the loop, over libevent's evdns: a [`Resolver`], which looks up names without blocking,
//! and a [`Server`], which answers questions.
//!
//! ```
//! use libevent2::EventBase;
//! use libevent2::dns::{Cause, Config, Resolver};
//! use std::net::IpAddr;
//!
//! let mut base = EventBase::new()?;
//! let mut config = Config::default(); // or Config::system()?
//! config.hosts.add("printer.example.com", "192.0.2.9".parse().unwrap());
//! let resolver = Resolver::new(&base, config)?;
//!
//! let printer = resolver.lookup_host("printer.example.com", |found| {
//!     assert_eq!(found.unwrap().records, ["192.0.2.9".parse::<IpAddr>().unwrap()]);
//! })?;
//! let nowhere = resolver.lookup_host("no..where", |found| {
//!     let error = found.unwrap_err();
//!     assert_eq!(error.cause(), Cause::BadName);
//!     assert_eq!(error.name(), "no..where");
//! })?;
//! base.run()?;
//! # drop((printer, nowhere));
//! # Ok::<(), libevent2::Error>(())
//! ```
//!
//! # What is different from evdns in C
//!
//! - The loop ends when no lookup is under way: C's name servers, their sockets and the timers of
//!   those that failed are there only as long as something is asked. No server is ever probed with
//!   a question for `google.com`; one that failed has another chance after
//!   [`Config::retry_failed`], or when the resolver had nothing to do.
//! - Name servers do not take turns. The first one is asked as long as it answers, for both families
//!   of a host; the others are when it is silent, has failed or refuses, and that at once. What one
//!   of them says is not there is not asked for elsewhere.
//! - Every lookup ends, by [`Config::deadline`] at the latest; its closure is called once, never
//!   before the call that starts it has returned.
//! - The two families of a host are looked up under one name of the search list, never one under
//!   the first and the other under the second. A name that ends in a dot is complete.
//! - A failed server (`SERVFAIL`) is [`Cause::ServerFailed`], not a timeout. A name that is in the
//!   hosts file with addresses of the other family only is [`Cause::NoData`].
//! - libevent 2.1 asks by UDP only, takes answers of 512 bytes, and does not compare the case of
//!   names that it has randomized. What does not fit is [`Cause::Truncated`].
//!
//! # From C to Rust
//!
//! | C | Rust |
//! |---|---|
//! | `evdns_base_new`, `evdns_base_resolv_conf_parse` | [`Resolver::new`] with a [`Config`], [`Resolver::system`] |
//! | `evdns_base_nameserver_*`, `evdns_base_search_*`, `evdns_base_set_option`, `evdns_base_load_hosts` | the fields of [`Config`]; [`set_config`](ResolverRef::set_config) later on |
//! | `evdns_base_clear_nameservers_and_suspend`, `evdns_base_resume` | [`suspend`](ResolverRef::suspend), [`resume`](ResolverRef::resume) |
//! | `evdns_base_resolve_ipv4`, `_ipv6`, `_reverse`, `_reverse_ipv6` | [`lookup_ipv4`](ResolverRef::lookup_ipv4), [`lookup_ipv6`](ResolverRef::lookup_ipv6), [`lookup_addr`](ResolverRef::lookup_addr) |
//! | `evdns_getaddrinfo` | [`getaddrinfo`](ResolverRef::getaddrinfo), [`lookup_host`](ResolverRef::lookup_host) |
//! | `evdns_cancel_request`, `evdns_getaddrinfo_cancel` | drop of the [`Lookup`], [`cancel`](Lookup::cancel) |
//! | `evdns_base_free` | drop of the [`Resolver`], [`close`](ResolverRef::close) |
//! | `evdns_add_server_port_with_base`, `evdns_server_request_*` | [`Server`] |
//! | `evdns_set_log_fn` | [`set_logger`] |

mod answer;
mod config;
mod error;
#[cfg(feature = "async")]
mod futures;
mod log;
mod name;
mod resolver;
mod server;

pub use answer::Answer;
pub use config::{Config, Hosts};
pub use error::{Cause, LookupError};
pub use log::{flush_logger, set_logger};
pub use resolver::{Lookup, Resolver, ResolverRef};
pub use server::{
    IntoName, Name, Question, Record, RecordType, Reply, Request, ResponseCode, Section, Server,
    ServerRef, Soa,
};
