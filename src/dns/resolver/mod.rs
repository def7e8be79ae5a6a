//! Names to addresses and back, without blocking the loop.

/// Looks up names; see [`ResolverRef`].
#[derive(Debug)]
pub struct Resolver;
/// What can be done with a resolver.
#[derive(Debug)]
pub struct ResolverRef;
/// A lookup under way.
#[derive(Debug)]
pub struct Lookup;
