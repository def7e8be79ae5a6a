//! What a prototype needs of a server that is not there yet.

pub mod auth;
pub mod canned;
pub mod dress;
pub mod echo;
pub mod live;
pub mod proxy;
mod tunnel;
