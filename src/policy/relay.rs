//! The relays: programs that stand between us and the work, and do not pass
//! SIGTERM on. A row each; the tests of real software run every one. Pure.
//!
//! By name alone. What a program does at SIGTERM cannot be read off it: php, node,
//! java and ruby show it as caught in /proc/PID/status and still die of it. Only of
//! a shell that bit means something: that its script has a TERM trap.

use crate::text::bytes::{after, before};

/// How a relay stands to what it runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Relay {
    /// Told, lest it run its next command. It may have a trap, something in the
    /// foreground and something in the background.
    Shell,
    /// The same, but whether it has a trap cannot be seen: it always catches TERM.
    Mksh,
    /// Told, and all that it runs.
    Wrapper,
    /// Not told: it would kill what it runs (su after 2 s), or end before that, and
    /// with it the exit code. It ends after what it runs.
    Guard,
}

const RELAYS: [(&[u8], Relay); 22] = [
    (b"sh", Relay::Shell),
    (b"dash", Relay::Shell),
    (b"bash", Relay::Shell),
    (b"ash", Relay::Shell),
    (b"busybox", Relay::Shell),
    (b"ksh", Relay::Shell),
    (b"ksh93", Relay::Shell),
    (b"mksh", Relay::Mksh),
    (b"zsh", Relay::Shell),
    (b"setsid", Relay::Wrapper),
    // Placeholders in the foreground of a container. What stands below them was
    // started by the script that became them.
    (b"tail", Relay::Wrapper),
    (b"sleep", Relay::Wrapper),
    (b"cat", Relay::Wrapper),
    (b"npm", Relay::Guard),
    (b"npx", Relay::Guard),
    (b"yarn", Relay::Guard),
    (b"pnpm", Relay::Guard),
    (b"su", Relay::Guard),
    (b"runuser", Relay::Guard),
    (b"flock", Relay::Guard),
    (b"time", Relay::Guard),
    // `go run` starts what it has built.
    (b"go", Relay::Guard),
];

/// What runs a script whose name then says what it is.
const INTERPRETERS: [&[u8]; 4] = [b"node", b"nodejs", b"python", b"python3"];

impl Relay {
    /// By its comm or its argv (words with a NUL behind each). The comm of a script
    /// is the script's own name, and the kernel puts the `#!` line's interpreter
    /// into argv[0]. (/proc/PID/exe would need ptrace rights over another user.)
    pub fn of(comm: &[u8], argv: &[u8]) -> Option<Relay> {
        let mut words = argv.split(|&byte| byte == 0);
        let first = words.next().unwrap_or_default();
        let script = words.next().filter(|_| INTERPRETERS.contains(&base(first)));
        [comm, first, script.unwrap_or_default()].iter().find_map(|name| Relay::named(name))
    }

    /// A path, the argv[0] of a login shell, or a title: `npm start`.
    pub fn named(name: &[u8]) -> Option<Relay> {
        let program = name.split(|&byte| byte == b' ').next().unwrap_or_default();
        let base = base(program);
        let stem = [&b".js"[..], b".cjs", b".mjs"].iter().find_map(|end| before(base, end));
        let stem = stem.unwrap_or(base);
        RELAYS.iter().find(|(known, _)| *known == stem).map(|(_, relay)| *relay)
    }
}

fn base(path: &[u8]) -> &[u8] {
    let name = path.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
    after(name, b"-").unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_name() {
        for name in ["sh", "/bin/sh", "-bash", "busybox", "/usr/bin/zsh"] {
            assert_eq!(Relay::named(name.as_bytes()), Some(Relay::Shell), "{name}");
        }
        for name in ["", "-", "shell", "sh/", "php", "/bin/sh/php", "--sh", "sudo", "node", "npmx"]
        {
            assert_eq!(Relay::named(name.as_bytes()), None, "{name}");
        }
        assert_eq!(Relay::named(b"npm start"), Some(Relay::Guard));
        assert_eq!(Relay::named(b"/usr/bin/setsid"), Some(Relay::Wrapper));
    }

    #[test]
    fn by_argv() {
        assert_eq!(Relay::of(b"entry.sh", b"/bin/sh\0./entry.sh\0"), Some(Relay::Shell));
        assert_eq!(Relay::of(b"node", b"node\0/usr/bin/yarn.js\0start\0"), Some(Relay::Guard));
        assert_eq!(Relay::of(b"node", b"node\0server.js\0"), None);
        assert_eq!(Relay::of(b"php", b"php\0/app/sh\0"), None, "no interpreter of a relay");
        assert_eq!(Relay::of(b"app", b""), None);
    }
}
