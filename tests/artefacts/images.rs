//! The image, in the engines that it is for.

use std::fs;

use crate::engine::{AMPLE, Container, Engine, WORKER, docker, podman};
use crate::machine::TempDir;
use crate::{QEMU, VERSION, out, output};

fn drains(mut container: Container) {
    container.says("ready");
    container.stop(AMPLE);
    let end = container.end();
    assert!(end.transcript.contains("saved"), "{end}");
    assert_eq!(end.code, 143, "{end}");
}

/// `image` itself, and what is copied from it into another.
fn works(engine: &Engine, image: &str, base: &str) {
    let version = engine.run(image, &["--version"]).end();
    assert!(version.transcript.starts_with(&format!("drainit {VERSION}")), "{version}");
    let nothing = engine.run(image, &[]).end();
    assert_eq!(nothing.code, 125, "{nothing}");
    assert!(nothing.transcript.starts_with("drainit: "), "{nothing}");

    let dockerfile = format!(
        r#"
        FROM {base}
        COPY --from={image} /drainit /usr/local/bin/drainit
        ENTRYPOINT ["/usr/local/bin/drainit", "--"]
        "#
    );
    let context = TempDir::with(&[("Dockerfile", &dockerfile)]);
    engine.call(&format!("build --network none --tag copied {}", context.display()));
    drains(engine.run("copied", WORKER));
}

/// Below an emulator, for the kernel here is another machine's.
fn works_below_qemu(engine: &Engine, image: &str, base: &str) {
    let dockerfile = format!(
        r#"
        FROM {base}
        COPY --from={image} /drainit /drainit-arm64
        COPY qemu /qemu
        ENTRYPOINT ["/qemu", "/drainit-arm64", "--"]
        "#
    );
    let context = TempDir::with(&[("Dockerfile", &dockerfile)]);
    fs::copy(format!("/usr/bin/{QEMU}"), context.join("qemu")).expect("qemu-user-static");
    engine.call(&format!("build --network none --tag emulated {}", context.display()));
    drains(engine.run("emulated", WORKER));
}

#[test]
fn in_podman() {
    let podman = podman();
    let tar = out(&format!("drainit-{VERSION}-image.tar"));
    podman.call(&format!("load --input {}", tar.display()));
    let image = format!("drainit:{VERSION}");
    let inspected = podman.call(&format!("image inspect {image}"));
    let fact = |name: &str, value: &str| {
        assert!(inspected.contains(&format!("\"{name}\": \"{value}\"")), "{inspected}");
    };
    fact("org.opencontainers.image.version", VERSION);
    fact("Architecture", "amd64");
    works(&podman, &image, "localhost/busybox");

    let other = podman.call(&format!("pull --quiet --arch arm64 oci-archive:{}", tar.display()));
    works_below_qemu(&podman, &other, "localhost/busybox");
}

#[test]
fn in_docker() {
    let docker = docker();
    let tar = out(&format!("drainit-{VERSION}-image.tar"));
    docker.call(&format!("load --input {}", tar.display()));
    works(&docker, &format!("drainit:{VERSION}-amd64"), "busybox");
    works_below_qemu(&docker, &format!("drainit:{VERSION}-arm64"), "busybox");
}

/// One name for both machines, as a registry is given it.
#[test]
fn index() {
    let tar = out(&format!("drainit-{VERSION}-image.tar"));
    let dir = TempDir::new();
    output("tar", &["-xf", tar.to_str().unwrap(), "-C", dir.to_str().unwrap()]);
    let jq = |query: &str, file: &str| {
        output("jq", &["--raw-output", query, dir.join(file).to_str().unwrap()])
            .trim_end()
            .to_owned()
    };
    let digest = jq(".manifests[].digest", "index.json");
    let index = format!("blobs/{}", digest.replace(':', "/"));
    assert_eq!(jq(".manifests[].platform.architecture", &index), "amd64\narm64");
}
