//! A crowd of sockets from a process of its own, and a storm of strangers beside three paired devices. Counts are small here and
//! large in `tests/long/run`.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpSocket;

use super::client::{Ask, Device, READ, Reply, Token, connect, owner, text};
use super::home::{Gateway, Home, number, say};

/// Resident bytes that one socket of a stranger may cost the gateway, upgraded or not.
const BYTES_A_SOCKET: u64 = 48 * 1024;

/// Kilobytes of a line of `/proc/PID/status`.
fn resident(gateway: &Gateway) -> u64 {
    let pid = gateway.process.pid().as_raw_nonzero();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("a line");
    line.split_whitespace().nth(1).and_then(|kb| kb.parse().ok()).expect("a number")
}

/// The other end of the crowd: this test binary again.
struct Crowd {
    child: Child,
    said: BufReader<std::process::ChildStdout>,
}

impl Crowd {
    fn of(count: u64, address: SocketAddr) -> Self {
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command.args(["--exact", "crowd::the_client_of_n06", "--nocapture", "--test-threads=1"]);
        command.env("CROWD_ADDRESS", address.to_string()).env("CROWD_COUNT", count.to_string());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
        let said = BufReader::new(child.stdout.take().expect("a pipe"));
        Self { child, said }
    }

    /// What it says after this word.
    fn says(&mut self, word: &str) -> u64 {
        let mut line = String::new();
        loop {
            line.clear();
            assert!(self.said.read_line(&mut line).expect("a line") > 0, "it ended before it said {word}");
            // The test harness says on the same line what it runs.
            if let Some((_, number)) = line.trim().rsplit_once(word) {
                return number.trim().parse().expect("a number");
            }
        }
    }

    fn ends(mut self) {
        drop(self.child.stdin.take());
        assert!(self.child.wait().expect("a child").success());
    }
}

/// The client of the crowd: half of it upgrades, the other half says nothing; all of it stays until somebody closes its input.
#[test]
fn the_client_of_n06() {
    let Ok(address) = std::env::var("CROWD_ADDRESS") else { return };
    let address: SocketAddr = address.parse().expect("an address");
    let count = u32::try_from(number("CROWD_COUNT", 0)).expect("few");
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).expect("descriptors");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let upgrade = format!(
            "GET / HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        );
        let come = (0..count).map(|n| {
            let upgrade = &upgrade;
            async move {
                let socket = TcpSocket::new_v4().ok()?;
                // Twenty of each address, so that each is within its own bound.
                let from = Ipv4Addr::from(u32::from(Ipv4Addr::new(127, 1, 0, 1)) + n / 20);
                socket.bind(SocketAddr::from((from, 0))).ok()?;
                let mut stream = socket.connect(address).await.ok()?;
                if n % 2 == 0 {
                    stream.write_all(upgrade.as_bytes()).await.ok()?;
                    let mut answer = [0; 12];
                    stream.read_exact(&mut answer).await.ok()?;
                    (&answer == b"HTTP/1.1 101").then_some(())?;
                }
                Some(stream)
            }
        });
        let mut crowd = vec![];
        let come: Vec<_> = come.collect();
        let mut come = come.into_iter();
        loop {
            // As many at once as the kernel lets wait to be accepted.
            let some: Vec<_> = come.by_ref().take(200).collect();
            if some.is_empty() {
                break;
            }
            crowd.extend(futures_util::future::join_all(some).await.into_iter().flatten());
        }
        // Past what the test harness captures.
        let mut out = std::io::stdout();
        writeln!(out, "here: {}", crowd.len()).and_then(|()| out.flush()).expect("said");
        let stays = tokio::task::spawn_blocking(|| std::io::stdin().read_line(&mut String::new()));
        stays.await.expect("no panic").expect("read");
    });
}

#[test]
fn n06_a_crowd_of_strangers_costs_bounded_memory_and_keeps_no_paired_device_out() {
    let count = number("FAULT_CROWD", 1_000);
    let home = Home::new();
    // A third of them makes room for others.
    let total = count * 2 / 3;
    home.begin(&format!("{{ version: 1, budgets: {{ socket: {{ perAddress: 32, total: {total} }} }} }}"));
    let gateway = home.start();
    let (device, shared) = (Device::new(1), home.token());
    let first = Ask { device: &device, scopes: READ, token: Token::Shared(&shared), is_remote: false };
    let token = text(&connect(gateway.address, first).1.granted()["auth"]["deviceToken"]);
    let returns = Ask { token: Token::Own(&token), ..first };
    let before = resident(&gateway);
    let mut crowd = Crowd::of(count, gateway.address);
    let here = crowd.says("here: ");
    let most = resident(&gateway);
    let begun = Instant::now();
    let (socket, reply) = connect(gateway.address, returns);
    reply.granted();
    let took = begun.elapsed();
    let mut socket = socket.expect("a socket");
    socket.call("health", &json!({})).granted();
    let bytes = most.saturating_sub(before) * 1024 / total;
    say(&format!(
        "{here} of {count} sockets came, {total} had a place: {bytes} bytes each, {before} kB before, {most} kB with them; \
         a paired device was let in within {} ms",
        took.as_millis()
    ));
    assert!(here > count / 2, "{here} came");
    assert!(bytes < BYTES_A_SOCKET, "{bytes} bytes each");
    crowd.ends();
    drop(socket);
    assert_eq!(gateway.stop().code, Some(0));
    home.verify_sound();
}

/// The middle and the ninety-ninth of a hundred, in microseconds.
fn percentiles(mut times: Vec<Duration>) -> (u128, u128) {
    times.sort();
    let at = |part: usize| times[(times.len() * part / 100).min(times.len() - 1)].as_micros();
    (at(50), at(99))
}

/// Three paired devices, each of which comes, asks for something and goes, again and again.
fn beside(gateway: &Gateway, tokens: &[(Device, String)], goes_on: impl Fn(usize) -> bool + Sync) -> (u128, u128) {
    let times = std::thread::scope(|scope| {
        let threads = tokens.iter().map(|(device, token)| {
            let goes_on = &goes_on;
            scope.spawn(move || {
                let mut times = vec![];
                while goes_on(times.len()) {
                    let begun = Instant::now();
                    let ask = Ask { device, scopes: READ, token: Token::Own(token), is_remote: false };
                    let (socket, reply) = connect(gateway.address, ask);
                    reply.granted();
                    socket.expect("a socket").call("health", &json!({})).granted();
                    times.push(begun.elapsed());
                    // They are no storm.
                    std::thread::sleep(Duration::from_millis(20));
                }
                times
            })
        });
        let threads: Vec<_> = threads.collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("no panic")).collect()
    });
    percentiles(times)
}

fn journal_bytes(home: &Home) -> u64 {
    let files = std::fs::read_dir(home.journal()).expect("a journal").flatten();
    let segments = files.filter(|file| file.path().extension().is_some_and(|extension| extension == "segment"));
    let used = |bytes: Vec<u8>| bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    segments.map(|file| u64::try_from(used(std::fs::read(file.path()).expect("a segment"))).expect("small")).sum()
}

/// Connects of strangers with fresh keys and the shared secret, at full speed, beside three paired devices: N07, N09 and X24 with
/// real sockets.
#[test]
fn n07_a_storm_of_strangers_beside_three_paired_devices_stays_small_and_adds_up() {
    let count = number("FAULT_STORM", 400);
    let home = Home::new();
    // The three are to be measured, however often they come.
    home.begin("{ version: 1, budgets: { record: { perDevice: 100000000 } } }");
    let gateway = home.start();
    let shared = home.token();
    let paired = (1..=3).map(|seed| {
        let device = Device::new(seed);
        let ask = Ask { device: &device, scopes: READ, token: Token::Shared(&shared), is_remote: false };
        let token = text(&connect(gateway.address, ask).1.granted()["auth"]["deviceToken"]);
        (device, token)
    });
    let paired: Vec<_> = paired.collect();
    let alone = beside(&gateway, &paired, |times| times < 50);
    let (bytes, begun) = (journal_bytes(&home), Instant::now());
    let (next, is_over) = (AtomicU64::new(0), AtomicBool::new(false));
    let refused = AtomicU64::new(0);
    let with_storm = std::thread::scope(|scope| {
        let strangers: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    loop {
                        let n = next.fetch_add(1, Ordering::Relaxed);
                        if n >= count {
                            break;
                        }
                        let device = Device::new(1_000 + n);
                        let ask = Ask { device: &device, scopes: READ, token: Token::Shared(&shared), is_remote: true };
                        match connect(gateway.address, ask).1 {
                            Reply::No(_) => refused.fetch_add(1, Ordering::Relaxed),
                            Reply::Yes(hello) => panic!("let in: {hello}"),
                            Reply::Gone => panic!("no answer"),
                        };
                    }
                })
            })
            .collect();
        let (gateway, paired, is_over) = (&gateway, &paired, &is_over);
        let times = scope.spawn(move || beside(gateway, paired, |_| !is_over.load(Ordering::Relaxed)));
        strangers.into_iter().for_each(|stranger| stranger.join().expect("no panic"));
        is_over.store(true, Ordering::Relaxed);
        times.join().expect("no panic")
    });
    let took = begun.elapsed();
    let list = owner(home.state(), "device.pair.list", &json!({})).granted();
    let waiting = list["pending"].as_array().map_or(0, Vec::len);
    assert_eq!(gateway.stop().code, Some(0));
    let grown = journal_bytes(&home) - bytes;
    let records: Vec<Value> = home.records().iter().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let event = |name: &str| records.iter().filter(|record| record["event"] == name).count();
    let (written, suppressed) = (event("ConnectionRefused"), suppressed(&records));
    let ours = event("ConnectionAdmitted");
    say(&format!(
        "{count} strangers in {} ms ({} a second): the journal grew by {grown} bytes, {ours} admissions of the paired devices among \
         them; {waiting} requests wait; {written} refusals in full and {suppressed} counted; a paired device comes, asks and goes \
         in {} µs (99 of 100 within {} µs) without the storm, in {} µs ({} µs) with it",
        took.as_millis(),
        u128::from(count) * 1_000 / took.as_millis().max(1),
        alone.0,
        alone.1,
        with_storm.0,
        with_storm.1,
    ));
    assert_eq!(refused.into_inner(), count);
    assert_eq!(u64::try_from(written).expect("small") + suppressed, count);
    assert!(waiting <= 32, "{waiting} wait");
    let devices: BTreeSet<_> = list["pending"].as_array().into_iter().flatten().map(|entry| text(&entry["deviceId"])).collect();
    assert_eq!(devices.len(), waiting);
    // What strangers had recorded, and what the paired devices did: an admission and its end.
    let most = 64 * 1024 + u64::try_from(ours).expect("small") * 512;
    assert!(grown < most, "{grown} bytes, {most} at most");
    home.verify_sound();
}

fn suppressed(records: &[Value]) -> u64 {
    let counted = records.iter().filter(|record| record["event"] == "AttemptsSuppressed");
    counted.map(|record| record["fields"]["count"].as_u64().expect("a count")).sum()
}
