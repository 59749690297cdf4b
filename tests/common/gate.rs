//! Jobs that say when they are in flight, in a container of whatever kind.

use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::Duration;

/// Until then whatever a test waits for has come: nothing here is bounded more
/// tightly, because the software is slow to start and the machine may be busy.
pub const GUARD: Duration = Duration::from_secs(90);

/// Where jobs report: each connects to the socket `gate` as it begins, and
/// works on only when the test has said for how many seconds. So 'in flight when
/// the signal came' is a fact and not a matter of timing.
pub struct Gate(UnixListener);

impl Gate {
    pub fn at(dir: &Path) -> Self {
        // A listening socket takes a time-out for accept(2) from SO_RCVTIMEO;
        // std offers it for streams only.
        let listener = UnixListener::bind(dir.join("gate")).unwrap();
        let socket = UnixStream::from(OwnedFd::from(listener));
        socket.set_read_timeout(Some(GUARD)).unwrap();
        Gate(UnixListener::from(OwnedFd::from(socket)))
    }

    /// The next `count` jobs; returns when all of them are in flight.
    pub fn admit(&self, count: usize) -> Jobs {
        let next = |_| self.0.accept().expect("a job comes to the gate").0;
        Jobs((0..count).map(next).collect())
    }
}

/// Jobs in flight. They stay so for as long as the test keeps this and says nothing.
pub struct Jobs(Vec<UnixStream>);

/// For how many seconds a job has work left when the signal comes; None: endlessly.
pub type Work = Option<f32>;

/// Long after an init that does not wait is gone, and its namespace with it; well
/// within every time-out.
pub const A_WHILE: Work = Some(2.0);

impl Jobs {
    pub fn have_left(&self, work: Work) {
        let Some(seconds) = work else { return };
        for mut job in &self.0 {
            // A job that is dead already does not hear it, and the account shows it.
            let _ = writeln!(job, "{seconds}");
        }
    }
}
