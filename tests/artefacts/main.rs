//! What dist/build has put into dist/out, used as its users would: installed,
//! unpacked, loaded into engines, run and stopped.
//!
//! Needs dist/tools, dist/build, root, and the engines' packages of `engines`.
//! What is for arm64 runs below qemu, whose user mode hands the children's programs,
//! which are amd64, to the kernel.

// A test that cannot go on panics.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::machine::{TempDir, installed};

#[path = "../engines/engine.rs"]
#[allow(dead_code)] // pods and terminals
mod engine;
mod images;
#[path = "../common/machine.rs"]
mod machine;

const REPOSITORY: &str = env!("CARGO_MANIFEST_DIR");
const VERSION: &str = env!("CARGO_PKG_VERSION");
const QEMU: &str = "qemu-aarch64-static";

struct Arch {
    debian: &'static str,
    machine: &'static str,
    /// What runs its programs here.
    below: &'static [&'static str],
}

const ARCHS: [Arch; 2] = [
    Arch { debian: "amd64", machine: "x86_64", below: &[] },
    Arch { debian: "arm64", machine: "aarch64", below: &[QEMU] },
];

impl Arch {
    /// `drainit` is a whole one of this version, and does its work.
    fn runs(&self, drainit: &Path) {
        // As PID 1: elsewhere it has to be a subreaper, which qemu 7.2 cannot be.
        let run = |args: &[&str]| {
            let mut namespace = Command::new("unshare");
            namespace.args(["--pid", "--fork", "--kill-child"]);
            namespace.args(self.below.iter().map(|program| installed(program, "qemu-user-static")));
            namespace.arg(drainit).args(args).output().unwrap()
        };
        let version = String::from_utf8(run(&["--version"]).stdout).unwrap();
        assert!(version.starts_with(&format!("drainit {VERSION}")), "{version}");
        assert_eq!(run(&["sh", "-c", "(sleep 0.2; exit 4) & exit 3"]).status.code(), Some(3));

        let header = output("readelf", &["--file-header", "--program-headers", path(drainit)]);
        let machine = if self.machine == "aarch64" { "AArch64" } else { "X86-64" };
        assert!(header.contains(machine), "{header}");
        assert!(!header.contains("INTERP"), "{drainit:?} is dynamic");
    }

    fn wheel(&self) -> PathBuf {
        let Arch { machine, .. } = self;
        out(&format!(
            "drainit-{VERSION}-py3-none-manylinux2014_{machine}.manylinux_2_17_{machine}.musllinux_1_1_{machine}.whl"
        ))
    }

    fn tarball(&self) -> String {
        format!("drainit-{VERSION}-linux-{}", self.debian)
    }
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// One of the artefacts.
fn out(file: &str) -> PathBuf {
    let path = Path::new(REPOSITORY).join("dist/out").join(file);
    assert!(path.exists(), "{path:?} is missing: run dist/build");
    path
}

/// What a program prints that must succeed.
fn output(program: &str, args: &[&str]) -> String {
    run(Command::new(program).args(args))
}

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|why| panic!("{command:?}: {why}"));
    assert!(output.status.success(), "{command:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_sums_are_those_of_all_files() {
    let dir = out("SHA256SUMS").parent().unwrap().to_owned();
    run(Command::new("sha256sum").args(["--check", "--strict", "SHA256SUMS"]).current_dir(&dir));
    let sums = fs::read_to_string(out("SHA256SUMS")).unwrap();
    assert_eq!(sums.lines().count() + 1, fs::read_dir(dir).unwrap().count(), "{sums}");
}

/// Elsewhere, with another umask, in another time zone and another language.
#[test]
fn a_second_build_gives_the_same_bytes() {
    let dir = TempDir::with(&[("elsewhere/.keep", "")]);
    let clone = dir.join("elsewhere/clone");
    output("git", &["clone", "--quiet", REPOSITORY, path(&clone)]);
    let tools = std::env::var("DIST_TOOLS").unwrap_or(format!("{REPOSITORY}/target/tools"));
    let build = "umask 077; exec dist/build";
    let sums = |epoch: Option<&str>| {
        let mut command = Command::new("sh");
        command
            .args(["-c", build])
            .current_dir(&clone)
            .envs(epoch.map(|e| ("SOURCE_DATE_EPOCH", e)));
        command.env("DIST_TOOLS", &tools).env("TZ", "Asia/Tokyo").env("LC_ALL", "C");
        run(&mut command);
        fs::read_to_string(clone.join("dist/out/SHA256SUMS")).unwrap()
    };
    let ours = fs::read_to_string(out("SHA256SUMS")).unwrap();
    assert_eq!(sums(None), ours, "the first is of the commit as it stands?");
    // The comparison sees one second.
    let other = sums(Some("1234567890"));
    let differs = ours.lines().zip(other.lines()).all(|(a, b)| a != b);
    assert!(differs, "{ours}{other}");
}

#[test]
fn debian_packages() {
    installed("lintian", "lintian");
    installed("man", "man-db");
    for arch in ARCHS {
        let file = out(&format!("drainit_{VERSION}-1_{}.deb", arch.debian));
        output("lintian", &["--fail-on", "error", path(&file)]);

        let root =
            TempDir::with(&[("var/lib/dpkg/status", ""), ("var/lib/dpkg/updates/.keep", "")]);
        fs::remove_file(root.join("var/lib/dpkg/updates/.keep")).unwrap();
        fs::create_dir(root.join("var/lib/dpkg/info")).unwrap();
        let dpkg = |args: &[&str]| {
            let root = format!("--root={}", root.display());
            // An image's dpkg may be told to leave manuals out.
            let ours = [&root, "--force-architecture", "--path-include=/usr/share/man/*"];
            output("dpkg", &[&ours, args].concat())
        };
        dpkg(&["--install", path(&file)]);
        arch.runs(&root.join("usr/bin/drainit"));
        let manual = root.join("usr/share/man");
        let page =
            run(Command::new("man").args(["-M", path(&manual), "drainit"]).env("MANPAGER", "cat"));
        assert!(page.contains("a PID-1 init for containers"), "{page}");
        dpkg(&["--purge", "drainit"]);
        assert!(!root.join("usr").exists(), "something of the package stays");
    }
}

#[test]
fn wheels() {
    let dir = TempDir::new();
    let environment = dir.join("environment");
    output("/usr/bin/python3", &["-m", "venv", path(&environment)]);
    let pip = environment.join("bin/pip");
    let install = |args: &[&str]| {
        let ours = ["install", "--quiet", "--disable-pip-version-check", "--no-index"];
        output(path(&pip), &[&ours, args].concat())
    };
    let [amd64, arm64] = &ARCHS;
    install(&[path(&amd64.wheel())]);
    amd64.runs(&environment.join("bin/drainit"));

    // For machines that this is none of.
    for (platform, arch) in [
        ("manylinux2014_aarch64", arm64),
        ("musllinux_1_1_aarch64", arm64),
        ("musllinux_1_1_x86_64", amd64),
    ] {
        let target = dir.join(platform);
        let options = ["--platform", platform, "--only-binary=:all:", "--no-compile", "--target"];
        install(&[&options[..], &[path(&target), path(&arch.wheel())]].concat());
        arch.runs(&target.join("bin/drainit"));
    }
}

/// And whatever else it is packed in, it is the same file.
#[test]
fn tarballs() {
    let dir = TempDir::new();
    for arch in ARCHS {
        let name = arch.tarball();
        output("tar", &["-xzf", path(&out(&format!("{name}.tar.gz"))), "-C", path(&dir)]);
        let drainit = dir.join(&name).join("drainit");
        arch.runs(&drainit);
        for file in ["drainit.1", "LICENSE", "THIRD-PARTY-NOTICES"] {
            let theirs = fs::read(dir.join(&name).join(file)).unwrap();
            assert_eq!(theirs, fs::read(Path::new(REPOSITORY).join(file)).unwrap(), "{file}");
        }

        let binary = fs::read(drainit).unwrap();
        let member = format!("drainit-{VERSION}.data/scripts/drainit");
        let mut unzip = Command::new("python3");
        let script = "import sys, zipfile; sys.stdout.buffer.write(zipfile.ZipFile(sys.argv[1]).read(sys.argv[2]))";
        unzip.args(["-c", script, path(&arch.wheel()), &member]);
        assert!(unzip.output().unwrap().stdout == binary, "the wheel's is another");
        let deb = out(&format!("drainit_{VERSION}-1_{}.deb", arch.debian));
        output("dpkg-deb", &["--extract", path(&deb), path(&dir.join("deb"))]);
        assert!(
            fs::read(dir.join("deb/usr/bin/drainit")).unwrap() == binary,
            "the package's is another"
        );
    }
}

/// Both name the crates that Cargo.lock has for Linux.
#[test]
fn third_parties() {
    let notices = fs::read_to_string(Path::new(REPOSITORY).join("THIRD-PARTY-NOTICES")).unwrap();
    let fresh = run(Command::new("dist/notices").current_dir(REPOSITORY));
    assert_eq!(notices, fresh, "dist/notices >THIRD-PARTY-NOTICES");

    let sbom = out(&format!("drainit-{VERSION}.cdx.json"));
    let components =
        output("jq", &["--raw-output", ".components[] | .name + \" \" + .version", path(&sbom)]);
    for crate_ in notices.lines().filter_map(|line| line.strip_prefix("==== ")) {
        let (name, _) = crate_.split_once(" (").unwrap();
        assert!(
            components.lines().any(|c| c == name) || name.contains("standard library"),
            "{name}"
        );
    }
    assert!(!fs::read_to_string(sbom).unwrap().contains(REPOSITORY), "names a folder");
}

/// What crates.io would get: enough to build it, and none of the tests' data.
#[test]
fn crate_() {
    let list = run(Command::new("cargo")
        .args(["package", "--list", "--allow-dirty"])
        .current_dir(REPOSITORY));
    assert!(list.contains("src/main.rs") && list.contains("drainit.1"), "{list}");
    for folder in ["tests/", "benches/", "examples/", "docs/", "dist/", ".ci/"] {
        assert!(!list.lines().any(|file| file.starts_with(folder)), "{folder} in {list}");
    }
}
