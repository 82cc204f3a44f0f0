//! One writer: the folder's lock, held as long as the log is open. The system lets go of it when the process ends, however it ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;

use super::LogError;

const NAME: &str = "lock";

/// Held while it lives.
#[derive(Debug)]
pub struct FolderLock {
    _file: File,
}

pub(super) fn lock(folder: &Path) -> Result<FolderLock, LogError> {
    let failed = |source| LogError::Folder { folder: folder.display().to_string(), source };
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(folder.join(NAME))
        .map_err(failed)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            let _ = file.read_to_string(&mut holder);
            let holder = match holder.trim() {
                "" => "another process".to_owned(),
                pid => format!("process {pid}"),
            };
            return Err(LogError::Locked { folder: folder.display().to_string(), holder });
        }
        Err(TryLockError::Error(source)) => return Err(failed(source)),
    }
    // Only for the words of the error above: on a full disk the lock holds without them.
    let _ = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| write!(file, "{}", std::process::id()));
    Ok(FolderLock { _file: file })
}
