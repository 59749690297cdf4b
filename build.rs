//! How the binary is linked: statically, whatever command and RUSTFLAGS build
//! it. On machines that `kernel/nolibc` knows, a release has no C library.
//!
//! It is here and not in `.cargo/config.toml`, since that holds for nobody but
//! who builds in this folder without a RUSTFLAGS variable.

use std::env;
use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::Command;

/// What std, not knowing what of it will be used, hands to the linker.
const LIBRARIES: [&str; 9] = ["c", "dl", "gcc", "gcc_eh", "gcc_s", "m", "pthread", "rt", "util"];

/// An archive without members.
const EMPTY: &str = "!<arch>\n";

/// The oldest Rust that was seen to prove every panic unreachable: 1.85 does not.
const ABLE: u32 = 95;

const LAYOUT: &str = "src/kernel/nolibc/link.ld";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={LAYOUT}");
    println!("cargo::rustc-check-cfg=cfg(nolibc)");
    let is = |name: &str, value: &str| variable(name).split(',').any(|word| word == value);
    // rustup's musl targets link statically by themselves.
    if is("CARGO_CFG_TARGET_ENV", "musl") && is("CARGO_CFG_TARGET_FEATURE", "crt-static") {
        return;
    }
    // GNU ld's name for the machine. A debug build, or an older compiler, keeps
    // code that is never reached, and with it the C library that this calls.
    let known = is("PROFILE", "release")
        && compiler() >= ABLE
        && is("CARGO_CFG_TARGET_ENV", "gnu")
        && is("CARGO_CFG_TARGET_POINTER_WIDTH", "64");
    let machine = match &*variable("CARGO_CFG_TARGET_ARCH") {
        "x86_64" if known => Some("elf_x86_64"),
        "aarch64" if known => Some("aarch64linux"),
        _ => None,
    };
    let linked = match machine {
        Some(machine) => without_c_library(machine),
        None => with_static_c_library(),
    };
    if let Err(mistake) = linked {
        println!("cargo::error={mistake}");
    }
}

fn without_c_library(machine: &str) -> Result<(), Box<dyn Error>> {
    let linker = linker();
    // lld and others want to know symbols of code that is thrown away.
    let version = Command::new(&linker).args(["-fuse-ld=bfd", "-Wl,-V"]).output();
    let version = version.map(|output| output.stdout).unwrap_or_default();
    if !String::from_utf8_lossy(&version).split_whitespace().any(|word| word == machine) {
        return Err(format!(
            "`{linker} -fuse-ld=bfd` does not run GNU ld for {0}: install gcc and binutils for it \
             (or name the C compiler in CARGO_TARGET_{1}_LINKER)",
            variable("TARGET"),
            variable("TARGET").to_uppercase().replace('-', "_")
        )
        .into());
    }
    println!("cargo::rustc-cfg=nolibc");
    libraries(EMPTY)?;
    for argument in ["-fuse-ld=bfd", "-nostartfiles", "-Wl,--no-eh-frame-hdr,--build-id=none"] {
        println!("cargo::rustc-link-arg-bins={argument}");
    }
    println!("cargo::rustc-link-arg-bins=-Wl,-T,{}/{LAYOUT}", variable("CARGO_MANIFEST_DIR"));
    Ok(())
}

fn with_static_c_library() -> Result<(), Box<dyn Error>> {
    let mut paths = Vec::new();
    for archive in ["libc.a", "libgcc_eh.a", "libgcc.a"] {
        let output = Command::new(linker()).arg(format!("-print-file-name={archive}")).output();
        let path = output.map(|output| output.stdout).unwrap_or_default();
        let path = String::from_utf8_lossy(&path).trim().to_owned();
        // Without a folder: not found.
        if !path.contains('/') {
            return Err(format!(
                "`{}` has no {archive}, to link drainit statically: install gcc, and the C \
                 library for developers (libc6-dev, glibc-static)",
                linker()
            )
            .into());
        }
        paths.push(path);
    }
    // An archive may as well be a linker script.
    libraries(&format!("GROUP({})\n", paths.join(" ")))
}

/// Archives by the names of the C library's, in a folder that is looked into
/// first: `libc.a` with this content, the others empty. Code that wants more is
/// thrown away, or the linker says what it lacks.
fn libraries(libc: &str) -> Result<(), Box<dyn Error>> {
    let folder = Path::new(&variable("OUT_DIR")).join("libraries");
    fs::create_dir_all(&folder)?;
    for name in LIBRARIES {
        let content = if name == "c" { libc } else { EMPTY };
        fs::write(folder.join(format!("lib{name}.a")), content)?;
    }
    for argument in ["-static", "-no-pie", &format!("-L{}", folder.display())] {
        println!("cargo::rustc-link-arg-bins={argument}");
    }
    Ok(())
}

/// The program that rustc links with: of RUSTFLAGS, of cargo's configuration,
/// or its own choice.
fn linker() -> String {
    let flags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    let mut flag = flags.split('\x1f').filter_map(|flag| {
        flag.strip_prefix("-Clinker=").or(flag.strip_prefix("linker=")).map(str::to_owned)
    });
    flag.next_back().or(env::var("RUSTC_LINKER").ok()).unwrap_or("cc".to_owned())
}

/// Of Rust 1.95, 95. Whoever has no such number is newer.
fn compiler() -> u32 {
    let version = Command::new(variable("RUSTC")).arg("--version").output();
    let version = version.map(|output| output.stdout).unwrap_or_default();
    let minor = String::from_utf8_lossy(&version).split('.').nth(1).map(str::parse);
    minor.and_then(Result::ok).unwrap_or(ABLE)
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_default()
}
