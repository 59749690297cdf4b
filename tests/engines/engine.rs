//! The engines as the tests see them: dockerd and podman on sockets and
//! directories of their own, each started once and ended with the test binary;
//! containers, pods, and what they say.

use std::fmt;
use std::fs::{self, File, Permissions};
use std::io::{Read, Write, pipe, stderr};
use std::ops::{Deref, DerefMut};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Once};
use std::thread;
use std::time::{Duration, Instant};

use nix::pty::{Winsize, openpty};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::machine::{DRAINIT, TempDir, installed};

/// Every client is killed by then, in seconds; what waits for it sees the end of
/// its output.
const GUARD: u32 = 120;

/// A worker in a session of its own, which no signal for the main child reaches.
/// Once asked it needs a second to save its work; the main child dies at once.
pub const WORKER: &[&str] = &["sh", "-c", WORKER_SCRIPT];
pub const WORKER_SCRIPT: &str = r#"setsid sh -c 'trap "sleep 1; echo saved; exit" TERM; echo ready; while :; do sleep 0.1; done' & wait"#;

/// An engine's stop time-out that no test reaches unless it wants to.
pub const AMPLE: u32 = 50;

/// What gives the image `host` the software that is installed here.
pub const HOST: &str = "--volume /usr:/usr:ro --volume /etc/alternatives:/etc/alternatives:ro";

/// runc, but an image that holds `.host` gets what that says from the host: so
/// commands need no `--volume` for the software that they run.
const RUNTIME: &str = r#"#!/bin/sh
for word; do
    case $last in --bundle | -b) bundle=$word ;; esac
    case $word in create) create=yes ;; esac
    last=$word
done
if [ "$create" ]; then
    config=$bundle/config.json
    host=$(jq --raw-output .root.path "$config")/.host
    if [ -e "$host" ]; then
        jq --slurpfile host "$host" '
            .mounts += $host[0].mounts | .process.env += $host[0].env' "$config" >"$config.new"
        mv "$config.new" "$config"
    fi
fi
exec runc "$@"
"#;

/// Below `bin`, what a reader of the pages types: the same programs, for this engine.
const PODMAN_CLIENT: &str = r#"#!/bin/sh
case $1 in
    run) shift && set -- run --network none "$@" ;;
    kube) [ "$2" != play ] || { shift 2 && set -- kube play --network none "$@"; } ;;
esac
exec "#;
const COMPOSE_CLIENT: &str = r#"#!/bin/sh
if [ "$1" = docker-cli-plugin-metadata ]; then
    echo '{"SchemaVersion": "0.1.0", "Vendor": "Debian", "Version": "1"}'
else
    shift && exec docker-compose "$@"
fi
"#;

pub struct Engine {
    /// The client, with what goes before every command.
    client: Vec<String>,
    env: Vec<(&'static str, PathBuf)>,
    daemon: Option<Child>,
    pub dir: TempDir,
}

static DOCKER: Mutex<Option<Arc<Engine>>> = Mutex::new(None);
static PODMAN: Mutex<Option<Arc<Engine>>> = Mutex::new(None);

/// An engine for as long as one test runs, which then says how long that was.
pub struct Test {
    engine: Arc<Engine>,
    since: Instant,
}

pub fn docker() -> Test {
    Test::on(&DOCKER, start_dockerd)
}

pub fn podman() -> Test {
    Test::on(&PODMAN, set_up_podman)
}

impl Test {
    fn on(shared: &Mutex<Option<Arc<Engine>>>, start: fn() -> Engine) -> Test {
        // A static is never dropped, and libtest has no last word for a binary.
        static AT_EXIT: Once = Once::new();
        // SAFETY: a function that takes and returns nothing.
        AT_EXIT.call_once(|| assert_eq!(unsafe { libc::atexit(end_engines) }, 0));
        let engine = shared
            .lock()
            .expect("an engine that could be started")
            .get_or_insert_with(|| Arc::new(start()))
            .clone();
        Test { engine, since: Instant::now() }
    }
}

extern "C" fn end_engines() {
    for engine in [&DOCKER, &PODMAN] {
        drop(engine.lock().map(|mut engine| engine.take()));
    }
}

impl Deref for Test {
    type Target = Engine;
    fn deref(&self) -> &Engine {
        &self.engine
    }
}

impl Drop for Test {
    fn drop(&mut self) {
        let thread = thread::current();
        let name = thread.name().unwrap_or_default();
        // Not eprintln!, which libtest keeps for itself while a test passes.
        let _ = writeln!(stderr(), "{:6.1} s  {name}", self.since.elapsed().as_secs_f32());
    }
}

/// drainit as its init, by the name under which it answers dockerd.
fn start_dockerd() -> Engine {
    installed("dockerd", "docker.io");
    installed("docker", "docker.io");
    installed("jq", "jq");
    let dir = TempDir::with(&[
        ("daemon.json", "{}"),
        ("runtime", RUNTIME),
        ("cli-plugins/docker-compose", COMPOSE_CLIENT),
    ]);
    let init = dir.join("docker-init");
    symlink(DRAINIT, &init).unwrap();

    let notify = UnixDatagram::bind(dir.join("ready")).unwrap();
    notify.set_read_timeout(Some(Duration::from_secs(GUARD.into()))).unwrap();
    let host = format!("unix://{}", dir.join("socket").display());
    let log = dir.join("log");
    let daemon = Command::new("dockerd")
        .args(["--host", &host, "--storage-driver", "vfs", "--bridge", "none"])
        .args(["--iptables=false", "--ip6tables=false"])
        .args(["--default-runtime", "host", "--add-runtime"])
        .arg(format!("host={}", dir.join("runtime").display()))
        .args(["--config-file".as_ref(), dir.join("daemon.json").as_os_str()])
        .args(["--data-root".as_ref(), dir.join("data").as_os_str()])
        .args(["--exec-root".as_ref(), dir.join("exec").as_os_str()])
        .args(["--pidfile".as_ref(), dir.join("pid").as_os_str()])
        .args(["--init-path".as_ref(), init.as_os_str()])
        .env("NOTIFY_SOCKET", dir.join("ready"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(File::create(&log).unwrap())
        .spawn()
        .unwrap();
    let engine = Engine {
        client: vec!["docker".into(), "--host".into(), host.clone()],
        env: vec![
            ("DOCKER_CONFIG", dir.to_path_buf()),
            ("DOCKER_HOST", host.into()),
            ("DOCKER_BUILDKIT", "0".into()),
        ],
        daemon: Some(daemon),
        dir,
    };
    // systemd's protocol: READY=1 once the API listens.
    if let Err(why) = notify.recv(&mut [0; 256]) {
        panic!("dockerd: {why}\n{}", fs::read_to_string(log).unwrap());
    }
    engine.import_images();
    engine
}

/// For a machine without systemd, and beside whatever else podman runs there.
fn set_up_podman() -> Engine {
    installed("podman", "podman");
    installed("runc", "runc");
    installed("jq", "jq");
    let dir = TempDir::with(&[("runtime", RUNTIME)]);
    let helpers = dir.join("helpers");
    fs::create_dir_all(&helpers).unwrap();
    // What podman makes a pod's first container of.
    fs::copy(DRAINIT, helpers.join("catatonit")).unwrap();
    let config = format!(
        r#"
        [containers]
        cgroupns = "host"
        pids_limit = 0
        default_ulimits = ["nofile=10000:10000", "nproc=30000:30000"]
        [engine]
        cgroup_manager = "cgroupfs"
        events_logger = "file"
        runtime = "host"
        lock_type = "file"
        helper_binaries_dir = ["{}"]
        [engine.runtimes]
        host = ["{}"]
        "#,
        helpers.display(),
        dir.join("runtime").display()
    );
    fs::write(dir.join("containers.conf"), config).unwrap();
    let mut client = vec!["podman".into(), "--storage-driver=vfs".into()];
    for option in ["root", "runroot", "tmpdir"] {
        client.push(format!("--{option}={}", dir.join(option).display()));
    }
    let bin = dir.join("bin");
    fs::create_dir_all(&bin).unwrap();
    fs::write(bin.join("podman"), format!("{PODMAN_CLIENT}/usr/bin/{} \"$@\"\n", client.join(" ")))
        .unwrap();
    fs::set_permissions(bin.join("podman"), Permissions::from_mode(0o755)).unwrap();
    let env = vec![("CONTAINERS_CONF", dir.join("containers.conf"))];
    let engine = Engine { client, env, daemon: None, dir };
    engine.import_images();
    engine
}

impl Engine {
    /// `busybox`: that, static, and drainit, also under the names of other inits.
    /// `host`: nothing but links into /usr.
    fn import_images(&self) {
        installed("busybox", "busybox-static");
        let root = self.dir.join("busybox");
        let bin = root.join("bin");
        fs::create_dir_all(&bin).unwrap();
        for dir in ["app", "tmp"] {
            fs::create_dir_all(root.join(dir)).unwrap();
        }
        fs::copy("/bin/busybox", bin.join("busybox")).unwrap();
        let applets = Command::new("/bin/busybox").arg("--list").output().unwrap();
        for applet in String::from_utf8(applets.stdout).unwrap().lines() {
            let _ = symlink("busybox", bin.join(applet)); // busybox itself is there
        }
        fs::copy(DRAINIT, root.join("drainit")).unwrap();
        for init in ["tini", "dumb-init", "catatonit"] {
            symlink("drainit", root.join(init)).unwrap();
        }
        self.import("", &root, "busybox");

        let root = self.dir.join("host");
        for dir in ["usr", "tmp", "cargo", "etc"] {
            fs::create_dir_all(root.join(dir)).unwrap();
        }
        for link in ["bin", "sbin", "lib", "lib64"] {
            symlink(format!("usr/{link}"), root.join(link)).unwrap();
        }
        fs::set_permissions(root.join("tmp"), Permissions::from_mode(0o1777)).unwrap();
        self.import("", &root, "host");
    }

    /// An image of the directory `root`.
    pub fn import(&self, options: &str, root: &Path, image: &str) {
        let tar = root.with_extension("tar");
        let packed = Command::new("tar").arg("-cf").arg(&tar).arg("-C").arg(root).arg(".").status();
        assert!(packed.unwrap().success());
        self.call(&format!("import {options} {} {image}", tar.display()));
    }

    /// `program`, or the engine's client; bounded by the guard.
    fn command(&self, program: &[String]) -> Command {
        let mut command = Command::new("timeout");
        command.args(["--foreground", "--signal=KILL", &GUARD.to_string()]).args(program);
        command.envs(self.env.iter().cloned());
        command
    }

    /// Runs a command of the engine's client; what it prints.
    pub fn call(&self, command: &str) -> String {
        self.call_other(&self.client, command)
    }

    /// Of another client of the same engine.
    pub fn call_other(&self, client: &[String], command: &str) -> String {
        let output =
            self.command(client).args(command.split_whitespace()).stdin(Stdio::null()).output();
        let output = output.unwrap();
        assert!(output.status.success(), "{client:?} {command}: {output:?}");
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    }

    pub fn is_docker(&self) -> bool {
        self.daemon.is_some()
    }

    /// A line as a person types it at a shell, in `dir`; bounded with all that it starts.
    pub fn shell(&self, dir: &Path, line: &str) -> Command {
        let mut shell = Command::new("timeout");
        shell.args(["--signal=KILL", &GUARD.to_string(), "sh", "-ec", line]);
        shell.envs(self.env.iter().cloned());
        let path = std::env::var("PATH").unwrap_or_default();
        shell.env("PATH", format!("{}:{path}", self.dir.join("bin").display()));
        shell.current_dir(dir).stdin(Stdio::null());
        shell
    }

    /// The same at a terminal.
    pub fn shell_on_terminal(&self, dir: &Path, line: &str) -> Session {
        let pty = openpty(None, None).unwrap();
        let bounded = self.shell(dir, line);
        let mut shell = Command::new("setsid");
        shell.args(["--ctty", "--wait"]).arg(bounded.get_program()).args(bounded.get_args());
        shell.envs(bounded.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let ours = || pty.slave.try_clone().unwrap();
        shell.current_dir(dir).stdin(ours()).stdout(ours()).stderr(ours());
        Session::new(shell, pty.master)
    }

    /// A command of the client, to be listened to.
    pub fn listen(&self, command: &str, last: &[&str]) -> Session {
        let (output, writer) = pipe().unwrap();
        let mut client = self.command(&self.client);
        client.args(command.split_whitespace()).args(last);
        client.stdin(Stdio::null()).stdout(writer.try_clone().unwrap()).stderr(writer);
        Session::new(client, OwnedFd::from(output))
    }

    /// `run`, in the foreground: the container's output and its exit code are the
    /// client's. `what` is options and an image.
    pub fn run(&self, what: &str, command: &[&str]) -> Container<'_> {
        let name = unique_name();
        let session = self.listen(&format!("run --name {name} --network none {what}"), command);
        Container { engine: self, name, session }
    }

    /// The same with a terminal of `rows` and `columns`, at which the test sits.
    pub fn run_on_terminal(
        &self,
        (rows, columns): (u16, u16),
        what: &str,
        command: &[&str],
    ) -> Container<'_> {
        let name = unique_name();
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        let pty = openpty(&size, None).unwrap();
        let bounded = self.command(&self.client);
        // It must be the client's controlling terminal, or no SIGWINCH comes.
        let mut client = Command::new("setsid");
        client.args(["--ctty", "--wait"]).arg(bounded.get_program()).args(bounded.get_args());
        client.envs(self.env.iter().cloned());
        client.args(["run", "--interactive", "--tty", "--name", &name, "--network=none"]);
        client.args(what.split_whitespace()).args(command);
        let ours = || pty.slave.try_clone().unwrap();
        client.stdin(ours()).stdout(ours()).stderr(ours());
        Container { engine: self, name, session: Session::new(client, pty.master) }
    }

    /// A pod by the name of `pod`, as Kubernetes would be told of it.
    pub fn play(&self, pod: &'static str, manifest: &str) -> Pod<'_> {
        let file = self.dir.join(pod).with_extension("yaml");
        fs::write(&file, manifest).unwrap();
        let pod = Pod { engine: self, name: pod };
        self.call(&format!("kube play --network none {}", file.display()));
        pod
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if let Some(daemon) = &mut self.daemon {
            kill(Pid::from_raw(daemon.id() as i32), Signal::SIGTERM).unwrap();
            daemon.wait().unwrap();
            return;
        }
        // What a failed test has left half-made.
        self.call("pod rm --all --force --time 0");
        // conmon runs `podman container cleanup` when its container has ended, and
        // nobody waits for that: it would make the directories anew.
        let deadline = Instant::now() + Duration::from_secs(GUARD.into());
        let mut at_work = Command::new("pgrep");
        at_work.arg("--full").arg(&*self.dir).stdout(Stdio::null());
        while at_work.status().unwrap().success() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(50));
        }
    }
}

fn unique_name() -> String {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    format!("c{}", COUNT.fetch_add(1, Ordering::Relaxed))
}

/// A client that runs, and what it has said so far.
pub struct Session {
    client: Child,
    /// A pipe's end or a terminal's: what is written to that is typed.
    output: File,
    transcript: String,
    /// How much of it `says` has passed.
    passed: usize,
}

pub struct End {
    pub code: i32,
    pub transcript: String,
}

impl Session {
    fn new(mut command: Command, output: OwnedFd) -> Session {
        let client = command.spawn().unwrap();
        Session { client, output: output.into(), transcript: String::new(), passed: 0 }
    }

    /// Waits until it has said `words`, after those of the last call.
    pub fn says(&mut self, words: &str) {
        loop {
            if let Some(at) = self.transcript[self.passed..].find(words) {
                self.passed += at + words.len();
                return;
            }
            assert!(self.hear(), "never said {words:?}");
        }
    }

    pub fn has_said(&self, words: &str) -> bool {
        self.transcript.contains(words)
    }

    /// Waits for its end.
    pub fn end(&mut self) -> End {
        while self.hear() {}
        let code = self.client.wait().unwrap().code().expect("an exit code");
        End { code, transcript: std::mem::take(&mut self.transcript) }
    }

    pub fn types(&mut self, keys: &str) {
        self.output.write_all(keys.as_bytes()).unwrap();
    }

    pub fn resize(&self, rows: u16, columns: u16) {
        let mut stty = Command::new("stty");
        stty.args(["rows", &rows.to_string(), "cols", &columns.to_string()]);
        assert!(stty.stdin(self.output.try_clone().unwrap()).status().unwrap().success());
    }

    /// The next piece, unless that was all (a terminal says EIO then).
    fn hear(&mut self) -> bool {
        let mut piece = [0; 4096];
        let length = self.output.read(&mut piece).unwrap_or(0);
        self.transcript += &String::from_utf8_lossy(&piece[..length]);
        length > 0
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("--- it said\n{}---", self.transcript);
        }
        let _ = self.client.kill();
        let _ = self.client.wait();
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "exit {}\n--- it said\n{}---", self.code, self.transcript)
    }
}

pub struct Container<'a> {
    engine: &'a Engine,
    name: String,
    session: Session,
}

impl Container<'_> {
    /// The engine's stop: SIGTERM, and SIGKILL after `seconds`.
    pub fn stop(&self, seconds: u32) {
        self.engine.call(&format!("stop --time {seconds} {}", self.name));
    }

    /// The same, without waiting for the end of it.
    pub fn begin_stop(&self, seconds: u32) -> Session {
        self.engine.listen(&format!("stop --time {seconds}"), &[&self.name])
    }

    pub fn kill(&self, signal: impl fmt::Display) {
        self.engine.call(&format!("kill --signal {signal} {}", self.name));
    }

    pub fn exec(&self, script: &str) -> Session {
        self.engine.listen("exec", &[&self.name, "sh", "-c", script])
    }
}

impl Deref for Container<'_> {
    type Target = Session;
    fn deref(&self) -> &Session {
        &self.session
    }
}

impl DerefMut for Container<'_> {
    fn deref_mut(&mut self) -> &mut Session {
        &mut self.session
    }
}

impl Drop for Container<'_> {
    fn drop(&mut self) {
        // A container that could not be created is not there.
        let mut remove = self.engine.command(&self.engine.client);
        let _ = remove.args(["rm", "--force", "--volumes", &self.name]).output();
    }
}

pub struct Pod<'a> {
    engine: &'a Engine,
    name: &'static str,
}

impl Pod<'_> {
    pub fn listen_to(&self, container: &str) -> Session {
        self.engine.listen("logs --follow", &[container])
    }

    /// With the time-out, as `kube play` has no ear for terminationGracePeriodSeconds.
    /// Not for a pod that shares its processes: podman 4.3 asks all its
    /// containers at once, and when the first one ends, PID 1, the kernel kills the
    /// others.
    pub fn stop(&self, seconds: u32) {
        self.engine.call(&format!("pod stop --time {seconds} {}", self.name));
    }

    /// How a container of it that has ended did. Not by way of `listen_to`, which
    /// may lose the last lines.
    pub fn end_of(&self, container: &str) -> End {
        let code = self.engine.call(&format!("wait {container}")).parse().unwrap();
        End { code, ..self.engine.listen("logs", &[container]).end() }
    }
}

impl Drop for Pod<'_> {
    fn drop(&mut self) {
        let mut remove = self.engine.command(&self.engine.client);
        let _ = remove.args(["pod", "rm", "--force", "--time", "0", self.name]).output();
    }
}
