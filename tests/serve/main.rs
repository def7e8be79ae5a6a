//! The program `evserve`, driven by curl.
#![cfg(all(feature = "serve", unix))]

#[path = "../common/mod.rs"]
mod common;

mod args;
mod end;
mod files;
mod mock;
mod operation;
mod program;
mod prototype;
