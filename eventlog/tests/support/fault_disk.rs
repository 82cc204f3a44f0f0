//! A disk in memory that forgets what was not synced, tears it, writes short, fills up and fails to sync: as disks do.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, dead_code)]

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex};

use endcap_eventlog::log::{Disk, DiskFile};

#[derive(Clone, Debug)]
enum Change {
    Write(u64, Vec<u8>),
    SetLen(u64),
}

#[derive(Default)]
struct Inode {
    /// As the system shows it.
    data: Vec<u8>,
    /// As the platter has it.
    durable: Vec<u8>,
    unsynced: Vec<Change>,
}

type Names = HashMap<String, usize>;

#[derive(Default)]
struct State {
    inodes: Vec<Inode>,
    names: Names,
    /// Names as of the last folder sync, and every state since: a journal keeps some prefix.
    durable_names: Names,
    later_names: Vec<Names>,
    space: Option<u64>,
    failing_syncs: u32,
    short_writes: bool,
    lying: bool,
    syncs: u64,
}

#[derive(Clone, Default)]
pub struct FaultDisk(Arc<Mutex<State>>);

/// Splitmix64: tests must be repeatable.
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }
}

fn apply(data: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Write(at, bytes) => {
            let end = *at as usize + bytes.len();
            if data.len() < end {
                data.resize(end, 0);
            }
            data[*at as usize..end].copy_from_slice(bytes);
        }
        Change::SetLen(len) => data.resize(*len as usize, 0),
    }
}

const SECTOR: usize = 512;

impl FaultDisk {
    pub fn shared(&self) -> Arc<dyn Disk> {
        Arc::new(self.clone())
    }
    /// So many bytes in all files together, from now on.
    pub fn space(&self, bytes: Option<u64>) {
        self.0.lock().unwrap().space = bytes;
    }
    pub fn used(&self) -> u64 {
        let state = self.0.lock().unwrap();
        state.names.values().map(|inode| state.inodes[*inode].data.len() as u64).sum()
    }
    pub fn fail_syncs(&self, count: u32) {
        self.0.lock().unwrap().failing_syncs = count;
    }
    pub fn short_writes(&self, on: bool) {
        self.0.lock().unwrap().short_writes = on;
    }
    /// Syncs say that they worked, and did nothing.
    pub fn lie(&self) {
        self.0.lock().unwrap().lying = true;
    }
    pub fn syncs(&self) -> u64 {
        self.0.lock().unwrap().syncs
    }
    pub fn names_now(&self) -> Vec<String> {
        let mut names: Vec<String> = self.0.lock().unwrap().names.keys().cloned().collect();
        names.sort();
        names
    }
    pub fn edit(&self, name: &str, edit: impl FnOnce(&mut Vec<u8>)) {
        let mut state = self.0.lock().unwrap();
        let inode = state.names[name];
        let inode = &mut state.inodes[inode];
        edit(&mut inode.data);
        inode.durable = inode.data.clone();
        inode.unsynced.clear();
    }
    pub fn content(&self, name: &str) -> Vec<u8> {
        let state = self.0.lock().unwrap();
        state.inodes[state.names[name]].data.clone()
    }
    /// Another disk with the same content, all of it durable.
    pub fn copy(&self) -> Self {
        let state = self.0.lock().unwrap();
        let inodes = state.inodes.iter().map(|inode| Inode {
            data: inode.data.clone(),
            durable: inode.data.clone(),
            unsynced: Vec::new(),
        });
        Self(Arc::new(Mutex::new(State {
            inodes: inodes.collect(),
            names: state.names.clone(),
            durable_names: state.names.clone(),
            ..State::default()
        })))
    }

    /// The power fails: of what was not synced, any part may be there: whole, some sectors of it, or nothing.
    pub fn power_loss(&self, dice: &mut Dice) {
        let mut state = self.0.lock().unwrap();
        state.space = None;
        state.failing_syncs = 0;
        state.short_writes = false;
        for inode in &mut state.inodes {
            let mut data = std::mem::take(&mut inode.durable);
            for change in inode.unsynced.drain(..) {
                match (dice.roll(3), &change) {
                    (0, _) => apply(&mut data, &change),
                    (1, Change::Write(at, bytes)) => {
                        for (number, sector) in bytes.chunks(SECTOR).enumerate() {
                            if dice.roll(2) == 0 {
                                let torn = sector[..=(dice.roll(sector.len() as u64) as usize)].to_vec();
                                apply(&mut data, &Change::Write(at + (number * SECTOR) as u64, torn));
                            }
                        }
                    }
                    _ => {}
                }
            }
            inode.data.clone_from(&data);
            inode.durable = data;
        }
        let kept = dice.roll(state.later_names.len() as u64 + 1) as usize;
        if let Some(names) = kept.checked_sub(1).map(|last| state.later_names[last].clone()) {
            state.durable_names = names;
        }
        state.later_names.clear();
        let durable = state.durable_names.clone();
        state.names = durable;
    }
}

struct FaultFile {
    state: Arc<Mutex<State>>,
    inode: usize,
}

fn no_space() -> io::Error {
    io::Error::new(io::ErrorKind::StorageFull, "no space left on device (fault disk)")
}

impl DiskFile for FaultFile {
    fn write_at(&self, bytes: &[u8], position: u64) -> io::Result<usize> {
        let mut state = self.state.lock().unwrap();
        let used: u64 = state.names.values().map(|inode| state.inodes[*inode].data.len() as u64).sum();
        let mut count = if state.short_writes { bytes.len().div_ceil(2) } else { bytes.len() };
        if let Some(space) = state.space {
            let len = state.inodes[self.inode].data.len() as u64;
            let reach = len + space.saturating_sub(used);
            count = count.min(reach.saturating_sub(position) as usize);
            if count == 0 {
                return Err(no_space());
            }
        }
        let change = Change::Write(position, bytes[..count].to_vec());
        let inode = &mut state.inodes[self.inode];
        apply(&mut inode.data, &change);
        inode.unsynced.push(change);
        Ok(count)
    }
    fn read_at(&self, into: &mut [u8], position: u64) -> io::Result<usize> {
        let state = self.state.lock().unwrap();
        let data = &state.inodes[self.inode].data;
        let from = data.get(position as usize..).unwrap_or_default();
        let count = from.len().min(into.len());
        into[..count].copy_from_slice(&from[..count]);
        Ok(count)
    }
    fn size(&self) -> io::Result<u64> {
        Ok(self.state.lock().unwrap().inodes[self.inode].data.len() as u64)
    }
    fn set_len(&self, bytes: u64) -> io::Result<()> {
        let mut state = self.state.lock().unwrap();
        let inode = &mut state.inodes[self.inode];
        apply(&mut inode.data, &Change::SetLen(bytes));
        inode.unsynced.push(Change::SetLen(bytes));
        Ok(())
    }
    fn sync(&self) -> io::Result<()> {
        let mut state = self.state.lock().unwrap();
        if state.failing_syncs > 0 {
            state.failing_syncs -= 1;
            return Err(io::Error::other("input/output error (fault disk)"));
        }
        state.syncs += 1;
        if !state.lying {
            let inode = &mut state.inodes[self.inode];
            inode.durable = inode.data.clone();
            inode.unsynced.clear();
        }
        Ok(())
    }
}

impl FaultDisk {
    fn rename_in(state: &mut State, change: impl FnOnce(&mut Names)) {
        change(&mut state.names);
        let names = state.names.clone();
        state.later_names.push(names);
    }
}

impl Disk for FaultDisk {
    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.0.lock().unwrap();
        if state.space == Some(0) {
            return Err(no_space());
        }
        state.inodes.push(Inode::default());
        let inode = state.inodes.len() - 1;
        Self::rename_in(&mut state, |names| {
            names.insert(name.to_owned(), inode);
        });
        Ok(Arc::new(FaultFile { state: Arc::clone(&self.0), inode }))
    }
    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let inode = self.0.lock().unwrap().names.get(name).copied().ok_or(io::ErrorKind::NotFound)?;
        Ok(Arc::new(FaultFile { state: Arc::clone(&self.0), inode }))
    }
    fn names(&self) -> io::Result<Vec<String>> {
        Ok(self.names_now())
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        let inode = state.names.get(from).copied().ok_or(io::ErrorKind::NotFound)?;
        Self::rename_in(&mut state, |names| {
            names.remove(from);
            names.insert(to.to_owned(), inode);
        });
        Ok(())
    }
    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        if !state.names.contains_key(name) {
            return Err(io::ErrorKind::NotFound.into());
        }
        Self::rename_in(&mut state, |names| {
            names.remove(name);
        });
        Ok(())
    }
    fn sync_folder(&self) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        if !state.lying {
            let names = state.names.clone();
            state.durable_names = names;
            state.later_names.clear();
        }
        Ok(())
    }
}
