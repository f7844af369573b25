//! Puts the commit into the binaries: `OTTO_COMMIT` where the environment gives it (image builds have
//! no `.git`), else what git says, else `unknown`.

use std::process::Command;

fn git(args: &[&str]) -> Option<String> {
    let output = Command::new("git").args(args).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn main() {
    println!("cargo:rerun-if-env-changed=OTTO_COMMIT");
    // A debug build follows branch switches only: recompiling everything after each commit would
    // make the everyday build slow for a string that nobody reads there.
    let release = std::env::var("PROFILE").is_ok_and(|profile| profile == "release");
    let watched: &[&str] = if release { &["HEAD", "logs/HEAD"] } else { &["HEAD"] };
    for file in watched {
        if let Some(path) =
            git(&["rev-parse", "--git-path", file]).filter(|path| std::fs::exists(path).unwrap_or(false))
        {
            println!("cargo:rerun-if-changed={path}");
        }
    }
    println!("cargo:rerun-if-changed=build.rs");
    let commit = std::env::var("OTTO_COMMIT")
        .ok()
        .or_else(|| git(&["rev-parse", "--short=12", "HEAD"]))
        .unwrap_or_else(|| "unknown".to_owned());
    println!("cargo:rustc-env=OTTO_BUILD_COMMIT={commit}");
}
