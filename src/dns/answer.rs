use std::time::Duration;

/// What a name server, or the hosts file, has for a name.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Answer<T> {
    /// The name that has it: what was asked for, with the domain of the search list with which it
    /// was found.
    pub name: String,
    /// The records, at least one. libevent takes up to 32 of one kind.
    pub records: Vec<T>,
    /// What `name` stands for, if it is an alias and the lookup asked for that; see
    /// [`AddrHints::canonical_name`](crate::util::AddrHints::canonical_name).
    pub canonical_name: Option<String>,
    /// How long it may be remembered. `None` when nobody said: for a number, for what is in the
    /// hosts file, and for a canonical name, where libevent does not tell.
    pub ttl: Option<Duration>,
}
