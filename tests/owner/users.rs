//! Other users of this host, root among them: on the owner channel, on the port, in the state directory. What needs root is
//! skipped where that is not to be had, and says so.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _, symlink};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc;
use std::time::Duration;

use openclaw_pairing::pairing::DEFAULT_POLICY;
use serde_json::json;
use tokio_tungstenite::tungstenite::{Message, accept};

use super::client::{ADMIN, Device, Heard};
use super::home::{BINARY, Gateway, Home, is_root, say};
use super::{under, words};

/// A user who is nobody else here.
const NEIGHBOUR: u32 = 65_533;
/// Whom the kernel means by no user that it knows.
const NOBODY: u32 = 65_534;
const OWNER: u32 = 64_001;

/// Does this on a thread of another user's; only root can.
fn as_user<T: Send + 'static>(uid: u32, act: impl FnOnce() -> T + Send + 'static) -> std::thread::JoinHandle<T> {
    std::thread::spawn(move || {
        let uid = rustix::thread::Uid::from_raw(uid);
        rustix::thread::set_thread_res_uid(uid, uid, uid).expect("root may become anybody");
        act()
    })
}

/// Gives a home to somebody, with a program in it that they can run.
fn given_to(uid: u32) -> Home {
    let home = Home::new();
    // By another process: one of ours could be forked with the file open for writing, and then nobody could run it.
    assert!(Command::new("cp").args([Path::new(BINARY), &home.path().join("openclaw")]).status().expect("it runs").success());
    let chown = Command::new("chown").args(["-R", &format!("{uid}:{uid}")]).arg(home.path()).status();
    assert!(chown.expect("it runs").success());
    home
}

/// The words in front of a program that a user runs in a home of theirs.
fn by(uid: u32, home: &Home) -> Vec<String> {
    let run = format!("shift; exec {} \"$@\"", home.path().join("openclaw").display());
    words(&["setpriv", &format!("--reuid={uid}"), &format!("--regid={uid}"), "--clear-groups", "sh", "-c", &run, "sh"])
}

/// Whose the files below a directory are.
fn owners(dir: &Path) -> BTreeSet<u32> {
    let mut found = BTreeSet::from([fs::symlink_metadata(dir).expect("there").uid()]);
    for entry in fs::read_dir(dir).expect("a directory").map(|entry| entry.expect("an entry").path()) {
        if fs::symlink_metadata(&entry).expect("there").is_dir() {
            found.extend(owners(&entry));
        }
        found.insert(fs::symlink_metadata(&entry).expect("there").uid());
    }
    found
}

fn socket_of(home: &Home) -> PathBuf {
    home.state().join("pairing/owner.sock")
}

/// What somebody hears who asks for a list on the owner channel.
fn asks_for_a_list(path: PathBuf) -> std::io::Result<String> {
    use std::io::BufRead as _;
    let mut stream = UnixStream::connect(path)?;
    stream.write_all(b"{\"type\":\"req\",\"id\":\"1\",\"method\":\"device.pair.list\"}\n")?;
    let mut line = String::new();
    std::io::BufReader::new(stream).read_line(&mut line)?;
    Ok(line)
}

// --- the owner channel ----------------------------------------------------------------------------------------------------

#[test]
fn x10_only_the_directorys_owner_and_root_are_heard_on_the_channel_and_root_is_recorded_as_root() {
    if !is_root("being several users on one owner channel") {
        return;
    }
    let home = given_to(OWNER);
    let gateway = home.start_behind(&by(OWNER, &home)).expect("it starts");
    let socket = socket_of(&home);
    for (path, mode) in socket.ancestors().take(4).zip([0o777, 0o755, 0o755, 0o755]) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("opened");
    }
    for (uid, is_heard) in [(OWNER, true), (0, true), (NEIGHBOUR, false), (NOBODY, false)] {
        let socket = socket.clone();
        let heard = as_user(uid, move || asks_for_a_list(socket)).join().expect("no panic").expect("an answer");
        assert_eq!(heard.contains("\"ok\":true"), is_heard, "uid {uid}: {heard}");
        assert!(is_heard || heard.contains(&format!("the owner of this state directory is uid {OWNER}, not {uid}")), "{heard}");
    }
    // A path that leads elsewhere meanwhile makes nobody else the owner.
    let chown = Command::new("chown").args(["-h", &NEIGHBOUR.to_string()]).arg(home.state()).status();
    assert!(chown.expect("it runs").success());
    let other = socket.clone();
    let heard = as_user(NEIGHBOUR, move || asks_for_a_list(other)).join().expect("no panic").expect("an answer");
    assert!(heard.contains("\"ok\":false"), "{heard}");
    assert!(Command::new("chown").arg(OWNER.to_string()).arg(home.state()).status().expect("it runs").success());
    home.run(&["devices", "reject", "00000000-0000-4000-8000-000000000000"]);
    home.spawn(&by(OWNER, &home), &["devices", "reject", "00000000-0000-4000-8000-000000000000"]).end();
    gateway.stop();
    let records = home.spawn(&by(OWNER, &home), &["journal", "export"]).end().done();
    let refused: Vec<_> = records.lines().filter(|line| line.contains("CommandRefused")).collect();
    assert!(refused[0].contains("\"uid\":0") && refused[1].contains(&format!("\"uid\":{OWNER}")), "{refused:?}");
}

/// Where everybody reads as the same number, that number is nobody's.
#[test]
fn x10_the_number_that_stands_for_unknown_users_owns_nothing() {
    let unmapped = || Command::new("unshare").args(["-U", "true"]).status().is_ok_and(|status| status.success());
    let mut tried = 0;
    let mut try_with = |home: &Home, before: &[String], what: &str| {
        tried += 1;
        let gateway = home.start_behind(before).expect("it starts");
        let said = gateway.process.stdout();
        let why = format!("Owner acts     need the gateway stopped: the journal reads as owned by uid {NOBODY}, ");
        assert!(said.contains(&why), "{what}: {said}");
        assert!(!socket_of(home).exists(), "{what}");
        let held = home.spawn(before, &["devices", "clear", "--yes"]).end();
        assert!(held.code == Some(6) && held.stderr.contains("no owner channel and has to be stopped"), "{what}: {held:?}");
        gateway.stop();
        let acted = home.spawn(before, &["devices", "clear", "--yes"]).end();
        assert_eq!(acted.code, Some(0), "{what}: {acted:?}");
    };
    if unmapped() {
        try_with(&Home::new(), &words(&["unshare", "-U"]), "in a user namespace without a mapping");
    } else {
        say("SKIPPED, needs user namespaces: an owner channel in one without a mapping");
    }
    if is_root("running a gateway as the user nobody") {
        let home = given_to(NOBODY);
        try_with(&home, &by(NOBODY, &home), "as nobody");
    }
    assert!(tried > 0 || !is_root("both of it"));
}

/// Whatever lies in the channel's place and is not ours is left alone. The gateway runs; its owner acts once it is stopped.
#[test]
fn x11_what_lies_in_the_channels_place_is_replaced_only_where_it_is_a_dead_socket_of_ours() {
    type Make = fn(&Path);
    let mut kinds: Vec<(&str, Make, bool)> = vec![
        ("a socket that died", |path| drop(UnixListener::bind(path).expect("bound")), true),
        ("a file", |path| fs::write(path, "kept").expect("written"), false),
        ("a directory", |path| fs::create_dir(path).expect("made"), false),
        (
            "a link to a socket",
            |path| {
                let elsewhere = path.with_extension("elsewhere");
                drop(UnixListener::bind(&elsewhere).expect("bound"));
                symlink(elsewhere, path).expect("linked");
            },
            false,
        ),
        ("a FIFO", |path| assert!(Command::new("mkfifo").arg(path).status().expect("it runs").success()), false),
    ];
    if is_root("a socket of somebody else's in the channel's place") {
        kinds.push((
            "another's socket",
            |path| {
                drop(UnixListener::bind(path).expect("bound"));
                assert!(Command::new("chown").arg(NEIGHBOUR.to_string()).arg(path).status().expect("it runs").success());
            },
            false,
        ));
    }
    for (kind, make, is_replaced) in kinds {
        let home = Home::new();
        home.start().stop();
        let socket = socket_of(&home);
        make(&socket);
        let before = fs::symlink_metadata(&socket).expect("there").ino();
        let gateway = home.start();
        let said = gateway.process.stdout();
        assert_eq!(said.contains("Owner acts     need the gateway stopped: "), !is_replaced, "{kind}: {said}");
        assert_eq!(said.contains(&socket.display().to_string()), !is_replaced, "{kind}: {said}");
        assert_eq!(home.run(&["devices", "list"]).code, Some(0), "{kind}: looking needs no channel");
        let acted = home.run(&["devices", "clear", "--yes"]);
        assert_eq!(acted.code, Some(if is_replaced { 0 } else { 6 }), "{kind}: {acted:?}");
        assert!(is_replaced || acted.stderr.contains("nobody answers at "), "{kind}: {acted:?}");
        gateway.stop();
        assert_eq!(socket.symlink_metadata().is_ok_and(|found| found.ino() == before), !is_replaced, "{kind}");
        home.run(&["devices", "clear", "--yes"]).done();
    }
    // It has a name in the file system, where the directory keeps others away, and no other.
    let home = Home::new();
    let gateway = home.start();
    let sockets = fs::read_to_string("/proc/net/unix").expect("a table");
    let ours: Vec<_> = sockets.lines().filter(|line| line.contains("owner.sock")).collect();
    assert!(!ours.is_empty() && ours.iter().all(|line| !line.contains('@')), "{ours:?}");
    gateway.stop();
}

#[test]
fn x11_an_impostor_on_the_channel_is_told_nothing() {
    if !is_root("listening in the channel's place as another user") {
        return;
    }
    let home = Home::new();
    home.start().stop();
    let (socket, dir) = (socket_of(&home), home.state().join("pairing"));
    // Somebody had the doors open for a moment.
    for path in [home.path(), home.state(), &dir] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o777)).expect("opened");
    }
    let (path, (tell, told)) = (socket.clone(), mpsc::channel());
    let listener = as_user(NEIGHBOUR, move || UnixListener::bind(path)).join().expect("no panic").expect("bound");
    for path in [home.path(), home.state(), &dir] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o700)).expect("closed");
    }
    std::thread::spawn(move || {
        use std::io::Read as _;
        let mut heard = vec![];
        for stream in listener.incoming().take(2) {
            let _hung_up = stream.expect("accepted").read_to_end(&mut heard);
        }
        tell.send(heard).expect("the test listens");
    });
    for args in [&["devices", "list"][..], &["devices", "approve", "x"]] {
        home.run(args).refused(&[&format!("uid {NEIGHBOUR} listens on "), "nothing was said to them"]);
    }
    assert_eq!(told.recv_timeout(Duration::from_secs(60)).expect("it ends"), b"");
}

#[test]
fn x12_without_sockets_in_the_file_system_the_gateway_runs_and_its_owner_acts_while_it_is_stopped() {
    let can = Command::new("strace").args(["-o", "/dev/null", "true"]).status();
    if !can.is_ok_and(|status| status.success()) {
        return say("SKIPPED, needs strace and ptrace: a file system without sockets");
    }
    for answer in ["EOPNOTSUPP", "EPERM", "EINVAL"] {
        let home = under(DEFAULT_POLICY);
        // The first two addresses are those of the port.
        let inject = format!("inject=bind:error={answer}:when=3+");
        let strace = words(&["strace", "-D", "-f", "-qq", "-o", "/dev/null", "-e", "trace=bind", "-e", &inject]);
        let gateway = home.start_behind(&strace).expect("it starts");
        let said = gateway.process.stdout();
        assert!(said.contains("Owner acts     need the gateway stopped: cannot listen on "), "{said}");
        assert!(home.run(&["logs"]).done().contains("ownerChannel=none"));
        let held = home.run(&["devices", "clear", "--yes"]);
        assert!(held.code == Some(6) && held.stderr.contains("has to be stopped for this"), "{held:?}");
        // Nothing weaker takes its place: whoever has the secret is who they are.
        let listening = fs::read_dir(home.state().join("pairing")).expect("a directory").count();
        gateway.stop();
        home.run(&["devices", "clear", "--yes"]).done();
        let usual = home.start();
        assert_eq!(fs::read_dir(home.state().join("pairing")).expect("a directory").count(), listening + 1);
        usual.stop();
    }
}

#[test]
fn x12_a_path_too_long_for_a_socket_is_no_hindrance() {
    let home = Home::new().with_state(&format!("{}/state", "long/".repeat(30)));
    fs::DirBuilder::new().recursive(true).mode(0o700).create(home.state().parent().expect("above")).expect("made");
    let gateway = home.start();
    assert!(socket_of(&home).as_os_str().len() > 150 && !gateway.process.stdout().contains("Owner acts"));
    home.run(&["devices", "clear", "--yes"]).done();
    assert!(home.run(&["gateway", "status"]).done().contains("running for"));
    gateway.stop();
}

// --- root -----------------------------------------------------------------------------------------------------------------

#[test]
fn x13_root_names_the_state_that_it_works_on_and_leaves_no_file_of_its_own_in_it() {
    if !is_root("working as root on another's state") {
        return;
    }
    let home = given_to(OWNER);
    let gateway = home.start_behind(&by(OWNER, &home)).expect("it starts");
    let names = format!("note: this runs as root on {}, which belongs to uid {OWNER}\n", home.state().display());
    let url = format!("ws://{}", gateway.address);
    let token = home.token();
    let listed = home.run(&["devices", "list"]);
    assert_eq!(listed.stderr, names);
    listed.done();
    // As a device it would make itself a key.
    home.run(&["devices", "list", "--url", &url, "--token", &token, "--served-by", &OWNER.to_string()]).refused(&[&names]);
    home.run(&["gateway", "run", "--port", "0"]).refused(&[&names, &format!("belongs to uid {OWNER}, and this runs as uid 0")]);
    gateway.stop();
    for args in [
        &["devices", "list"][..],
        &["devices", "clear", "--yes"],
        &["gateway", "run", "--port", "0"],
        &["gateway", "status", "--seen"],
        &["journal", "verify"],
        &["journal", "checkpoint"],
        &["journal", "repair"],
        &["journal", "head"],
    ] {
        home.run(args).refused(&[&names, "belongs to "]);
    }
    for dir in [home.state().to_owned(), home.path().join(".local")] {
        assert_eq!(owners(&dir), BTreeSet::from([OWNER]), "{}", dir.display());
    }
    // Nor is anything begun where there was nothing.
    let bare = given_to(OWNER);
    bare.run(&["gateway", "run", "--port", "0"]).refused(&["belongs to "]);
    bare.run(&["devices", "list", "--url", &url, "--token", "x"]).refused(&["belongs to "]);
    assert!(!bare.state().exists() && !bare.path().join(".local").exists());

    // What sudo says of who called is a claim, so it is a hint and no more.
    let own = Home::new();
    own.start().stop();
    let sudo = own.spawn(&words(&["env", "SUDO_UID=1234"]), &["devices", "list"]).end();
    let hint = format!("note: this runs as root on {}, not on the state of uid 1234, who ran sudo\n", own.state().display());
    assert!(sudo.code == Some(0) && sudo.stderr == hint, "{sudo:?}");
}

// --- the port -------------------------------------------------------------------------------------------------------------

/// Passes bytes on, connecting as another user.
fn forwarder(uid: u32, to: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for near in listener.incoming().map_while(Result::ok) {
            let far = as_user(uid, move || std::net::TcpStream::connect(to)).join().expect("no panic").expect("connected");
            for (mut from, mut to) in [(near.try_clone().expect("cloned"), far.try_clone().expect("cloned")), (far, near)] {
                std::thread::spawn(move || {
                    // Whichever end goes first, the other is told by the end of its stream.
                    let _ = std::io::copy(&mut from, &mut to);
                    let _ = to.shutdown(std::net::Shutdown::Write);
                });
            }
        }
    });
    address
}

#[tokio::test]
async fn x17_who_comes_through_a_forwarder_of_another_user_is_not_the_owner_and_roots_forwarders_are_none() {
    if !is_root("forwarding as another user") {
        return;
    }
    async fn lets_in(device: u8, gateway: SocketAddr, home: &Home, user: Option<u32>) -> bool {
        let ask = Device::new(device).asks(ADMIN);
        let ask = user.map_or(ask.clone(), |uid| ask.by_user(uid));
        match ask.at(gateway, home).await.heard {
            Heard::Frame(frame) if frame["ok"] == true => true,
            Heard::Frame(frame) => {
                assert_eq!(frame["error"]["details"]["code"], "PAIRING_REQUIRED", "{frame}");
                false
            }
            heard => panic!("{heard:?}"),
        }
    }
    let home = Home::new();
    let gateway = home.start();
    let (theirs, own) = (forwarder(NEIGHBOUR, gateway.address), forwarder(0, gateway.address));
    assert!(!lets_in(1, theirs, &home, None).await, "a neighbour's");
    assert!(lets_in(2, own, &home, None).await, "the owner's own");
    gateway.stop();

    let home = given_to(OWNER);
    let gateway: Gateway = home.start_behind(&by(OWNER, &home)).expect("it starts");
    assert!(!lets_in(1, gateway.address, &home, None).await, "root is not the owner");
    assert!(!lets_in(2, forwarder(0, gateway.address), &home, Some(OWNER)).await, "through root's forwarder");
    assert!(lets_in(3, gateway.address, &home, Some(OWNER)).await, "the owner");
    gateway.stop();
}

/// Speaks as a gateway does until a client should show its secret; what it shows.
fn squatter(uid: u32) -> (u16, mpsc::Receiver<Vec<String>>) {
    let (tell, told) = mpsc::channel();
    let (tell_port, port) = mpsc::channel();
    as_user(uid, move || {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        tell_port.send(listener.local_addr().expect("an address").port()).expect("the test listens");
        for stream in listener.incoming().map_while(Result::ok) {
            let mut socket = accept(stream).expect("upgraded");
            let challenge = json!({ "type": "event", "event": "connect.challenge", "payload": { "nonce": "n", "ts": 1 } });
            socket.send(Message::text(challenge.to_string())).expect("sent");
            let mut heard = vec![];
            while let Ok(message) = socket.read() {
                if let Message::Text(text) = message {
                    heard.push(text.to_string());
                    break;
                }
            }
            if tell.send(heard).is_err() {
                return;
            }
        }
    });
    (port.recv().expect("it listens"), told)
}

#[test]
fn x19_who_listens_on_our_port_and_is_not_us_is_sent_no_secret() {
    if !is_root("listening as another user") {
        return;
    }
    let home = Home::new();
    let wait = Duration::from_secs(60);
    let (port, told) = squatter(NEIGHBOUR);
    let url = format!("ws://127.0.0.1:{port}");
    let ask = ["devices", "list", "--url", &url, "--token", "the-secret"];
    home.run(&ask).refused(&[
        &format!("uid {NEIGHBOUR} serves {url}, who is neither you nor root, so it was sent no secret"),
        &format!("--served-by {NEIGHBOUR}"),
    ]);
    assert_eq!(told.recv_timeout(wait).expect("it ended"), Vec::<String>::new());
    for ask in [&ask[..2], &["logs"], &["gateway", "status"]] {
        // Our own gateway is not asked over the port, so whoever listens there hears nothing at all.
        let said = home.spawn(&words(&["env", &format!("OPENCLAW_GATEWAY_PORT={port}")]), ask).end();
        assert_eq!(said.code, Some(3), "{said:?}");
    }
    assert!(told.try_recv().is_err());
    // Who says that it is theirs means it.
    let mut args = ask.to_vec();
    let uid = NEIGHBOUR.to_string();
    args.extend(["--served-by", &uid]);
    home.run(&args);
    let heard = told.recv_timeout(wait).expect("it ended");
    assert!(heard.iter().any(|heard| heard.contains("the-secret")), "{heard:?}");
    // A gateway of root's is one that a user may trust: it reads everything anyway.
    let user = given_to(OWNER);
    let gateway = Home::new();
    let running = gateway.start();
    let url = format!("ws://{}", running.address);
    let asked = user.spawn(&by(OWNER, &user), &["devices", "list", "--url", &url, "--token", &gateway.token()]).end();
    assert!(asked.stderr.contains("pairing required"), "{asked:?}");
    running.stop();
}
