//! Who has the port that we wanted.

use std::fs;
use std::io;

/// What to try when an address cannot be had, in lines to put after the error.
pub fn advice(bind: &str, port: u16, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            let who = match holder(port) {
                Some(who) => format!("{who} listens there"),
                None => format!("'ss -ltnp sport = :{port}' or 'lsof -i :{port}' tells who has it"),
            };
            format!(
                "\n  {who}\n  try --port {}, or --port 0 for any free one",
                next(port)
            )
        }
        io::ErrorKind::PermissionDenied if port < 1024 => {
            "\n  ports below 1024 are the system's\n  try --port 8000".to_owned()
        }
        io::ErrorKind::AddrNotAvailable => format!(
            "\n  this machine has no address {bind}\n  try --bind 127.0.0.1, or --bind 0.0.0.0 for all that it has"
        ),
        _ => String::new(),
    }
}

fn next(port: u16) -> u16 {
    port.checked_add(1).unwrap_or(8000)
}

/// The name and number of the process that listens on the port, where the system tells.
fn holder(port: u16) -> Option<String> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"];
    let mut tables = tables
        .iter()
        .filter_map(|path| fs::read_to_string(path).ok());
    let inode = tables.find_map(|table| inode(&table, port))?;
    let wanted = format!("socket:[{inode}]");
    fs::read_dir("/proc").ok()?.flatten().find_map(|process| {
        let id: u32 = process.file_name().to_str()?.parse().ok()?;
        let descriptors = fs::read_dir(process.path().join("fd")).ok()?;
        let mut links = descriptors
            .flatten()
            .filter_map(|fd| fs::read_link(fd.path()).ok());
        links.find(|link| link.as_os_str() == wanted.as_str())?;
        let name = fs::read_to_string(process.path().join("comm")).ok()?;
        Some(format!("{} (process {id})", name.trim()))
    })
}

/// Of the socket that listens on that port, from a table of the kernel's.
fn inode(table: &str, port: u16) -> Option<u64> {
    const LISTENS: &str = "0A";
    let wanted = format!(":{port:04X}");
    table.lines().find_map(|line| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let is_it = columns.get(1)?.ends_with(&wanted) && *columns.get(3)? == LISTENS;
        is_it.then(|| columns.get(9)?.parse().ok()).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_the_kernel_is_understood() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
            0: 0100007F:1F40 0100007F:9C40 01 00000000:00000000 00:00000000 00000000  1000        0 111 1 0 20 4 30 10 -1\n\
            1: 0100007F:1F40 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 222 1 0 100 0 0 10 0\n";
        assert_eq!(inode(table, 8000), Some(222));
        assert_eq!(inode(table, 8001), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn we_are_found_ourselves() {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let who = holder(socket.local_addr().unwrap().port()).unwrap();
        assert!(who.contains(&std::process::id().to_string()), "{who}");
    }
}
