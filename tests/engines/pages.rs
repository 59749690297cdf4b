//! docs/ and the README, followed: what their fences say is written, typed and
//! stopped, with the real software and work in flight. Nothing of it is copied
//! here, and a section that nobody follows fails.

use std::cell::RefCell;
use std::fs::{self, Permissions};
use std::io::{Read, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::engine::{Engine, docker, podman};
use crate::gate::{A_WHILE, Gate, Jobs};
use crate::machine::{DRAINIT, TempDir, installed};
use crate::page::{Section, sections};
use crate::redis::Redis;

const REPOSITORY: &str = env!("CARGO_MANIFEST_DIR");
const VERSION: &str = env!("CARGO_PKG_VERSION");

const BASH: &str = "CMD [\"bash\"]";

/// The pages share the names of their images.
static ON_DOCKER: Mutex<()> = Mutex::new(());

#[test]
fn readme() {
    let _alone = ON_DOCKER.lock();
    let docker = docker();
    set_up(&docker);
    for section in sections("README.md") {
        let reader = Reader::of(&docker, &section);
        match section.title.as_str() {
            "drainit" => demo(&section),
            "In a container" => {
                reader.has_the_release();
                reader.follow("my-container", || reader.is_ready("my-container", "working"));
                reader.has_removed("my-container");
            }
            title => panic!("nobody follows {title:?}"),
        }
    }
}

/// Whatever else has lines to type has a test here, too.
#[test]
fn no_other_page_has_lines_to_type() {
    const FOLLOWED: [&str; 4] = ["docker.md", "kubernetes.md", "ecs.md", "running-again.md"];
    for page in fs::read_dir(Path::new(REPOSITORY).join("docs")).unwrap() {
        let page = page.unwrap().path();
        let types = fs::read_to_string(&page).unwrap().contains("```sh");
        let followed = FOLLOWED.iter().any(|name| page.ends_with(name));
        assert_eq!(types, followed, "{page:?}");
    }
}

/// The README's output is the script's. Without tini there is a comparison, too.
fn demo(section: &Section) {
    installed("tini", "tini");
    let script = section.commands[0].rsplit_once("&& ").unwrap().1;
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let run = |path: &str| {
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", script]).current_dir(REPOSITORY).env("PATH", path);
        shell.env_remove("DRAINIT_COMMIT"); // a build's, and drainit would say so
        String::from_utf8(shell.output().unwrap().stdout).unwrap()
    };
    let said = run(&std::env::var("PATH").unwrap());
    assert_eq!(words(&said), words(&section.prints.join("\n")), "{said}");

    let bin = TempDir::new();
    for program in ["sh", "dirname", "unshare", "setsid", "sleep", "mktemp", "rm", "pr", "expand"] {
        symlink(Path::new("/usr/bin").join(program), bin.join(program)).unwrap();
    }
    let theirs = "drainit --leftovers leave";
    let without = run(bin.to_str().unwrap());
    assert_eq!(words(&without.replace(theirs, "tini -g --")), words(&said), "{without}");
}

#[test]
fn docker_page() {
    let _alone = ON_DOCKER.lock();
    let docker = docker();
    set_up(&docker);
    for section in sections("docs/docker.md") {
        let reader = Reader::of(&docker, &section);
        match section.title.as_str() {
            "Get the image" => {
                reader.has_the_release();
                reader.follow_all();
            }
            "A first stop" => reader.follow("first", || reader.is_ready("first", "ready")),
            "What would a stop do?" => {
                reader.follow("explained", || reader.is_ready("explained", "ready"));
            }
            "Laravel's scheduler" => laravel(&reader, "scheduler"),
            "Celery" => celery(&reader, "celery"),
            "Sidekiq" => sidekiq(&reader, "sidekiq"),
            "nginx" => nginx(&reader, "web"),
            "php-fpm" => php_fpm(&reader, "fpm"),
            "An entry-point script that is there already" => {
                reader.follow("scripted", || reader.is_ready("scripted", "ready"));
            }
            "An image that keeps the command of the one below" => reader.follow_all(),
            "Shell form" => {
                reader.follow_all();
                assert_eq!(reader.printed.borrow().matches("something else").count(), 1);
            }
            "A terminal" => reader.follow_all(),
            "compose" | "With `init: true`, or `docker run --init`" => compose(&reader),
            title => panic!("nobody follows {title:?}"),
        }
    }
}

#[test]
fn kubernetes_page() {
    let podman = podman();
    set_up(&podman);
    for section in sections("docs/kubernetes.md") {
        let reader = Reader::of(&podman, &section);
        match section.title.as_str() {
            "drainit with Kubernetes" => {}
            "Get the image" => {
                reader.has_the_release();
                reader.follow_all();
            }
            "Laravel's scheduler" => laravel(&reader, "scheduler-pod-0-scheduler"),
            "Celery" => celery(&reader, "celery-pod-0-celery"),
            "Sidekiq, and the termination message" => {
                sidekiq(&reader, "sidekiq-pod-0-sidekiq");
                let message = fs::read_to_string(reader.app.join("termination-log")).unwrap();
                assert!(message.contains("exit code 0"), "{message:?}");
            }
            "nginx and php-fpm" => nginx(&reader, "web-pod-0-web"),
            "An image that you cannot change" => {
                reader.follow("unchanged-app", || reader.is_ready("unchanged-app", "ready"));
            }
            "What would a stop do?" => {
                reader.follow("explained-app", || reader.is_ready("explained-app", "ready"));
            }
            title => panic!("nobody follows {title:?}"),
        }
    }
}

#[test]
fn ecs_page() {
    let _alone = ON_DOCKER.lock();
    let docker = docker();
    set_up(&docker);
    for section in sections("docs/ecs.md") {
        let reader = Reader::of(&docker, &section);
        match section.title.as_str() {
            "Get the image" => {
                reader.has_the_release();
                reader.follow_all();
            }
            "A worker" => sidekiq(&reader, "worker"),
            "Laravel's scheduler" => laravel(&reader, "scheduler"),
            "An image in shell form" => {
                reader.follow_all();
                let task = reader.task();
                assert_eq!(reader.types(&task).trim(), "from the task: 8080");
            }
            title => panic!("nobody follows {title:?}"),
        }
    }
}

#[test]
fn running_again_page() {
    let _alone = ON_DOCKER.lock();
    let docker = docker();
    set_up(&docker);
    for section in sections("docs/running-again.md") {
        let reader = Reader::of(&docker, &section);
        match section.title.as_str() {
            "A worker that finishes its work at SIGTERM" => {
                let handler =
                    "<?php pcntl_async_signals(true); pcntl_signal(SIGTERM, fn() => null);";
                again(&reader, "again", &JOB_PHP.replace("<?php", handler));
            }
            "A worker that SIGTERM would kill" => again(&reader, "unasked", JOB_PHP),
            title => panic!("nobody follows {title:?}"),
        }
    }
}

const JOB_PHP: &str = r#"<?php
$seconds = fgets(stream_socket_client('unix:///app/gate'));
for ($end = microtime(true) + $seconds; microtime(true) < $end;) usleep(10_000);
file_put_contents('/app/finished', "done\n", FILE_APPEND);
"#;

/// Each run finishes, the one in hand, too.
fn again(reader: &Reader, container: &str, job: &str) {
    const RUNS: usize = 5;
    installed("php", "php-cli");
    reader.has_application(&[("job.php", job)]);
    let gate = reader.gate();
    reader.follow(container, || {
        for _ in 1..RUNS {
            gate.admit(1).have_left(Some(0.1));
        }
        Some(gate.admit(1))
    });
    assert_eq!(finished(reader), RUNS, "{}", reader.said());
}

/// What the pages take for given. In the place of images from a registry are those
/// with this machine's software.
fn set_up(engine: &Engine) {
    release(engine);
    image(engine, "docker.io/library/debian:bookworm-slim", BASH, Path::new("/var/empty"), &[]);
}

/// As the release's image has it: drainit to copy from.
pub fn release(engine: &Engine) {
    let root = TempDir::new();
    fs::copy(DRAINIT, root.join("drainit")).unwrap();
    build(engine, &root, "ENTRYPOINT [\"/drainit\"]", &format!("drainit:{VERSION}"));
}

/// Software of the host, the application in `app`, and `files`.
fn image(engine: &Engine, name: &str, changes: &str, app: &Path, files: &[(&str, &str)]) {
    const SHARED: [&str; 6] =
        ["/usr/bin", "/usr/sbin", "/usr/lib", "/usr/lib64", "/usr/share", "/etc/alternatives"];
    let root = TempDir::with(files);
    let shared = SHARED.iter().copied().chain(["/etc/php"]).filter(|dir| Path::new(dir).exists());
    let mut mounts: Vec<String> = shared
        .map(|dir| {
            fs::create_dir_all(root.join(&dir[1..])).unwrap();
            format!(
                r#"{{"destination": "{dir}", "source": "{dir}", "type": "bind", "options": ["rbind", "ro"]}}"#
            )
        })
        .collect();
    for dir in ["app", "tmp", "etc", "usr/local/bin", "usr/local/sbin"] {
        fs::create_dir_all(root.join(dir)).unwrap();
    }
    let mut bind = |source: PathBuf, destination: &str| {
        if source.exists() {
            mounts.push(format!(
                r#"{{"destination": "{destination}", "source": "{}", "type": "bind", "options": ["rbind", "rw"]}}"#,
                source.display()
            ));
        }
    };
    bind(app.to_path_buf(), "/app");
    // The kubelet's part.
    bind(app.join("termination-log"), "/dev/termination-log");
    fs::create_dir(root.join("sbin")).unwrap(); // where an engine puts its init
    for link in ["bin", "lib", "lib64"] {
        symlink(format!("usr/{link}"), root.join(link)).unwrap();
    }
    for file in ["etc/passwd", "etc/group"] {
        fs::copy(Path::new("/").join(file), root.join(file)).unwrap();
    }
    fs::set_permissions(root.join("tmp"), Permissions::from_mode(0o1777)).unwrap();
    // So that a test sees when the stop has come.
    let env = if mounts.len() > SHARED.len() + 1 { r#""DRAINIT_VERBOSITY=1""# } else { "" };
    let host = format!(r#"{{"mounts": [{}], "env": [{env}]}}"#, mounts.join(", "));
    fs::write(root.join(".host"), host).unwrap();
    build(engine, &root, changes, name);
}

/// An image of the directory `root`, with the Dockerfile's lines `changes`.
fn build(engine: &Engine, root: &Path, changes: &str, name: &str) {
    let dockerfile = format!(
        "FROM scratch\nADD root.tar /\n\
         ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin\n{changes}\n"
    );
    let context = TempDir::with(&[("Dockerfile", &dockerfile)]);
    let tar = context.join("root.tar");
    let packed = Command::new("tar").arg("-cf").arg(tar).arg("-C").arg(root).arg(".").status();
    assert!(packed.unwrap().success());
    engine.call(&format!("build --network none --tag {name} {}", context.display()));
}

/// Who follows a section, in a folder of their own.
struct Reader<'a> {
    engine: &'a Engine,
    section: &'a Section,
    dir: TempDir,
    app: TempDir,
    /// Lines typed, and all that was printed.
    said: RefCell<String>,
    printed: RefCell<String>,
}

impl<'a> Reader<'a> {
    fn of(engine: &'a Engine, section: &'a Section) -> Self {
        let files: Vec<(&str, &str)> =
            section.files.iter().map(|(name, text)| (&name[..], &text[..])).collect();
        let dir = TempDir::with(&files);
        let app = TempDir::with(&[("termination-log", "")]);
        for path in [app.to_path_buf(), app.join("termination-log")] {
            fs::set_permissions(path, Permissions::from_mode(0o777)).unwrap();
        }
        Reader { engine, section, dir, app, said: RefCell::default(), printed: RefCell::default() }
    }

    /// The image `my-application`, with `files` in /app.
    fn has_application(&self, files: &[(&str, &str)]) {
        self.has_image("my-application", BASH, files, &[]);
    }

    fn has_image(&self, name: &str, changes: &str, app: &[(&str, &str)], files: &[(&str, &str)]) {
        for (name, contents) in app {
            let file = self.app.join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(&file, contents).unwrap();
        }
        let all = Command::new("chmod").args(["-R", "a+rwX"]).arg(&*self.app).status();
        assert!(all.unwrap().success());
        image(self.engine, name, changes, &self.app, files);
    }

    /// Where jobs report, whoever they run as.
    fn gate(&self) -> Gate {
        let gate = Gate::at(&self.app);
        fs::set_permissions(self.app.join("gate"), Permissions::from_mode(0o777)).unwrap();
        gate
    }

    /// The files of dist/out.
    fn has_the_release(&self) {
        let out = Path::new(REPOSITORY).join("dist/out");
        let image = format!("drainit-{VERSION}-image.tar");
        let there = fs::copy(out.join(&image), self.dir.join(image));
        there.expect("run dist/tools and dist/build");
    }

    fn follow_all(&self) {
        self.follow("", || unreachable!("a stop in {:?}", self.section.title));
    }

    /// Types all lines. Before the first one that stops `container`, or looks into it,
    /// something is in flight there, which then has a while to finish.
    fn follow(&self, container: &str, in_flight: impl FnOnce() -> Option<Jobs>) {
        let mut in_flight = Some(in_flight).filter(|_| !container.is_empty());
        let mut terminals = Vec::new();
        for line in &self.section.commands {
            if line.contains(" -it ") {
                let mut terminal = self.engine.shell_on_terminal(&self.dir, line);
                terminal.says("# ");
                terminals.push(terminal);
                continue;
            }
            match in_flight.take_if(|_| line.contains(" stop") || line.contains(" exec ")) {
                Some(in_flight) => self.stops(line, container, in_flight()),
                None => drop(self.types(line)),
            }
        }
        for mut terminal in terminals {
            terminal.end();
        }
        for line in &self.section.prints {
            assert!(self.has_printed(line), "never said {line:?}\n{}", self.said());
        }
        // What the section of a task says is ECS's to do.
        if let Some(in_flight) = in_flight {
            self.types(&self.task());
            self.stops(&format!("docker stop {container}"), container, in_flight());
            self.types(&format!("docker rm {container}"));
        }
    }

    /// A whole line, but for what '…' stands for.
    fn has_printed(&self, line: &str) -> bool {
        let printed = self.printed.borrow();
        let matches = |printed: &str| {
            let mut rest = Some(printed);
            let mut pieces = line.split('…');
            rest = rest.and_then(|rest| rest.strip_prefix(pieces.next()?));
            let mut open = false;
            for piece in pieces {
                rest = rest.and_then(|rest| rest.split_once(piece)).map(|(_, rest)| rest);
                open = piece.is_empty();
            }
            rest.is_some_and(|rest| open || rest.is_empty())
        };
        printed.lines().map(str::trim_end).any(matches)
    }

    fn types(&self, line: &str) -> String {
        let output = self.shell(line).output().unwrap();
        self.ends(line, output)
    }

    fn ends(&self, line: &str, output: std::process::Output) -> String {
        let both = [&output.stdout[..], &output.stderr].concat();
        let text = String::from_utf8_lossy(&both);
        *self.said.borrow_mut() += &format!("$ {line}\n{text}");
        // What a builder repeats of a file proves nothing.
        if !line.contains(" build ") && !line.contains(" up ") {
            *self.printed.borrow_mut() += &text;
        }
        assert!(output.status.success(), "{}: {}", self.section.title, self.said());
        String::from_utf8(output.stdout).unwrap()
    }

    fn stops(&self, line: &str, container: &str, jobs: Option<Jobs>) {
        let mut stop = self.shell(line);
        let stop = stop.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        if let Some(jobs) = jobs {
            self.is_ready(container, "received SIG");
            jobs.have_left(A_WHILE);
        }
        self.ends(line, stop.wait_with_output().unwrap());
    }

    fn shell(&self, line: &str) -> Command {
        let mut shell = self.engine.shell(&self.dir, line);
        let own = format!("{REPOSITORY}/target/aws/bin");
        let path = shell.get_envs().find(|(name, _)| *name == "PATH").unwrap().1.unwrap();
        let path = format!("{}:{own}", path.to_str().unwrap());
        shell.env("PATH", path).env("AWS_DEFAULT_REGION", "eu-central-1");
        shell
    }

    /// Waits until `container` has said `words`; no job comes to a gate there.
    fn is_ready(&self, container: &str, words: &str) -> Option<Jobs> {
        let client = if self.engine.is_docker() { "docker" } else { "podman" };
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let logs = self.shell(&format!("{client} logs {container}")).output().unwrap();
            let logs = [&logs.stdout[..], &logs.stderr].concat();
            let logs = String::from_utf8_lossy(&logs);
            if logs.contains(words) {
                return None;
            }
            assert!(Instant::now() < deadline, "{container} never said {words:?}: {logs}");
            thread::sleep(Duration::from_millis(50));
        }
    }

    fn has_removed(&self, container: &str) {
        self.types(&format!("docker rm --force {container}"));
    }

    fn said(&self) -> String {
        self.said.borrow().clone()
    }

    /// The `docker run` that a task definition's container is.
    fn task(&self) -> String {
        installed("jq", "jq");
        let (name, _) =
            self.section.files.iter().find(|(name, _)| name.ends_with(".json")).unwrap();
        let query = r#".containerDefinitions[0] | [
            "docker", "run",
            (if .name == "shell-form" then "--rm" else "--detach" end), "--name", .name,
            "--stop-timeout", .stopTimeout,
            (.environment[] | "--env", "\(.name)=\(.value)"),
            (if .user then "--user", .user else empty end),
            (if .readonlyRootFilesystem then "--read-only" else empty end),
            (.linuxParameters.capabilities.drop // [] | .[] | "--cap-drop", .),
            (if .linuxParameters.initProcessEnabled then "--init" else empty end),
            (if .entryPoint then "--entrypoint", .entryPoint[0] else empty end),
            .image, (.entryPoint // [] | .[1:][]), (.command // [] | .[])
        ] | map(tostring) | @sh"#;
        let file = self.dir.join(name);
        let output = Command::new("jq").args(["--raw-output", query]).arg(file).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }
}

fn laravel(reader: &Reader, container: &str) {
    const BATCHES: usize = 3;
    installed("php", "php-cli");
    reader.has_application(&[
        ("artisan", include_str!("../incidents/laravel/artisan")),
        ("config/app.php", include_str!("../incidents/laravel/config/app.php")),
        ("config/cache.php", include_str!("../incidents/laravel/config/cache.php")),
        ("bootstrap/cache/.keep", ""),
        ("storage/logs/.keep", ""),
    ]);
    let gate = reader.gate();
    reader.follow(container, || Some(gate.admit(BATCHES)));
    assert_eq!(finished(reader), BATCHES, "{}", reader.said());
    let locks =
        Command::new("find").arg(reader.app.join("storage/locks")).args(["-type", "f"]).output();
    assert_eq!(String::from_utf8(locks.unwrap().stdout).unwrap(), "", "locks stay");
}

/// One line a job.
fn finished(reader: &Reader) -> usize {
    fs::read_to_string(reader.app.join("finished")).unwrap_or_default().lines().count()
}

const JOBS_PY: &str = r#"
import celery, socket, time
from celery.signals import worker_ready
app = celery.Celery("jobs", broker="redis+socket:///app/redis")

@app.task
def work(number):
    gate = socket.socket(socket.AF_UNIX)
    gate.connect("/app/gate")
    time.sleep(float(gate.makefile().readline()))
    open("/app/finished", "a").write(f"{number}\n")

@worker_ready.connect
def begin(**_):
    for number in range(2):
        work.delay(number)
"#;

fn celery(reader: &Reader, container: &str) {
    installed("celery", "celery");
    reader.has_application(&[("jobs.py", JOBS_PY)]);
    let _redis = Redis::at(&reader.app);
    let gate = reader.gate();
    reader.follow(container, || Some(gate.admit(2)));
    assert_eq!(finished(reader), 2, "{}", reader.said());
}

fn sidekiq(reader: &Reader, container: &str) {
    const JOBS: usize = 5;
    installed("sidekiq", "ruby-sidekiq");
    reader.has_application(&[("work.rb", include_str!("../incidents/sidekiq/work.rb"))]);
    let _redis = Redis::at(&reader.app);
    let gate = reader.gate();
    reader.follow(container, || Some(gate.admit(JOBS)));
    let finished = Command::new("redis-cli")
        .args(["-s", "redis", "scard", "finished"])
        .current_dir(&*reader.app)
        .output()
        .unwrap();
    assert_eq!(String::from_utf8(finished.stdout).unwrap().trim(), "5", "{}", reader.said());
}

/// What the image of that name has.
const NGINX_IMAGE: &str = r#"
STOPSIGNAL SIGQUIT
ENTRYPOINT ["/docker-entrypoint.sh"]
CMD ["nginx", "-g", "daemon off;"]
"#;
const NGINX_CONF: &str = "
user root;
error_log stderr;
pid /tmp/nginx.pid;
events {}
http {
    access_log off;
    client_body_temp_path /tmp/body;
    proxy_temp_path /tmp/proxy;
    fastcgi_temp_path /tmp/fastcgi;
    uwsgi_temp_path /tmp/uwsgi;
    scgi_temp_path /tmp/scgi;
    server {
        listen unix:/app/socket;
        root /app;
        limit_rate 100k;
    }
}
";
const SIZE: usize = 400_000;

/// A download of four seconds is in flight. SIGTERM is the control: it cuts it.
fn nginx(reader: &Reader, container: &str) {
    installed("nginx", "nginx-light");
    reader.has_image(
        "nginx:1.22",
        NGINX_IMAGE,
        &[("file", &"x".repeat(SIZE))],
        &[
            ("docker-entrypoint.sh", "#!/bin/sh\nexec \"$@\"\n"),
            ("etc/nginx/nginx.conf", NGINX_CONF),
            ("var/log/nginx/.keep", ""),
        ],
    );
    let socket = reader.app.join("socket");
    let download = RefCell::new(None);
    reader.follow(container, || {
        *download.borrow_mut() = Some(Download::begin(&socket));
        None
    });
    assert_eq!(download.take().unwrap().finish(), SIZE, "{}", reader.said());

    if reader.engine.is_docker() {
        let _ = fs::remove_file(&socket); // unless nginx has
        reader.types("docker run --detach --name cut --stop-signal TERM web");
        let download = Download::begin(&socket);
        reader.types("docker stop cut");
        reader.types("docker rm cut");
        assert!(download.finish() < SIZE, "SIGTERM is graceful too?");
    }
}

/// A client that reads what comes.
struct Download(JoinHandle<Vec<u8>>);

impl Download {
    fn begin(socket: &Path) -> Self {
        let mut stream = connect(socket);
        write!(stream, "GET /file HTTP/1.0\r\n\r\n").unwrap();
        let mut answer = vec![0];
        stream.read_exact(&mut answer).unwrap();
        Download(thread::spawn(move || {
            let _ = stream.read_to_end(&mut answer); // a reset is an end, too
            answer
        }))
    }

    /// How much of the file came.
    fn finish(self) -> usize {
        let answer = String::from_utf8(self.0.join().unwrap()).unwrap();
        answer.split_once("\r\n\r\n").map_or(0, |(_, file)| file.len())
    }
}

/// To a server that may not listen yet.
fn connect(socket: &Path) -> UnixStream {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        match UnixStream::connect(socket) {
            Ok(stream) => return stream,
            Err(why) => assert!(Instant::now() < deadline, "{why}"),
        }
        thread::sleep(Duration::from_millis(50));
    }
}

const FPM_IMAGE: &str = r#"
STOPSIGNAL SIGQUIT
ENTRYPOINT ["docker-php-entrypoint"]
CMD ["php-fpm"]
"#;
const FPM_CONF: &str = "
[global]
error_log = /proc/self/fd/2
daemonize = no
include = /usr/local/etc/php-fpm.d/*.conf
";
const FPM_POOL: &str = "
[www]
user = nobody
listen = /app/socket
listen.mode = 0666
pm = static
pm.max_children = 1
";
const SLOW_PHP: &str = r#"<?php
$seconds = fgets(stream_socket_client('unix:///app/gate'));
usleep((int) ($seconds * 1e6));
echo "answered";
"#;

/// A request is in flight. SIGTERM is the control: it cuts it.
fn php_fpm(reader: &Reader, container: &str) {
    installed("php-fpm8.2", "php-fpm");
    installed("cgi-fcgi", "libfcgi-bin");
    reader.has_image(
        "php:8.2-fpm",
        FPM_IMAGE,
        &[("slow.php", SLOW_PHP)],
        &[
            ("usr/local/bin/docker-php-entrypoint", "#!/bin/sh\nexec \"$@\"\n"),
            (
                "usr/local/sbin/php-fpm",
                "#!/bin/sh\nexec php-fpm8.2 --fpm-config /usr/local/etc/php-fpm.conf \"$@\"\n",
            ),
            ("usr/local/etc/php-fpm.conf", FPM_CONF),
            ("usr/local/etc/php-fpm.d/www.conf", FPM_POOL),
        ],
    );
    let gate = reader.gate();
    let request = || {
        let socket = reader.app.join("socket");
        connect(&socket);
        let mut client = Command::new("cgi-fcgi");
        client.args(["-bind", "-connect"]).arg(socket);
        client.envs([("SCRIPT_FILENAME", "/app/slow.php"), ("REQUEST_METHOD", "GET")]);
        client.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let answer = |client: Child| {
        String::from_utf8_lossy(&client.wait_with_output().unwrap().stdout).contains("answered")
    };
    let client = RefCell::new(None);
    reader.follow(container, || {
        *client.borrow_mut() = Some(request());
        Some(gate.admit(1))
    });
    assert!(answer(client.take().unwrap()), "{}", reader.said());

    let _ = fs::remove_file(reader.app.join("socket"));
    reader.types("docker run --detach --name cut --stop-signal TERM fpm");
    let client = request();
    let jobs = gate.admit(1);
    reader.types("docker stop cut");
    reader.types("docker rm cut");
    jobs.have_left(A_WHILE);
    assert!(!answer(client), "SIGTERM is graceful too?");
}

/// No network is needed, and none can be had here.
fn compose(reader: &Reader) {
    installed("docker-compose", "docker-compose");
    fs::write(reader.dir.join("ours.yaml"), "services: { worker: { network_mode: none } }\n")
        .unwrap();
    let name = reader.dir.file_name().unwrap().to_str().unwrap().to_owned();
    let env = format!("COMPOSE_PROJECT_NAME={name}\nCOMPOSE_FILE=compose.yaml:ours.yaml\n");
    fs::write(reader.dir.join(".env"), env).unwrap();
    reader.follow(&format!("{name}_worker_1"), || {
        reader.is_ready(&format!("{name}_worker_1"), "ready")
    });
}
