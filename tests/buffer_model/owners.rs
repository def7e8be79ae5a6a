//! Values that buffers refer to, and how often each was dropped.

use std::fs::File;
use std::io::Write;
use std::process;
use std::sync::{Arc, Mutex, OnceLock};

#[derive(Default)]
pub struct Owners(Arc<Mutex<Vec<usize>>>);

/// Bytes that lie in the value itself if there are few, so that they may not move.
pub struct Owner {
    inside: [u8; 16],
    outside: Vec<u8>,
    len: usize,
    _token: Token,
}

/// Says that it was dropped.
pub struct Token {
    index: usize,
    drops: Arc<Mutex<Vec<usize>>>,
}

impl Drop for Token {
    fn drop(&mut self) {
        self.drops.lock().unwrap()[self.index] += 1;
    }
}

impl Owners {
    pub fn token(&self) -> Token {
        let mut drops = self.0.lock().unwrap();
        drops.push(0);
        Token {
            index: drops.len() - 1,
            drops: self.0.clone(),
        }
    }

    pub fn owner(&self, bytes: &[u8]) -> Owner {
        let mut owner = Owner {
            inside: [0; 16],
            outside: Vec::new(),
            len: bytes.len(),
            _token: self.token(),
        };
        match owner.inside.get_mut(..bytes.len()) {
            Some(inside) => inside.copy_from_slice(bytes),
            None => owner.outside = bytes.to_vec(),
        }
        owner
    }

    pub fn none_dropped_twice(&self) {
        let drops = self.0.lock().unwrap();
        assert!(drops.iter().all(|&drops| drops <= 1), "{drops:?}");
    }

    pub fn all_dropped_once(&self) {
        let drops = self.0.lock().unwrap();
        assert!(drops.iter().all(|&drops| drops == 1), "{drops:?}");
    }
}

impl AsRef<[u8]> for Owner {
    fn as_ref(&self) -> &[u8] {
        self.inside.get(..self.len).unwrap_or(&self.outside)
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        // Whoever still refers to it sees it.
        self.inside.fill(b'!');
        self.outside.fill(b'!');
    }
}

/// Bytes that live for ever.
pub static STATIC: [u8; 6000] = {
    let mut bytes = [0; 6000];
    let mut i = 0;
    while i < bytes.len() {
        bytes[i] = b"static\n\r\n\0"[i % 10];
        i += 1;
    }
    bytes
};

/// A file with a name no more, and its bytes.
pub fn file() -> (&'static File, &'static [u8]) {
    static FILE: OnceLock<File> = OnceLock::new();
    let file = FILE.get_or_init(|| {
        let path = std::env::temp_dir().join(format!("libevent2-model-{}", process::id()));
        let mut file = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path)
            .unwrap();
        file.write_all(&STATIC).unwrap();
        std::fs::remove_file(&path).unwrap();
        file
    });
    (file, &STATIC)
}
