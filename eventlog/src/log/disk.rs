//! The few things the log asks of a disk, behind a trait: tests put a disk below it that forgets, tears, fills up and fails.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A file, by position.
pub trait DiskFile: Send + Sync {
    /// May write less than asked, as the system call may.
    fn write_at(&self, bytes: &[u8], position: u64) -> io::Result<usize>;
    /// 0 at the end.
    fn read_at(&self, into: &mut [u8], position: u64) -> io::Result<usize>;
    fn size(&self) -> io::Result<u64>;
    fn set_len(&self, bytes: u64) -> io::Result<()>;
    /// What was written survives a power loss once this returns.
    fn sync(&self) -> io::Result<()>;
}

/// A folder of files.
pub trait Disk: Send + Sync {
    /// A new, empty file; one of that name is emptied.
    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>>;
    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>>;
    fn names(&self) -> io::Result<Vec<String>>;
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    fn remove(&self, name: &str) -> io::Result<()>;
    /// Created, renamed and removed names survive a power loss once this returns.
    fn sync_folder(&self) -> io::Result<()>;
}

impl dyn DiskFile + '_ {
    /// Writes all of `bytes`; after an error, some of it may be there.
    pub fn write_all_at(&self, mut bytes: &[u8], mut position: u64) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.write_at(bytes, position) {
                Ok(0) => return Err(io::Error::new(io::ErrorKind::WriteZero, "the disk took no more bytes")),
                Ok(written) => {
                    bytes = bytes.get(written..).unwrap_or_default();
                    position += written as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Fills `into` as far as the file reaches; returns how far.
    pub fn read_full_at(&self, into: &mut [u8], position: u64) -> io::Result<usize> {
        let mut filled = 0;
        while let Some(rest) = into.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.read_at(rest, position + filled as u64) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    /// The bytes `from..to`, or fewer where the file ends before.
    pub fn read_range(&self, from: u64, to: u64) -> io::Result<Vec<u8>> {
        let wanted = usize::try_from(to.saturating_sub(from)).map_err(io::Error::other)?;
        let mut bytes = vec![0; wanted];
        let filled = self.read_full_at(&mut bytes, from)?;
        bytes.truncate(filled);
        Ok(bytes)
    }
}

/// Reads a file from its start.
pub struct FileReader {
    file: Arc<dyn DiskFile>,
    position: u64,
}

impl FileReader {
    pub fn new(file: Arc<dyn DiskFile>) -> Self {
        Self { file, position: 0 }
    }
}

impl Read for FileReader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(into, self.position)?;
        self.position += read as u64;
        Ok(read)
    }
}

/// Writes a file from its start.
pub struct FileWriter {
    file: Arc<dyn DiskFile>,
    position: u64,
}

impl FileWriter {
    pub fn written(&self) -> u64 {
        self.position
    }
}

impl Write for FileWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write_at(bytes, self.position)?;
        self.position += written as u64;
        Ok(written)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Replaces a file as a whole: after a crash there is the old one or the new one. `write` gets the new file and hands it back.
pub fn replace_file(
    disk: &dyn Disk,
    name: &str,
    write: impl FnOnce(FileWriter) -> io::Result<FileWriter>,
) -> io::Result<u64> {
    let temporary = format!("{name}.new");
    let replaced = (|| {
        let file = disk.create(&temporary)?;
        let bytes = write(FileWriter { file: Arc::clone(&file), position: 0 })?.written();
        file.sync()?;
        disk.rename(&temporary, name)?;
        disk.sync_folder()?;
        Ok(bytes)
    })();
    if replaced.is_err() {
        // On a full disk the half-written file must give its room back.
        let _ = disk.remove(&temporary);
    }
    replaced
}

/// A folder of the file system.
#[derive(Debug)]
pub struct FolderDisk {
    folder: PathBuf,
}

impl FolderDisk {
    pub fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }
}

impl DiskFile for File {
    fn write_at(&self, bytes: &[u8], position: u64) -> io::Result<usize> {
        FileExt::write_at(self, bytes, position)
    }
    fn read_at(&self, into: &mut [u8], position: u64) -> io::Result<usize> {
        FileExt::read_at(self, into, position)
    }
    fn size(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }
    fn set_len(&self, bytes: u64) -> io::Result<()> {
        File::set_len(self, bytes)
    }
    fn sync(&self) -> io::Result<()> {
        // fdatasync: the size that reading needs is synced with the data.
        self.sync_data()
    }
}

impl Disk for FolderDisk {
    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(true);
        Ok(Arc::new(options.open(self.folder.join(name))?))
    }
    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(OpenOptions::new().read(true).write(true).open(self.folder.join(name))?))
    }
    fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.folder)? {
            if let Ok(name) = entry?.file_name().into_string() {
                names.push(name);
            }
        }
        Ok(names)
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        std::fs::rename(self.folder.join(from), self.folder.join(to))
    }
    fn remove(&self, name: &str) -> io::Result<()> {
        std::fs::remove_file(self.folder.join(name))
    }
    fn sync_folder(&self) -> io::Result<()> {
        File::open(&self.folder)?.sync_all()
    }
}
