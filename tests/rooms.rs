//! The walls between the rooms of `src/`: who may use whom, which crate is at home in which file, and what a room must never
//! know. To move a wall, move its row here and the map in `src/lib.rs` in the same commit.

use std::fs;
use std::path::Path;

/// Each room or lone file, and what it may use of ours. `lib` holds the map and `main` only calls `cli`.
const ROOMS: [(&str, &[&str]); 16] = [
    ("limits", &[]),
    ("pairing", &["limits"]),
    ("views", &["limits", "pairing"]),
    ("wire", &["limits", "pairing", "views"]),
    ("journal", &["limits", "pairing"]),
    ("host", &["pairing"]),
    ("peer", &["pairing"]),
    ("state", &["host", "limits", "pairing"]),
    ("settings", &["host", "limits", "pairing", "state", "views"]),
    ("keyring", &["host", "limits", "pairing", "state"]),
    ("openclaw", &["limits", "pairing", "state", "views", "wire"]),
    ("heads", &["host", "pairing", "state"]),
    ("authority", &["host", "journal", "limits", "pairing"]),
    ("client", &["host", "keyring", "limits", "pairing", "peer", "settings", "state", "wire"]),
    (
        "gateway",
        &[
            "authority",
            "client",
            "heads",
            "host",
            "journal",
            "keyring",
            "limits",
            "pairing",
            "peer",
            "settings",
            "state",
            "views",
            "wire",
        ],
    ),
    (
        "cli",
        &[
            "authority",
            "client",
            "gateway",
            "heads",
            "host",
            "journal",
            "keyring",
            "limits",
            "openclaw",
            "pairing",
            "peer",
            "settings",
            "state",
            "views",
            "wire",
        ],
    ),
];

/// Every crate we depend on, and the only files and rooms that may name it.
const CRATES: [(&str, &[&str]); 37] = [
    ("anstream", &["cli/output.rs"]),
    ("anstyle", &["cli/"]),
    ("base64", &["gateway/handshake.rs", "heads.rs", "keyring.rs", "pairing/token.rs", "wire/codes.rs", "wire/devices.rs"]),
    ("bincode", &["journal/codec.rs"]),
    ("bytes", &["gateway/connection.rs", "gateway/http.rs"]),
    ("clap", &["cli/", "main.rs"]),
    ("comfy_table", &["cli/output.rs"]),
    ("crc32c", &["journal/format.rs"]),
    // A device's signature is judged in one place, made in another, and its key read from PEM on the wire; heads are signed apart.
    ("ed25519_dalek", &["heads.rs", "keyring.rs", "pairing/identity.rs", "wire/devices.rs"]),
    ("fs2", &["journal/lock.rs"]),
    ("futures_util", &["client.rs", "gateway/"]),
    ("getrandom", &["host.rs"]),
    ("hmac", &["pairing/token.rs"]),
    ("http_body_util", &["gateway/"]),
    ("hyper", &["gateway/"]),
    ("hyper_util", &["gateway/"]),
    ("indicatif", &["cli/output.rs"]),
    ("jiff", &["views/sentence.rs"]),
    // The text of the policy in force is a record, so reading it is part of the fold.
    ("json5", &["pairing/policy/language.rs", "settings.rs"]),
    ("qrcode", &["cli/codes.rs"]),
    ("rpds", &["pairing/registry.rs"]),
    // The operating system, but for what the journal's and the state's own files need: who is at the other end, who we are.
    ("rustix", &["gateway/", "journal/directory.rs", "peer.rs", "state.rs"]),
    // What a real OpenClaw wrote is read with the library that it writes with.
    ("rusqlite", &["openclaw/sqlite.rs", "openclaw/tests.rs"]),
    ("serde", &["gateway/", "journal/codec.rs", "journal/codec/", "keyring.rs", "openclaw/", "pairing/", "wire/"]),
    // The disk does not know JSON, and a decision does not either.
    ("serde_json", &["cli/", "client.rs", "gateway/", "keyring.rs", "openclaw/", "settings.rs", "settings/", "wire/"]),
    ("serde_path_to_error", &["pairing/policy/language.rs", "wire/frame.rs"]),
    ("sha2", &["heads.rs", "journal/format.rs", "openclaw/", "pairing/"]),
    ("subtle", &["pairing/token.rs"]),
    (
        "thiserror",
        &[
            "authority/",
            "client.rs",
            "gateway/",
            "heads.rs",
            "journal/",
            "keyring.rs",
            "openclaw/",
            "pairing/",
            "settings.rs",
            "state.rs",
        ],
    ),
    ("tokio", &["authority/", "cli/", "client.rs", "gateway/"]),
    ("tokio_tungstenite", &["client.rs", "gateway/"]),
    ("tracing", &["authority/", "cli/", "gateway/"]),
    ("tracing_subscriber", &["cli/output.rs"]),
    ("uuid", &["gateway/connection.rs", "host.rs", "pairing/ids.rs"]),
    ("zeroize", &["heads.rs", "keyring.rs", "pairing/token.rs"]),
    // Where SQLite reads a copy, and in tests.
    ("tempfile", &["authority/", "gateway/", "heads.rs", "keyring.rs", "openclaw/", "settings.rs", "state.rs"]),
    // Only in tests.
    ("proptest", &[]),
];

/// Words of the standard library and of ours that belong to some files only.
const WORDS: [(&str, &[&str]); 10] = [
    ("SystemTime", &["host.rs"]),
    // Tokio's, which a test can pause.
    ("Instant", &["cli/dashboard.rs", "gateway/connection.rs", "host.rs"]),
    // Named in comments only, so that whoever prints goes through the one place that survives a closed pipe.
    ("println!", &[]),
    ("eprintln!", &[]),
    ("std::fs", &["cli/", "gateway/", "heads.rs", "journal/", "keyring.rs", "openclaw/", "peer.rs", "settings.rs", "state.rs"]),
    ("std::env::", &["cli/", "client.rs", "main.rs", "settings.rs", "state.rs"]),
    ("std::thread", &["authority/"]),
    // The one comparison of what is secret.
    ("ct_eq", &["pairing/token.rs"]),
    ("HashMap", &["gateway/"]),
    ("HashSet", &["gateway/"]),
];

/// What a room must never know, in the words by which it would show.
const NEVER: [(&str, &[&str]); 5] = [
    ("pairing", &["async", "await", "std::time", "std::process", "TcpStream", "UnixStream", "tracing"]),
    ("views", &["async", "await", "TcpStream", "UnixStream", "anstream"]),
    ("wire", &["async", "await", "TcpStream", "UnixStream"]),
    (
        "journal",
        &["async", "await", "TcpStream", "UnixStream", "Policy", "Role", "ScopeSet", "KnownScope", "decide(", "operator."],
    ),
    ("limits", &["async", "String"]),
];

/// Names without a meaning.
const NO_NAMES: [&str; 6] = ["util", "utils", "common", "helpers", "manager", "types"];

/// Lines at which a file is asked whether it holds two ideas, long after somebody should have asked; a list of cases later.
const LINES: [(&str, usize); 2] = [("src", 1_000), ("tests", 1_500)];

struct Source {
    /// Its path under `src/` or `tests/`.
    path: String,
    /// What it says, without comments.
    code: String,
}

impl Source {
    /// The room: the directory, or the lone file.
    fn room(&self) -> &str {
        self.path.split_once('/').map_or_else(|| self.path.trim_end_matches(".rs"), |(room, _)| room)
    }

    fn is_in(&self, homes: &[&str]) -> bool {
        homes.iter().any(|home| self.path == *home || (home.ends_with('/') && self.path.starts_with(home)))
    }

    /// Whether `word` stands in it, not as a part of a longer word.
    fn says(&self, word: &str) -> bool {
        self.before_each(word).any(|before| !in_a_word(before))
    }

    /// Whether it names this crate: at the beginning of a path, or whole.
    fn names(&self, name: &str) -> bool {
        let path = format!("{name}::");
        self.before_each(&path).any(|before| !in_a_word(before) && before != ':') || self.says(&format!("use {name};"))
    }

    /// What stands before each `word` that no longer one begins with.
    fn before_each(&self, word: &str) -> impl Iterator<Item = char> {
        let open = word.ends_with(|c: char| !in_a_word(c));
        self.code.match_indices(word).filter_map(move |(at, word)| {
            let after = self.code[at + word.len()..].chars().next().unwrap_or(' ');
            (open || !in_a_word(after)).then(|| self.code[..at].chars().next_back().unwrap_or(' '))
        })
    }
}

fn in_a_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn under(folder: &str) -> Vec<Source> {
    under_of(folder, "rs")
}

/// The sources of a kind below a folder.
fn under_of(folder: &str, kind: &str) -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let (mut sources, mut folders) = (vec![], vec![root.clone()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == kind) {
                let text = fs::read_to_string(&path).expect("a text");
                let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
                let code = code.map(|line| format!("{line}\n")).collect();
                let path = path.strip_prefix(&root).expect("below").to_str().expect("a plain name").to_owned();
                sources.push(Source { path, code });
            }
        }
    }
    assert!(!sources.is_empty(), "{folder} is there");
    sources
}

#[test]
fn a_room_uses_only_the_rooms_above_it() {
    for source in under("src") {
        let Some((room, may)) = ROOMS.iter().find(|(room, _)| *room == source.room()) else {
            assert!(["lib", "main"].contains(&source.room()), "{} is in no room: give it a row in ROOMS", source.path);
            continue;
        };
        assert!(!source.code.contains("crate::{"), "{}: one room an import", source.path);
        for (at, _) in source.code.match_indices("crate::") {
            let rest = &source.code[at + "crate::".len()..];
            let used = rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default();
            assert!(used == *room || may.contains(&used), "{} uses {used}, which {room} may not", source.path);
        }
        // `super` leads out of the room too, where there are as many of them as folders.
        let depth = source.path.trim_end_matches("/mod.rs").split('/').count();
        let code = source.code.split("#[cfg(test)]").next().unwrap_or_default();
        assert!(!code.contains(&"super::".repeat(depth)), "{} leaves its room by super", source.path);
    }
}

#[test]
fn the_rows_are_in_order_and_the_map_names_every_room() {
    let map = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs")).expect("the map");
    let mut rooms: Vec<_> = map.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';')).collect();
    let mut rows: Vec<_> = ROOMS.iter().map(|(room, _)| *room).collect();
    for (place, (room, may)) in ROOMS.iter().enumerate() {
        let above = &rows[..place];
        assert!(may.iter().all(|used| above.contains(used)), "{room} uses a room below it");
    }
    rooms.sort_unstable();
    rows.sort_unstable();
    assert_eq!(rooms, rows);
}

#[test]
fn each_crate_and_each_word_stays_at_home() {
    for source in under("src") {
        for (name, homes) in CRATES {
            assert!(!source.names(name) || source.is_in(homes), "{} names {name}, at home in {homes:?}", source.path);
        }
        for (word, homes) in WORDS {
            assert!(!source.says(word) || source.is_in(homes), "{} says {word}, at home in {homes:?}", source.path);
        }
        for (room, words) in NEVER.iter().filter(|(room, _)| *room == source.room()) {
            for word in *words {
                assert!(!source.says(word), "{} says {word}, which {room} must not know", source.path);
            }
        }
    }
}

/// What is derived from a secret is compared by `pairing::same`; where two digests are, they are of histories.
#[test]
fn a04_no_digest_of_a_secret_is_compared_early_out() {
    for source in under("src") {
        let code = source.code.split("#[cfg(test)]").next().unwrap_or_default();
        // Those of histories and of checkpoints are no secrets.
        let is_home = source.is_in(&["authority/opening.rs", "authority/sound.rs", "heads.rs", "journal/"]);
        for compared in ["digest ==", "digest !=", "== digest", "!= digest", "digest() ==", "digest() !="] {
            assert!(is_home || !code.contains(compared), "{} says {compared}", source.path);
        }
        assert!(
            !source.says("digest_of")
                || source.is_in(&["gateway/handshake.rs", "gateway/inviting.rs", "gateway/join.rs", "pairing/"]),
            "{}",
            source.path
        );
    }
}

/// One purpose, one key: each label separates what it names, and each key file is named and read in one place.
#[test]
fn x04_each_label_names_one_purpose_and_each_key_has_one_home() {
    let (sources, mut labels) = (under("src"), vec![]);
    for source in &sources {
        let code = source.code.split("#[cfg(test)]").next().unwrap_or_default();
        for (at, _) in code.match_indices("b\"openclaw-pairing ") {
            labels.push(code[at + 2..].split('"').next().unwrap_or_default().to_owned());
        }
        // Token key and head key are files of their own; what a device signs is a connect and nothing else.
        for (word, homes) in [
            ("\"token.key\"", ["state.rs"].as_slice()),
            ("\"head.key\"", &["state.rs"]),
            ("device.sign(", &["client.rs"]),
            ("HeadKey", &["cli/anchor.rs", "cli/journal.rs", "gateway/sealed.rs", "heads.rs"]),
            ("TokenKey", &["authority/", "pairing/", "state.rs"]),
        ] {
            assert!(!source.says(word) || source.is_in(homes), "{} says {word}, at home in {homes:?}", source.path);
        }
    }
    assert!(labels.len() >= 3, "labels are found");
    for (place, label) in labels.iter().enumerate() {
        let others = labels.iter().enumerate().filter(|(other, _)| *other != place);
        assert!(others.clone().all(|(_, other)| !other.starts_with(&**label)), "{label} is two labels, or the beginning of one");
    }
}

#[test]
fn every_dependency_has_a_home() {
    let manifest = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml")).expect("the manifest");
    let section = manifest.split("\n[").find(|section| section.starts_with("dependencies]")).expect("dependencies");
    let names = section.lines().filter_map(|line| line.split_once(" = ")).map(|(name, _)| name.replace('-', "_"));
    for name in names {
        let row = CRATES.iter().find(|(known, _)| *known == name);
        assert!(row.is_some_and(|(_, homes)| !homes.is_empty()), "{name} has no home: give it a row in CRATES");
    }
}

#[test]
fn a_file_has_a_meaning_and_an_end() {
    for (folder, most) in LINES {
        for source in under(folder) {
            let mut names = source.path.trim_end_matches(".rs").split('/');
            assert!(!names.any(|name| NO_NAMES.contains(&name)), "{} says nothing by its name", source.path);
            assert!(source.code.lines().count() <= most, "{} is longer than {most} lines", source.path);
        }
    }
}

/// Rows of the fault matrix, of the threats and of the scenarios, by letter: the first and the last number of each range.
const IDS: [(char, &[(u32, u32)]); 9] = [
    ('j', &[(1, 20)]),
    ('d', &[(1, 12)]),
    ('l', &[(1, 9)]),
    ('t', &[(1, 8)]),
    ('n', &[(1, 12)]),
    ('a', &[(1, 16)]),
    ('o', &[(1, 5)]),
    ('s', &[(1, 30)]),
    ('x', &[(1, 20), (21, 29), (30, 36), (40, 47), (50, 60), (70, 71)]),
];

/// The rows that have a test by now: of each letter the first and the last number of each range.
const COVERED: [(char, &[(u32, u32)]); 8] = [
    ('j', &[(1, 20)]),
    ('d', &[(1, 12)]),
    ('l', &[(1, 9)]),
    ('t', &[(1, 8)]),
    ('n', &[(1, 12)]),
    ('a', &[(1, 16)]),
    ('o', &[(1, 5)]),
    ('x', &[(1, 36), (40, 47)]),
];

/// The name of every function, and of every test that plays in a browser, in the words of a function; each with where it stands.
fn tests() -> Vec<(String, String)> {
    let mut names = vec![];
    for source in under("src").into_iter().chain(under("tests")) {
        let functions = source.code.split("fn ").skip(1).map(|rest| rest.split(['(', '<']).next().unwrap_or_default());
        names.extend(functions.map(|name| (source.path.clone(), name.to_owned())));
    }
    // What is installed there lies deeper.
    for source in under_of("tests/page", "mjs").into_iter().filter(|source| !source.path.contains('/')) {
        let played = ["test('", "play('"]
            .into_iter()
            .flat_map(|call| source.code.split(call).skip(1))
            .map(|rest| rest.split('\'').next().unwrap_or_default());
        names.extend(played.map(|name| (source.path.clone(), name.replace(' ', "_"))));
    }
    names
}

#[test]
fn every_row_of_the_fault_matrix_has_a_test_of_its_name() {
    let mut missing = vec![];
    let names: Vec<_> = tests().into_iter().map(|(_, name)| name).collect();
    for (letter, ranges) in COVERED {
        let (_, known) = IDS.iter().find(|(known, _)| *known == letter).expect("a letter that there is");
        for number in ranges.iter().flat_map(|(first, last)| *first..=*last) {
            assert!(known.iter().any(|(first, last)| (*first..=*last).contains(&number)), "{letter}{number:02} is a row");
            let id = format!("{letter}{number:02}_");
            if !names.iter().any(|name| name.starts_with(&id)) {
                missing.push(id);
            }
        }
    }
    assert!(missing.is_empty(), "no test begins with {missing:?}");
}

/// Whether a name begins with an id, and if so with one that there is.
fn id(name: &str) -> Option<bool> {
    let mut chars = name.chars();
    let (letter, rest) = (chars.next()?, chars.as_str());
    let (_, ranges) = IDS.iter().find(|(known, _)| *known == letter)?;
    let digits = rest.split(|c: char| !c.is_ascii_digit()).next().filter(|digits| !digits.is_empty())?;
    let number: u32 = digits.parse().unwrap_or(0);
    let known = ranges.iter().any(|(first, last)| (*first..=*last).contains(&number));
    Some(known && digits.len() == 2 && rest[2..].starts_with('_'))
}

#[test]
fn an_id_in_a_name_is_an_id_that_there_is() {
    for (name, answer) in [("j07_x", Some(true)), ("j7_x", Some(false)), ("s31_x", Some(false)), ("a_x", None), ("v2_x", None)] {
        assert_eq!(id(name), answer, "{name}");
    }
    let mut count = 0;
    for (path, name) in tests() {
        assert_ne!(id(&name), Some(false), "{path}: {name} begins with an id that there is not");
        count += usize::from(id(&name) == Some(true));
    }
    assert!(count > 20, "names with ids are found");
}
