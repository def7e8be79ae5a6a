use super::Config;
use crate::error::Result;
use std::path::Path;

pub(super) fn system() -> Result<Config> {
    read("/etc/resolv.conf".as_ref())
}

pub(super) fn read(_path: &Path) -> Result<Config> {
    Ok(Config::default())
}

pub(super) fn parse(_text: &str) -> Config {
    Config::default()
}
