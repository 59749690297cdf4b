//! Redis, where jobs come from: outside of the container, as in life.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

pub struct Redis(Child);

impl Redis {
    /// Listens at the socket `redis` in `dir`, to whoever comes.
    pub fn at(dir: &Path) -> Redis {
        let mut server = Command::new("redis-server")
            .args(["--port", "0", "--unixsocket", "redis", "--unixsocketperm", "777", "--save", ""])
            .current_dir(dir)
            .stdout(Stdio::piped())
            .spawn()
            .expect("install redis-server");
        let mut log = BufReader::new(server.stdout.take().unwrap()).lines();
        let redis = Redis(server);
        assert!(
            log.any(|line| line.unwrap().contains("ready to accept connections")),
            "redis-server ends before it is ready"
        );
        redis
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
