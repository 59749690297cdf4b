//! What every suite with real processes wants of the machine: drainit, the programs
//! that Debian has packages of, and a directory to write into. Nothing is started here.

use std::ops::Deref;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{env, fs, process};

pub const DRAINIT: &str = env!("CARGO_BIN_EXE_drainit");

/// Nothing is skipped in silence: what is missing is named, and the test fails.
pub fn installed(program: &str, package: &str) -> PathBuf {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut places = env::split_paths(&path).map(|dir| dir.join(program));
    let found = places.find(|place| place.is_file());
    found.unwrap_or_else(|| panic!("{program} is missing here: apt-get install {package}"))
}

/// A directory of the test's own, gone with it.
pub struct TempDir(PathBuf);

impl TempDir {
    pub fn new() -> TempDir {
        static MADE: AtomicUsize = AtomicUsize::new(0);
        let nth = MADE.fetch_add(1, Ordering::Relaxed);
        // Short: a socket's path has 107 bytes.
        let dir = env::temp_dir().join(format!("drainit-{}-{nth}", process::id()));
        fs::create_dir(&dir).expect("a temporary directory");
        TempDir(dir)
    }

    /// With `files`, each a path below the directory and its contents; a script with
    /// an interpreter in its first line can be executed.
    pub fn with(files: &[(&str, &str)]) -> TempDir {
        let dir = TempDir::new();
        for (name, contents) in files {
            let file = dir.join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(&file, contents).unwrap();
            if contents.starts_with("#!") {
                fs::set_permissions(file, fs::Permissions::from_mode(0o755)).unwrap();
            }
        }
        dir
    }
}

impl Deref for TempDir {
    type Target = Path;
    fn deref(&self) -> &Path {
        &self.0
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
