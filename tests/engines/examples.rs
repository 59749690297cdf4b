//! What is in examples/, and Dockerfile.example, as they are: built, run and
//! stopped, with the software that they are for where that is possible.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::docker::drains;
use crate::engine::{AMPLE, Engine, HOST, WORKER, docker, podman};
use crate::gate::{A_WHILE, Gate};
use crate::machine::{TempDir, installed};
use crate::pages::release;

const COMPOSE: &str = include_str!("../../examples/compose.yaml");
const KUBERNETES: &str = include_str!("../../examples/kubernetes.yaml");
const ECS: &str = include_str!("../../examples/ecs-task.json");
const LARAVEL: &str = include_str!("../../examples/Dockerfile.laravel");
const SIDEKIQ: &str = include_str!("../../examples/Dockerfile.sidekiq");
const REPOSITORY: &str = env!("CARGO_MANIFEST_DIR");

fn build(engine: &Engine, dockerfile: &str, base: &str, tag: &str) {
    let context = TempDir::with(&[("Dockerfile", dockerfile)]);
    release(engine);
    let arguments = format!("--build-arg BASE_IMAGE={base} --network none --tag {tag}");
    engine.call(&format!("build {arguments} {}", context.display()));
}

/// As it is, cargo and all: the build stage's image is the host's toolchain and
/// the crates that it has already. podman, whose `build` can mount them.
#[test]
fn dockerfile_example() {
    let podman = podman();
    let sysroot = output("rustc", &["--print", "sysroot"]);
    let cargo_home = std::env::var("CARGO_HOME")
        .unwrap_or_else(|_| format!("{}/.cargo", std::env::var("HOME").unwrap()));
    let env =
        [&format!("PATH={sysroot}/bin:/usr/bin"), "CARGO_HOME=/cargo", "CARGO_NET_OFFLINE=true"];
    let env: String = env.iter().map(|env| format!("--change ENV={env} ")).collect();
    podman.import(&env, &podman.dir.join("host"), "rust");
    podman.call(&format!(
        "build --file {REPOSITORY}/Dockerfile.example --network none --tag example \
         --build-arg BUILD_IMAGE=localhost/rust --build-arg BASE_IMAGE=localhost/busybox \
         {HOST} --volume {sysroot}:{sysroot}:ro --volume {cargo_home}/registry:/cargo/registry:ro \
         {REPOSITORY}"
    ));
    let mut container = podman.run("example", &[]);
    container.says("working");
    container.stop(AMPLE);
    assert_eq!(container.end().code, 143);
    drains(podman.run("example", WORKER));
}

fn output(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

#[test]
fn dockerfile_laravel() {
    const BATCHES: usize = 3;
    installed("php", "php-cli");
    let docker = docker();
    build(&docker, LARAVEL, "host", "scheduler");
    let app = TempDir::with(&[
        ("artisan", include_str!("../incidents/laravel/artisan")),
        ("config/app.php", include_str!("../incidents/laravel/config/app.php")),
        ("config/cache.php", include_str!("../incidents/laravel/config/cache.php")),
        ("bootstrap/cache/.keep", ""),
    ]);
    let gate = Gate::at(&app);
    let mut container = docker.run(
        &format!(
            "{HOST} --volume /etc/php:/etc/php:ro --volume {}:/app \
             --env DRAINIT_VERBOSITY=1 scheduler",
            app.display()
        ),
        &[],
    );
    let batches = gate.admit(BATCHES);
    let stop = container.begin_stop(AMPLE);
    container.says("received SIGTERM");
    batches.have_left(A_WHILE);
    let end = container.end();
    drop(stop);
    assert_eq!(end.code, 143, "{end}");
    let finished = fs::read_to_string(app.join("finished")).unwrap_or_default();
    assert_eq!(finished.lines().count(), BATCHES, "{end}");
    let locks = output("find", &[&app.join("storage/locks").display().to_string(), "-type", "f"]);
    assert_eq!(locks, "", "{end}");
}

/// Below a shell, with which every other init loses them all. Redis is where the
/// jobs are accounted for, in a container of its own.
#[test]
fn dockerfile_sidekiq() {
    const JOBS: usize = 5;
    installed("sidekiq", "ruby-sidekiq");
    installed("redis-server", "redis-server");
    let docker = docker();
    build(&docker, SIDEKIQ, "host", "worker");
    let app = TempDir::with(&[("work.rb", include_str!("../incidents/sidekiq/work.rb"))]);
    let gate = Gate::at(&app);
    let mounts = format!("{HOST} --volume {}:/app --workdir /app", app.display());

    let redis = ["redis-server", "--port", "0", "--unixsocket", "redis", "--save", ""];
    let mut redis = docker.run(&format!("{mounts} host"), &redis);
    redis.says("ready to accept connections");
    let mut container = docker.run(
        &format!("{mounts} --env DRAINIT_VERBOSITY=1 worker"),
        &["sh", "-c", "echo before; sidekiq -r./work.rb; echo after"],
    );
    let jobs = gate.admit(JOBS);
    let stop = container.begin_stop(AMPLE);
    container.says("received SIGTERM");
    jobs.have_left(A_WHILE);
    let end = container.end();
    drop(stop);
    assert_eq!(end.code, 143, "{end}");
    let finished = redis.exec("redis-cli -s redis scard finished").end();
    assert_eq!(finished.transcript.trim(), JOBS.to_string(), "{end}");
}

#[test]
fn compose() {
    installed("docker-compose", "docker-compose");
    let docker = docker();
    build(&docker, SIDEKIQ, "busybox", "my-worker");
    let ours = format!("services: {{ worker: {{ network_mode: none, command: {WORKER:?} }} }}");
    let dir = TempDir::with(&[("compose.yaml", COMPOSE), ("ours.yaml", &ours)]);
    let client = ["docker-compose", "--project-name", "example", "--file"].map(String::from);
    let file = |name| dir.join(name).display().to_string();
    let client =
        [&client[..], &[file("compose.yaml"), "--file".into(), file("ours.yaml")]].concat();
    let compose = |command| docker.call_other(&client, command);

    compose("up --detach");
    let id = compose("ps --quiet");
    let mut worker = docker.listen("logs --follow", &[&id]);
    worker.says("ready");
    let inspect = |field| docker.call(&format!("inspect --format {{{{{field}}}}} {id}"));
    assert_eq!(inspect(".Config.StopTimeout"), "30");
    compose("stop");
    assert_eq!(inspect(".State.ExitCode"), "143");
    let end = docker.listen("logs", &[&id]).end();
    assert!(end.transcript.contains("saved"), "{end}");
    compose("down");
}

/// All but the kubelet's part: the file for the termination message, and the
/// grace period, which podman takes from its own command line only.
#[test]
fn kubernetes() {
    let podman = podman();
    build(&podman, SIDEKIQ, "localhost/busybox", "my-worker");
    let dir = TempDir::with(&[("termination-log", "")]);
    let log = dir.join("termination-log");
    fs::set_permissions(&log, Permissions::from_mode(0o666)).unwrap();
    let adapted = [
        ("replicas: 4", "replicas: 1".into()),
        ("registry.example.com/my-worker:1", "localhost/my-worker".into()),
        (r#"["bundle", "exec", "sidekiq", "-t", "20"]"#, format!("{WORKER:?}")),
        (
            "terminationMessagePolicy: File",
            "volumeMounts: [{ name: log, mountPath: /dev/termination-log }]".into(),
        ),
        (
            "terminationGracePeriodSeconds: 30",
            format!(
                "volumes: [{{ name: log, hostPath: {{ path: {}, type: File }} }}]",
                log.display()
            ),
        ),
    ];
    let manifest = adapted.iter().fold(KUBERNETES.to_owned(), |manifest, (theirs, ours)| {
        assert!(manifest.contains(theirs), "{theirs}");
        manifest.replace(theirs, ours)
    });
    let pod = podman.play("worker-pod-0", &manifest);
    let mut worker = pod.listen_to("worker-pod-0-worker");
    worker.says("ready");
    let status = podman.call("exec worker-pod-0-worker /bin/cat /proc/1/status");
    for fact in ["Uid:\t1000", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1"] {
        assert!(status.contains(fact), "{fact} {status}");
    }
    pod.stop(AMPLE);
    let end = pod.end_of("worker-pod-0-worker");
    assert!(end.transcript.contains("saved"), "{end}");
    assert_eq!(end.code, 143, "{end}");
    let report = fs::read_to_string(log).unwrap();
    assert!(report.contains("finished"), "{report}");
}

#[test]
fn ecs() {
    installed("jq", "jq");
    let file = Path::new(REPOSITORY).join("examples/ecs-task.json");
    let time_out = output("jq", &[".containerDefinitions[].stopTimeout", file.to_str().unwrap()]);
    assert_eq!(time_out, "30");

    let aws = format!("{REPOSITORY}/target/aws/bin/aws");
    let input = format!("file://{}", file.display());
    let words = ["ecs", "register-task-definition", "--cli-input-json", &input];
    output(
        &aws,
        &[&words[..], &["--region", "eu-central-1", "--generate-cli-skeleton", "output"]].concat(),
    );
}

/// The application's own, the grace period, the orchestrator's.
#[test]
fn the_time_outs_are_in_order() {
    for (text, keys) in [
        (COMPOSE, [r#""-t", ""#, "DRAINIT_GRACE: ", "    stop_grace_period: "].as_slice()),
        (
            KUBERNETES,
            &[r#""-t", ""#, "GRACE\n          value: ", "      terminationGracePeriodSeconds: "],
        ),
        (ECS, &[r#""-t", ""#, r#"GRACE", "value": ""#, r#""stopTimeout": "#]),
        (LARAVEL, &["DRAINIT_GRACE=", "docker stop -t "]),
        (SIDEKIQ, &[r#""-t", ""#, "DRAINIT_GRACE=", "docker stop -t "]),
    ] {
        let values: Vec<u32> = keys.iter().map(|key| number_after(text, key)).collect();
        assert!(values.is_sorted_by(|a, b| a < b), "{values:?} in {text}");
    }
}

fn number_after(text: &str, key: &str) -> u32 {
    let (_, value) = text.split_once(key).unwrap_or_else(|| panic!("no {key:?} in {text}"));
    let digits = value.find(|c: char| !c.is_ascii_digit()).unwrap();
    value[..digits].parse().unwrap_or_else(|_| panic!("no number after {key:?} in {text}"))
}
