//! What the ported cases of regress_dns share.

#![allow(dead_code, reason = "each test binary uses its own part")]

use crate::dns_common::{A, NameServer, Query};
use libevent2::dns::Config;
use std::net::Ipv4Addr;

#[allow(unused_imports, reason = "each test binary uses its own part")]
pub use crate::dns_common::got::{Found, Got, ms};

/// Asks this server; the rest is as it is in C.
pub fn asking(server: &NameServer) -> Config {
    Config::with_servers([server.address()])
}

/// What a server of the regress suite has for a name.
#[derive(Debug, Clone, Copy)]
pub enum Entry {
    A(Ipv4Addr),
    Code(u16),
    /// With a record in the authority section that says how long that is so.
    CodeFor(u16, u32),
}

/// A name server that knows a table; `*` is any name. It fails the test that asks for another.
pub fn table_server(table: &'static [(&str, Entry)]) -> NameServer {
    NameServer::start(move |query| Some(look_up(table, query).bytes()))
}

pub fn look_up(table: &[(&str, Entry)], query: &Query) -> crate::dns_common::Message {
    let row = table
        .iter()
        .find(|(name, _)| *name == "*" || *name == query.name);
    let (_, entry) = row.unwrap_or_else(|| panic!("{query:?}"));
    match *entry {
        Entry::A(ip) if query.kind == A => query.reply().a(&query.exact, 100, ip),
        Entry::A(_) => query.reply(),
        Entry::Code(code) => query.reply().code(code),
        Entry::CodeFor(code, ttl) => query.reply().code(code).soa("example.com", ttl, 3600),
    }
}

/// What the cases about one server ask for, and what it has.
pub const FOOF: &str = "foof.example.com";
pub const FOOF_IP: Ipv4Addr = Ipv4Addr::new(240, 15, 240, 15);
pub const FOOF_TABLE: &[(&str, Entry)] = &[(FOOF, Entry::A(FOOF_IP))];
