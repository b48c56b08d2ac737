//! The recordings: files of lines, each what one side said on one connection (recordings/README.md).

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// One conversation of a real gateway with its clients.
pub(crate) struct Recording {
    /// Release and name, for example `9.6/mode-none/x-startup`.
    pub(crate) name: String,
    pub(crate) lines: Vec<Line>,
}

/// One line.
pub(crate) struct Line {
    pub(crate) at_ms: u64,
    /// Which connection; empty for what is none's.
    pub(crate) connection: String,
    pub(crate) is_ours_to_send: bool,
    pub(crate) kind: Kind,
    pub(crate) frame: Value,
}

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Kind {
    /// A device or a request that was there before.
    Before,
    /// What the next lines try, in words.
    Note,
    /// An upgrade, a plain exchange, or the answer to either.
    Http,
    Text,
    Close,
}

impl Recording {
    pub(crate) fn release(&self) -> &str {
        self.name.split('/').next().unwrap_or_default()
    }

    /// Whether the run that it was made in was configured so, which its folder tells.
    pub(crate) fn ran_with(&self, folder: &str) -> bool {
        self.name.split('/').nth(1) == Some(folder)
    }

    /// All of them, in order of their names.
    pub(crate) fn all() -> Vec<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance/recordings");
        let mut files = vec![];
        files_below(&root, &mut files);
        files.sort();
        files.iter().map(|file| Self::read(&root, file)).collect()
    }

    fn read(root: &Path, file: &Path) -> Self {
        let name = file.strip_prefix(root).expect("below it").with_extension("").display().to_string();
        let text = fs::read_to_string(file).expect("readable");
        Self { name, lines: text.lines().map(Line::parse).collect() }
    }
}

fn files_below(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files_below(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "jsonl") {
            files.push(path);
        }
    }
}

impl Line {
    fn parse(text: &str) -> Self {
        let line: Value = serde_json::from_str(text).expect("JSON");
        let kind = match line["kind"].as_str() {
            Some("before") => Kind::Before,
            Some("note") => Kind::Note,
            Some("http") => Kind::Http,
            Some("text") => Kind::Text,
            Some("close") => Kind::Close,
            _ => panic!("a kind of line that nobody plays: {text}"),
        };
        Self {
            at_ms: line["t_ms"].as_u64().expect("a time"),
            connection: line["conn"].as_str().unwrap_or_default().to_owned(),
            is_ours_to_send: line["dir"] == "c2s",
            kind,
            frame: line["frame"].clone(),
        }
    }
}
