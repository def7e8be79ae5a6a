//! The file: read, changed by others meanwhile, and written whole or not at all.

use serde_json::{Map, Value};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The things by their names.
pub type Things = Map<String, Value>;

/// What is in the file, and whether that is still so.
pub struct Store {
    /// The file itself, not a link to it.
    path: PathBuf,
    things: Things,
    stamp: Stamp,
}

type Stamp = Option<(SystemTime, u64)>;

impl Store {
    /// # Errors
    /// In words: it cannot be read, is no JSON, or not such a JSON.
    pub fn open(path: &Path) -> Result<Self, String> {
        let path = fs::canonicalize(path).map_err(|error| error.to_string())?;
        let stamp = stamp(&path);
        let things = read(&path)?;
        Ok(Store {
            path,
            things,
            stamp,
        })
    }

    /// What is in the file now. When somebody has changed it so that it makes no sense, it is
    /// what was in it before, and why.
    pub fn things(&mut self) -> (&Things, Option<String>) {
        let now = stamp(&self.path);
        let mut complaint = None;
        if now != self.stamp {
            self.stamp = now;
            match read(&self.path) {
                Ok(things) => self.things = things,
                Err(error) => complaint = Some(format!("{}: {error}", self.path.display())),
            }
        }
        (&self.things, complaint)
    }

    /// Puts these in the place of those.
    ///
    /// # Errors
    /// Those of the file; nothing is changed then.
    pub fn replace(&mut self, things: Things) -> io::Result<()> {
        save(&self.path, &things)?;
        self.stamp = stamp(&self.path);
        self.things = things;
        Ok(())
    }
}

/// Another time or length is another content.
fn stamp(path: &Path) -> Stamp {
    let meta = fs::metadata(path).ok()?;
    Some((meta.modified().ok()?, meta.len()))
}

fn read(path: &Path) -> Result<Things, String> {
    let bytes = fs::read(path).map_err(|error| error.to_string())?;
    let things: Things = serde_json::from_slice(&bytes).map_err(|error| error.to_string())?;
    for (name, value) in &things {
        if !value.is_array() && !value.is_object() {
            return Err(format!(
                "'{name}' is neither an array (a collection) nor an object (a single thing)"
            ));
        }
        let is_thing = |item: &Value| item.is_object();
        if !value
            .as_array()
            .is_none_or(|items| items.iter().all(is_thing))
        {
            return Err(format!("'{name}' has something in it that is no object"));
        }
    }
    Ok(things)
}

/// Beside it first, so that whoever reads it, or is cut off from the power, finds the old one or
/// the new one.
fn save(path: &Path, things: &Things) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let beside = folder.join(format!(".{name}.{}.new", std::process::id()));
    let written = File::create(&beside).and_then(|mut file| {
        if let Ok(old) = fs::metadata(path) {
            file.set_permissions(old.permissions())?;
        }
        let mut bytes = serde_json::to_vec_pretty(things)?;
        bytes.push(b'\n');
        file.write_all(&bytes)?;
        file.sync_all()?;
        fs::rename(&beside, path)
    });
    if written.is_err() {
        let _ = fs::remove_file(&beside);
        return written;
    }
    // The new name has to last too, where a folder can be told so.
    let _ = File::open(folder).and_then(|folder| folder.sync_all());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn things(value: &Value) -> Things {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn it_is_saved_and_read_again() {
        let folder = std::env::temp_dir().join(format!("libevent2-store-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("db.json");
        for bad in ["", "[]", "{\"a\": 1}", "{\"a\": [1]}", "{\n\"a\": }"] {
            fs::write(&path, bad).unwrap();
            assert!(Store::open(&path).is_err(), "{bad}");
        }
        assert!(Store::open(&path).err().unwrap().contains("line 2"));

        fs::write(&path, r#"{"a": [{"id": 1}]}"#).unwrap();
        let mut store = Store::open(&path).unwrap();
        let new = things(&json!({"a": [], "b": {"c": true}}));
        store.replace(new.clone()).unwrap();
        assert_eq!(store.things(), (&new, None));
        assert_eq!(Store::open(&path).unwrap().things(), (&new, None));
        // Nothing is left beside it.
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);

        // Somebody else's hand, first a clumsy one.
        fs::write(&path, "{").unwrap();
        let (still, complaint) = store.things();
        assert_eq!(still, &new);
        assert!(complaint.unwrap().contains("line 1"));
        assert_eq!(store.things().1, None, "it is said once");
        fs::write(&path, r#"{"other": {}}"#).unwrap();
        assert!(store.things().0.contains_key("other"));

        fs::remove_dir_all(&folder).unwrap();
        let failed = store.replace(new);
        assert!(failed.is_err());
    }
}
