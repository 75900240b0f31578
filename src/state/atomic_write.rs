//! State files on disk: written to a partial file, synced, renamed. Native only, since a browser has no disk.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::state::contents::State;

impl State {
    /// Writes the state to a file, atomically.
    ///
    /// The bytes go to `path` with `.partial` appended, are synced to disk, and the file is renamed to `path`. If the
    /// process or the machine stops, `path` is the complete old file or the complete new one. The next save overwrites
    /// a leftover partial file. Not available on wasm32.
    ///
    /// # Errors
    /// Returns the errors of [`to_bytes`](Self::to_bytes), and [`Error::File`]. `path` is then unchanged.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        let path = path.as_ref();
        let bytes = self.to_bytes()?;
        let partial = partial(path);
        let result = write(&partial, &bytes).and_then(|()| fs::rename(&partial, path)).and_then(|()| sync_folder(path));
        result.map_err(|e| {
            // Best effort: the error already says what went wrong.
            let _ = fs::remove_file(&partial);
            file_error(path, "writing", &e)
        })
    }

    /// Reads a state from a file. Not available on wasm32.
    ///
    /// # Errors
    /// Returns [`Error::File`], and the errors of [`from_bytes`](Self::from_bytes).
    pub fn load(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        Self::from_bytes(&fs::read(path).map_err(|e| file_error(path, "reading", &e))?)
    }
}

fn partial(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".partial");
    name.into()
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Makes the rename durable, since it is a change of the folder. Only on Unix can a folder be opened to be synced.
fn sync_folder(path: &Path) -> io::Result<()> {
    if !cfg!(unix) {
        return Ok(());
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

fn file_error(path: &Path, what: &'static str, error: &io::Error) -> Error {
    Error::File { what, path: path.display().to_string(), reason: error.to_string() }
}
