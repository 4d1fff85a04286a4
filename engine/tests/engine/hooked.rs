//! A simulated disk that calls the test on calls on names.

use std::io;
use std::sync::Mutex;

use chronolith_disk::{Disk, DiskFile, DiskLock, Mapped, SimDisk};

type Hook = Box<dyn FnMut(&str, &str) + Send>;

/// Hands the call and the path to a hook before every call on a name, and after a `rename` as
/// `renamed`.
pub(crate) struct Hooked {
    pub(crate) sim: SimDisk,
    hook: Mutex<Option<Hook>>,
}

impl Hooked {
    pub(crate) fn new() -> Self {
        Self { sim: SimDisk::new(), hook: Mutex::default() }
    }

    pub(crate) fn set(&self, hook: impl FnMut(&str, &str) + Send + 'static) {
        *self.hook.lock().unwrap() = Some(Box::new(hook));
    }

    pub(crate) fn clear(&self) {
        *self.hook.lock().unwrap() = None;
    }

    /// Calls the hook, not again while it runs.
    fn call(&self, what: &str, path: &str) {
        let hook = self.hook.lock().unwrap().take();
        if let Some(mut hook) = hook {
            hook(what, path);
            self.hook.lock().unwrap().get_or_insert(hook);
        }
    }
}

impl Disk for Hooked {
    fn open(&self, path: &str) -> io::Result<Box<dyn DiskFile>> {
        self.call("open", path);
        self.sim.open(path)
    }

    fn open_read(&self, path: &str) -> io::Result<Box<dyn DiskFile>> {
        self.sim.open_read(path)
    }

    fn map(&self, path: &str) -> io::Result<Mapped> {
        self.call("map", path);
        self.sim.map(path)
    }

    fn exists(&self, path: &str) -> io::Result<bool> {
        self.sim.exists(path)
    }

    fn len(&self, path: &str) -> io::Result<u64> {
        self.sim.len(path)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.call("rename", to);
        self.sim.rename(from, to)?;
        self.call("renamed", to);
        Ok(())
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        self.call("remove", path);
        self.sim.remove(path)
    }

    fn create_dir_all(&self, path: &str) -> io::Result<()> {
        self.call("create_dir_all", path);
        self.sim.create_dir_all(path)
    }

    fn remove_dir(&self, path: &str) -> io::Result<()> {
        self.sim.remove_dir(path)
    }

    fn list(&self, path: &str) -> io::Result<Vec<String>> {
        self.call("list", path);
        self.sim.list(path)
    }

    fn sync_dir(&self, path: &str) -> io::Result<()> {
        self.call("sync_dir", path);
        self.sim.sync_dir(path)
    }

    fn lock(&self, path: &str) -> io::Result<Box<dyn DiskLock>> {
        self.sim.lock(path)
    }

    fn describe(&self, path: &str) -> String {
        self.sim.describe(path)
    }
}
