//! `openclaw dashboard` as the machine sees it that it runs on: real processes, and a browser that is a script.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::process::Signal;
use serde_json::json;

#[path = "support/client.rs"]
mod client;
#[path = "support/home.rs"]
mod home;

use client::{Ask, CLI, Device, Heard};
use home::{Home, Process, patiently};

/// Starts it; its browser notes which file it is to open, and stays until it may go.
fn dashboard(home: &Home, args: &[&str]) -> Process {
    let bin = home.path().join("bin");
    fs::create_dir_all(&bin).expect("a directory");
    let browser = bin.join("xdg-open");
    let script = "#!/bin/sh\nprintf %s \"$1\" > \"$HOME/opened.new\" && mv \"$HOME/opened.new\" \"$HOME/opened\"\n\
                  while [ ! -e \"$HOME/go\" ]; do sleep 0.01; done\n";
    fs::write(&browser, script).expect("written");
    fs::set_permissions(&browser, fs::Permissions::from_mode(0o700)).expect("set");
    let path = format!("PATH={}:/usr/bin:/bin", bin.display());
    let args = [&["dashboard"], args].concat();
    home.spawn(&["/usr/bin/env".to_owned(), path], &args)
}

/// The file that the browser was given.
fn opened(home: &Home) -> PathBuf {
    patiently("the browser", || fs::read_to_string(home.path().join("opened")).ok()).into()
}

/// The address that a file leads to, and the code in it.
fn leads(file: &Path) -> (String, String) {
    let page = fs::read_to_string(file).expect("a page");
    let url = page.split("location.replace(\"").nth(1).and_then(|rest| rest.split('"').next()).expect("an address");
    let (url, code) = url.split_once("#bootstrapToken=").expect("a code behind the #");
    assert_eq!(code.len(), 22, "128 bits");
    (url.to_owned(), code.to_owned())
}

fn command_lines() -> Vec<String> {
    let processes = fs::read_dir("/proc").expect("Linux").flatten();
    let lines = processes.filter_map(|process| fs::read(process.path().join("cmdline")).ok());
    lines.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).collect()
}

fn shows(n: u8, code: &str) -> Ask {
    Device::new(n).asks(CLI).four().auth(json!({ "bootstrapToken": code }))
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    u64::try_from(since.as_millis()).expect("a time")
}

#[test]
fn x14_the_browser_is_handed_a_private_file_and_no_command_line_holds_the_code() {
    let home = Home::new();
    let gateway = home.start();
    let running = dashboard(&home, &[]);
    let file = opened(&home);
    assert_eq!(fs::metadata(&file).expect("there").permissions().mode() & 0o777, 0o600);
    let (url, code) = leads(&file);
    assert_eq!(url, format!("http://{}/", gateway.address));
    let lines = command_lines();
    assert!(lines.iter().any(|line| line.contains(&*file.to_string_lossy())), "the browser runs");
    assert!(lines.iter().all(|line| !line.contains(&code)));

    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let won = runtime.block_on(async {
        let (first, second) = (shows(1, &code), shows(2, &code));
        let tried = tokio::join!(first.connect(gateway.address, now_ms()), second.connect(gateway.address, now_ms()));
        let is_in = |heard: &Heard| matches!(heard, Heard::Frame(frame) if frame["ok"] == true);
        let won = [&tried.0, &tried.1].into_iter().filter(|tried| is_in(&tried.heard)).count();
        shows(3, &code).connect(gateway.address, now_ms()).await.refused().await;
        won
    });
    assert_eq!(won, 1, "two browsers raced");
    fs::write(home.path().join("go"), "").expect("written");
    let ended = running.end();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(!file.exists() && !format!("{ended:?}").contains(&code));
    assert!(ended.stdout.ends_with("The browser is paired.\n"), "{ended:?}");
    let exported = home.run(&["journal", "export"]);
    assert!(exported.stdout.contains("SetupCodeSpent") && !exported.stdout.contains(&code));
    gateway.stop();
}

#[test]
fn x14_a_new_code_takes_back_the_last_and_an_end_leaves_no_file() {
    let home = Home::new();
    let gateway = home.start();
    fs::write(home.path().join("go"), "").expect("written");
    let first = dashboard(&home, &["--no-open"]);
    let file_of = |process: &Process| {
        let file = |line: &str| line.split_once(": ").map(|(_, file)| PathBuf::from(file.trim_end()));
        patiently("its file", || process.stdout().contains('\n').then(|| file(&process.stdout())).flatten())
    };
    let file = file_of(&first);
    let (_, old) = leads(&file);
    let second = dashboard(&home, &["--no-open", "--json"]);
    let told: serde_json::Value = patiently("what it says", || serde_json::from_str(&second.stdout()).ok());
    let ended = first.end();
    assert_eq!((ended.code, ended.stderr.contains("no browser came in time")), (Some(1), true), "{ended:?}");
    assert!(!file.exists());
    let file = PathBuf::from(told["file"].as_str().expect("a file"));
    let (_, code) = leads(&file);
    assert!(!told.to_string().contains(&code));
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async { shows(1, &old).connect(gateway.address, now_ms()).await.refused().await });
    second.signal(Signal::INT);
    assert_eq!(second.end().code, Some(1));
    assert!(!file.exists());
    gateway.stop();
    let ended = dashboard(&home, &[]).end();
    assert_eq!((ended.code, ended.stderr.contains("no gateway runs here")), (Some(3), true), "{ended:?}");
}
