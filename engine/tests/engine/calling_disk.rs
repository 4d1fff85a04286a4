//! A disk that calls the test between two of the store's own calls.

use std::io;

use chronolith_disk::{Disk, DiskFile, DiskLock, Mapped, SimDisk};

/// A simulated disk that calls `call` with the path before every call that changes a name.
pub(crate) struct CallingDisk {
    sim: SimDisk,
    call: Box<dyn Fn(&str) + Send + Sync>,
}

impl CallingDisk {
    pub(crate) fn new(sim: SimDisk, call: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self { sim, call: Box::new(call) }
    }
}

impl Disk for CallingDisk {
    fn open(&self, path: &str) -> io::Result<Box<dyn DiskFile>> {
        (self.call)(path);
        self.sim.open(path)
    }

    fn open_read(&self, path: &str) -> io::Result<Box<dyn DiskFile>> {
        self.sim.open_read(path)
    }

    fn map(&self, path: &str) -> io::Result<Mapped> {
        self.sim.map(path)
    }

    fn exists(&self, path: &str) -> io::Result<bool> {
        self.sim.exists(path)
    }

    fn len(&self, path: &str) -> io::Result<u64> {
        self.sim.len(path)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        (self.call)(to);
        self.sim.rename(from, to)
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        (self.call)(path);
        self.sim.remove(path)
    }

    fn create_dir_all(&self, path: &str) -> io::Result<()> {
        (self.call)(path);
        self.sim.create_dir_all(path)
    }

    fn remove_dir(&self, path: &str) -> io::Result<()> {
        self.sim.remove_dir(path)
    }

    fn list(&self, path: &str) -> io::Result<Vec<String>> {
        self.sim.list(path)
    }

    fn sync_dir(&self, path: &str) -> io::Result<()> {
        (self.call)(path);
        self.sim.sync_dir(path)
    }

    fn lock(&self, path: &str) -> io::Result<Box<dyn DiskLock>> {
        self.sim.lock(path)
    }

    fn describe(&self, path: &str) -> String {
        self.sim.describe(path)
    }
}
