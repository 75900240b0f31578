//! State files on disk: written to a temporary file, synced, renamed. Native only, since a browser has no disk.

use std::fs;
use std::fs::File;
use std::io;
use std::io::{BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use tempfile::{Builder, NamedTempFile};

use crate::error::Error;
use crate::state::contents::State;

impl State {
    /// Writes the state to a file, atomically. Not available on wasm32.
    ///
    /// The bytes are those of [`to_bytes`](Self::to_bytes), but they are written tensor by tensor, without a second copy
    /// in memory. They go to a temporary file in the folder of `path`. It is synced to disk and renamed to `path`. Then
    /// the folder is synced. At any moment, a reader finds the complete old file or the complete new one, even if
    /// several threads or processes save to one path, or if the process or the machine stops. Of several saves, the
    /// last one to be renamed remains.
    ///
    /// If `path` is a symbolic link, the file that it leads to is replaced. A new file keeps the permissions of the old
    /// one, and belongs to the user who saves. Other hard links to the old file keep the old contents.
    ///
    /// A process that is killed while it saves leaves its temporary file, `wgpu-adam-` and six random characters and
    /// `.partial`. Nothing reads such a file, and no later save removes it: delete it when no process is saving.
    ///
    /// # Errors
    /// Returns the errors of [`to_bytes`](Self::to_bytes), and [`Error::File`], also if `path` is a folder, a device or
    /// anything else that is not a file. `path` is then unchanged. Only if the last sync of the folder fails, `path` is
    /// the new file, but might be the old one again after a power failure.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        let path = path.as_ref();
        let pieces = self.pieces()?;
        write(path, pieces.iter().map(|piece| &**piece)).map_err(|e| file_error(path, "writing", &e))
    }

    /// Reads a state from a file. Not available on wasm32.
    ///
    /// The file is read tensor by tensor, so that it is in memory only once.
    ///
    /// # Errors
    /// Returns [`Error::File`], also if `path` is a folder, a pipe or anything else that is not a file, and the errors
    /// of [`from_bytes`](Self::from_bytes).
    pub fn load(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let failed = |e: io::Error| file_error(path, "reading", &e);
        // Opening a pipe would wait for its writer.
        fs::metadata(path).and_then(|found| regular(&found)).map_err(failed)?;
        // Another file may be at the path by now. The length must be that of the file that is read.
        let file = File::open(path).map_err(failed)?;
        let len = file.metadata().map_err(failed)?.len();
        Self::read(&mut BufReader::new(file), len, &failed)
    }
}

/// Writes a file that appears at `path` when it is complete.
fn write<'a>(path: &Path, pieces: impl Iterator<Item = &'a [u8]>) -> io::Result<()> {
    let path = destination(path)?;
    let old = match fs::metadata(&path) {
        Ok(found) => regular(&found).map(|()| Some(found.permissions()))?,
        Err(e) if e.kind() == io::ErrorKind::NotFound => None,
        Err(e) => return Err(e),
    };
    let partial = temporary(folder(&path))?;
    // Before there is anything to read.
    if let Some(permissions) = old {
        partial.as_file().set_permissions(permissions)?;
    }
    let mut to = BufWriter::new(partial.as_file());
    for piece in pieces {
        to.write_all(piece)?;
    }
    to.flush()?;
    drop(to);
    partial.as_file().sync_all()?;
    partial.persist(&path).map_err(|e| e.error)?;
    sync(folder(&path))
}

/// The path behind all symbolic links. The last one may lead to a file that does not exist yet.
fn destination(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_owned();
    // Linux follows as many.
    for _ in 0..40 {
        let Ok(target) = fs::read_link(&path) else { return Ok(path) };
        path = folder(&path).join(target);
    }
    Err(io::Error::other("too many symbolic links"))
}

fn regular(found: &fs::Metadata) -> io::Result<()> {
    match found.is_file() {
        true => Ok(()),
        false if found.is_dir() => Err(io::Error::other("it is a folder, but must be a file")),
        false => Err(io::Error::other("it is a device, a pipe or a socket, but must be a file")),
    }
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A file of its own for each save. It is removed if it is dropped.
fn temporary(folder: &Path) -> io::Result<NamedTempFile> {
    let mut builder = Builder::new();
    builder.prefix("wgpu-adam-").suffix(".partial");
    // As for any new file, the umask applies. The default would be a file that only its owner can read.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(folder)
}

/// Makes the rename durable, since it is a change of the folder. Only on Unix can a folder be opened to be synced.
fn sync(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

fn file_error(path: &Path, what: &'static str, error: &io::Error) -> Error {
    Error::File { what, path: path.display().to_string(), reason: error.to_string() }
}
