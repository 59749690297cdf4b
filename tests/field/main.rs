//! `--signal-to app` with the real software, in the shapes in which people start
//! it; each with the init that loses the work there, as a control.
//!
//! Needs root and, from Debian 12: ruby, php-cli, python3, nodejs with npm, celery,
//! python3-redis, redis-server, gunicorn, socat, cron, time, golang-go.

// A test that cannot go on panics.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice
)]

#[path = "../it/harness.rs"]
#[allow(dead_code)] // the integration tests use all of it
mod harness;
#[path = "../common/redis.rs"]
mod redis;

use harness::{Run, Scene, TempDir, children, drainit, installed, peer, rounds, status_field};
use redis::Redis;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

const AMPLE: Duration = Duration::from_secs(90);
const FILES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/field");

/// Debian's own programs, whatever else is on the machine.
fn debian(init: Scene) -> Scene {
    init.guard(AMPLE).env("HOME", "/tmp").env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
}

fn app() -> Scene {
    debian(drainit(&["--signal-to", "app"]))
}

fn group() -> Scene {
    debian(drainit(&[]))
}

fn tini() -> Scene {
    debian(peer(&["tini", "--"]))
}

/// Whether a worker that says `ready` and, once asked, `saved`, gets to that, well
/// before a last call.
fn saves(init: Scene, script: &str) -> bool {
    let mut run = init.sh(&format!("cd {FILES}; {script}"));
    run.hears("ready");
    let begun = Instant::now();
    run.signal(libc::SIGTERM);
    let end = run.ends();
    assert!(begun.elapsed() < Duration::from_secs(15), "it waited: {end:?}");
    end.has("saved")
}

#[test]
fn a_pipeline_in_four_languages() {
    for worker in ["ruby worker.rb", "python3 worker.py", "php worker.php", "node worker.js"] {
        installed(worker.split(' ').next().unwrap(), "ruby python3 php-cli nodejs");
        let script = format!("{worker} 2>&1 | tee /dev/null");
        assert!(saves(app(), &script), "{worker}");
        assert!(!saves(tini(), &script), "control: {worker}");
        assert!(!saves(group(), &script), "control: {worker}");
    }
}

#[test]
fn a_script_that_passes_the_signal_on_to_node() {
    let script = "trap 'kill -TERM $pid; wait $pid; exit' TERM; node worker.js & pid=$!; wait $pid";
    let rounds = rounds() / 4;
    for shell in ["bash", "dash", "busybox sh"] {
        let script = format!("exec {shell} -c \"{}\"", script.replace('$', "\\$"));
        let lost = (0..rounds.div_ceil(3)).filter(|_| !saves(app(), &script)).count();
        assert_eq!(lost, 0, "{shell}");
    }
    // Twice, under group: the second once the first has been taken, else they are one.
    let later = script.replace("kill -TERM", "sleep 0.5; kill -TERM");
    assert!(saves(app(), &later));
    assert!((0..rounds).any(|_| !saves(group(), &later)), "control: twice, under group");
}

#[test]
fn npm_and_npx() {
    installed("npm", "nodejs npm");
    let package = r#"{"name":"x","version":"1.0.0","scripts":{"start":"node worker.js","exec":"exec node worker.js"}}"#;
    let dir = TempDir::with(&[("package.json", package), ("worker.js", include_str!("worker.js"))]);
    for command in
        ["npm start", "npm run exec", "npx -c 'node worker.js'", "sh -c 'npm start; true'"]
    {
        let script = format!("cd {}; exec {command}", dir.display());
        let init = |scene: Scene| scene.env("npm_config_update_notifier", "false");
        assert!(saves(init(app()), &script), "{command}");
        if command == "npm start" {
            assert!(!saves(init(tini()), &script), "control: {command}");
        }
    }
}

#[test]
fn su_and_runuser_and_setsid_and_flock_and_time_and_go() {
    installed("time", "time");
    installed("go", "golang-go");
    assert!(saves(app(), "exec go run worker.go"));
    assert!(!saves(tini(), "exec go run worker.go"), "control");
    for command in [
        "su -s /bin/sh nobody -c",
        "runuser -u nobody -- sh -c",
        "setsid --wait sh -c",
        "flock . sh -c",
        "time sh -c",
    ] {
        assert!(saves(app(), &format!("exec {command} 'exec python3 worker.py'")), "{command}");
    }
    // su kills after 2 s what it was told to end; the worker needs 1: tini lets it.
    assert!(!saves(tini(), "setsid --wait python3 worker.py; true"), "control");
}

/// An application that saves its work through a proxy.
const SAVES_THROUGH_PROXY: &str = "
import signal, socket, sys, time
def read():
    connection = socket.create_connection(('127.0.0.1', PORT), 2)
    return connection.recv(9).decode()
def save(*_):
    time.sleep(0.5)
    print(read(), flush=True)
    sys.exit(0)
signal.signal(signal.SIGTERM, save)
while True:
    try:
        read()
        break
    except OSError:
        time.sleep(0.05)
print('ready', flush=True)
while True:
    time.sleep(1)
";

#[test]
fn a_proxy_beside_the_application() {
    installed("socat", "socat");
    let port = free_port();
    let save = SAVES_THROUGH_PROXY.replace("PORT", &port.to_string());
    let script = format!(
        "socat TCP-LISTEN:{port},bind=127.0.0.1,fork,reuseaddr SYSTEM:'echo saved' & python3 -c \"$SAVE\"; true"
    );
    assert!(saves(app().env("SAVE", &save), &script));
    assert!(!saves(group().env("SAVE", &save), &script), "control: group tells the proxy too");
}

#[test]
fn cron_and_its_job() {
    installed("cron", "cron");
    let job = |init: Scene| {
        let dir = TempDir::new();
        let path = dir.display();
        fs::write(
            dir.join("job"),
            format!("* * * * * root touch {path}/started; sleep 3; touch {path}/done\n"),
        )
        .unwrap();
        let mounts = format!(
            "mkdir {path}/cron.d && mv {path}/job {path}/cron.d/ && chmod 644 {path}/cron.d/job &&
             mount --bind {path}/cron.d /etc/cron.d && mount -t tmpfs none /run && exec cron -f"
        );
        let mut run = init.sh(&mounts);
        run.until("the job runs", |_| dir.join("started").exists());
        run.signal(libc::SIGTERM);
        run.ends();
        dir.join("done").exists()
    };
    // Both in the same minute.
    let control = thread::spawn(move || job(tini()));
    assert!(job(app()));
    assert!(!control.join().unwrap(), "control: cut with the namespace");
}

#[test]
fn what_a_health_check_left_behind_holds_up_no_stop() {
    let mut run = app().sh("echo ready; exec sleep 1000");
    run.hears("ready");
    run.until("the main child sleeps", |run| status_field(run.main_child(), "Name") == "sleep");
    let init = run.init().to_string();
    let check =
        ["--pid", "--mount", "--target", &init, "--", "setsid", "sh", "-c", "sleep 300 & true"];
    assert!(Command::new("nsenter").args(check).status().unwrap().success());
    run.until("it was adopted", |run| children(run.init()).len() == 2);
    let begun = Instant::now();
    run.signal(libc::SIGTERM);
    let end = run.ends();
    assert!(begun.elapsed() < Duration::from_secs(10), "{end:?}");
    assert!(end.said.is_empty(), "{end:?}");
}

/// Whether both of two requests are answered, the first over a reload.
fn gunicorn(init: Scene) -> bool {
    let port = free_port();
    let mut run = init.sh(&format!("cd {FILES}; exec gunicorn -w 2 -b 127.0.0.1:{port} wsgi:app"));
    until_served(&mut run, port);
    let slow = move || get(port, "/slow").is_some_and(|answer| answer.ends_with("fine"));
    let first = thread::spawn(slow);
    thread::sleep(Duration::from_millis(300)); // the request is in hand
    run.signal(libc::SIGHUP);
    let first = first.join().unwrap();
    until_served(&mut run, port);
    let second = thread::spawn(slow);
    thread::sleep(Duration::from_millis(300));
    run.signal(libc::SIGTERM);
    run.ends();
    let second = second.join().unwrap();
    first && second
}

#[test]
fn gunicorn_reloads_and_stops() {
    installed("gunicorn", "gunicorn");
    assert!(gunicorn(app()));
    assert!(!gunicorn(group()), "control: its workers take HUP for an end");
}

/// How many of the jobs, one in each queue, are done after the stop.
fn celery(init: Scene, queues: &[&str], script: &str) -> usize {
    let dir = TempDir::with(&[("jobs.py", include_str!("jobs.py"))]);
    let _redis = Redis::at(&dir);
    let broker = format!("redis+socket://{}/redis", dir.display());
    let worker = "celery -A jobs worker -c 2 --without-mingle --without-gossip";
    let script = script.replace("WORKER", worker);
    let mut run = init
        .env("BROKER", &broker)
        .env("C_FORCE_ROOT", "1")
        .sh(&format!("cd {}; {script}", dir.display()));
    for queue in queues {
        let send = format!("import jobs; jobs.work.apply_async(('{queue}',), queue='{queue}')");
        let mut python = Command::new("/usr/bin/python3");
        python.args(["-c", &send]).current_dir(&*dir).env("BROKER", &broker);
        assert!(python.status().unwrap().success());
    }
    let there = |what: &str, queue: &str| dir.join(format!("{what}.{queue}")).exists();
    run.until("the jobs run", |_| queues.iter().all(|queue| there("started", queue)));
    let stopped = SystemTime::now();
    run.signal(libc::SIGTERM);
    let end = run.ends();
    let done = queues.iter().filter(|queue| there("done", queue));
    done.inspect(|queue| {
        // Not by the grace of the last call. (Celery 5.2 itself may hang after that.)
        let written = fs::metadata(dir.join(format!("done.{queue}"))).unwrap().modified();
        let took = written.unwrap().duration_since(stopped).unwrap_or_default();
        assert!(took < Duration::from_secs(10), "{took:?}: {end:?}");
    })
    .count()
}

#[test]
fn celery_in_its_shapes() {
    installed("celery", "celery");
    let one = ["a"];
    assert_eq!(celery(app(), &one, "exec WORKER -Q a"), 1, "exec form");
    assert_eq!(celery(group(), &one, "exec WORKER -Q a"), 0, "control: its pool is told as well");
    let two = "WORKER -n a@x -Q a & WORKER -n b@x -Q b & wait";
    assert_eq!(celery(app(), &["a", "b"], two), 2, "two of them, with wait");
    let detached =
        "WORKER --detach -Q a --pidfile=$PWD/pid --logfile=$PWD/log; exec tail -f /dev/null";
    assert_eq!(celery(app(), &one, detached), 1, "detached");
    assert_eq!(celery(tini(), &one, detached), 0, "control");
}

fn free_port() -> u16 {
    std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}

fn get(port: u16, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    write!(stream, "GET {path} HTTP/1.0\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}

fn until_served(run: &mut Run, port: u16) {
    run.until("it serves", |_| get(port, "/").is_some_and(|answer| answer.ends_with("fine")));
}
