//! The program `evserve`, driven by curl.
#![cfg(all(feature = "serve", unix))]

#[path = "../common/mod.rs"]
mod common;

mod archive;
mod args;
mod browser;
mod end;
mod family;
mod files;
mod live;
mod mock;
mod operation;
mod places;
mod program;
mod prototype;
mod proxy;
mod upload;
