//! The database of 2026.9.6. SQLite never sees the real one: it reads a private copy, with what stood in the log beside it, trusts
//! nothing in its schema, and looks at two tables that must be tables.

use std::fs::{File, Metadata};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags, Row};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::{DATABASE, Entry, Flaw, Reading, SourceError, json};
use crate::limits;
use crate::pairing::Digest;
use crate::state::{StateError, io_error};
use crate::views::quote;

/// What is written to it and not yet in it.
const LOG: &str = "state/openclaw.sqlite-wal";
/// Columns of text, by the names that 2026.3.13 has for them.
const TEXTS: [(&str, &str); 10] = [
    ("device_id", "deviceId"),
    ("public_key", "publicKey"),
    ("display_name", "displayName"),
    ("operator_label", "operatorLabel"),
    ("platform", "platform"),
    ("device_family", "deviceFamily"),
    ("client_id", "clientId"),
    ("client_mode", "clientMode"),
    ("role", "role"),
    ("remote_ip", "remoteIp"),
];
/// Columns of JSON.
const DOCUMENTS: [(&str, &str); 5] = [
    ("roles_json", "roles"),
    ("scopes_json", "scopes"),
    ("approved_scopes_json", "approvedScopes"),
    ("tokens_json", "tokens"),
    ("node_surface_json", "nodeSurface"),
];
/// Columns of times.
const TIMES: [(&str, &str); 3] =
    [("created_at_ms", "createdAtMs"), ("approved_at_ms", "approvedAtMs"), ("last_seen_at_ms", "lastSeenAtMs")];

/// What a database holds.
pub(super) struct Held {
    /// Its paired devices.
    pub(super) paired: Vec<(String, json::Item)>,
    /// How many requests wait.
    pub(super) pending: usize,
}

/// Reads the database; none where there is none.
pub(super) fn read(reading: &mut Reading<'_>) -> Result<Option<Held>, SourceError> {
    let (path, Some(_)) = reading.open(DATABASE)? else { return Ok(None) };
    let private = tempfile::tempdir().map_err(io_error("copy", &path))?;
    let copy = private.path().join("copy.sqlite");
    let digests = copied(reading, &path, &copy)?;
    for (name, digest) in digests {
        reading.was_read(name, digest);
    }
    let held = held(&copy).map_err(|why| SourceError::Malformed { path: path.clone(), why })?;
    held.map(Some).ok_or(SourceError::TooMany { path, limit: limits::IMPORTED_DEVICES })
}

/// Copies the database and its log as they were at one moment, or says that somebody writes them.
fn copied(reading: &Reading<'_>, path: &Path, copy: &Path) -> Result<Vec<(&'static str, Digest)>, SourceError> {
    for _ in 0..limits::DATABASE_TRIES {
        let before = look(reading)?;
        let mut digests = vec![];
        for (name, end) in [(DATABASE, ""), (LOG, "-wal")] {
            let (from, Some(file)) = reading.open(name)? else { continue };
            let mut to = copy.as_os_str().to_owned();
            to.push(end);
            digests.push((name, copied_file(&from, file, Path::new(&to))?));
        }
        if look(reading)? == before {
            return Ok(digests);
        }
    }
    Err(SourceError::Changing { path: path.to_owned() })
}

/// Which file it is, how long, and when it was written, where it is there.
type Seen = Option<(u64, u64, i64, i64)>;

/// Enough of what the system says of both files to notice a write.
fn look(reading: &Reading<'_>) -> Result<Vec<Seen>, SourceError> {
    let seen = |metadata: Metadata| (metadata.ino(), metadata.len(), metadata.mtime(), metadata.mtime_nsec());
    [DATABASE, LOG]
        .into_iter()
        .map(|name| {
            let (path, file) = reading.open(name)?;
            let metadata = file.map(|file| file.metadata()).transpose().map_err(io_error("read", &path))?;
            Ok(metadata.map(seen))
        })
        .collect()
}

fn copied_file(from: &Path, file: File, to: &Path) -> Result<Digest, StateError> {
    let limit = limits::DATABASE_BYTES;
    let mut file = file.take(limit.saturating_add(1));
    let written = |to: &Path| std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(to);
    let mut copy = written(to).map_err(io_error("write", to))?;
    let (mut hash, mut part, mut bytes) = (Sha256::new(), vec![0; limits::DATABASE_STEP_BYTES], 0_u64);
    loop {
        let count = match file.read(&mut part) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(source) => return Err(io_error("read", from)(source)),
        };
        let part = part.get(..count).unwrap_or_default();
        bytes = bytes.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
        if bytes > limit {
            return Err(StateError::TooLarge { path: PathBuf::from(from), limit });
        }
        hash.update(part);
        copy.write_all(part).map_err(io_error("write", to))?;
    }
    Ok(Digest(hash.finalize().into()))
}

/// What the copy holds, or why it is not what OpenClaw writes; none where it is too much.
fn held(copy: &Path) -> Result<Option<Held>, String> {
    let database = opened(copy).map_err(|error| told(&error))?;
    if !is_table(&database, "device_pairing_paired").map_err(|error| told(&error))? {
        return Err("it has no table device_pairing_paired".to_owned());
    }
    let Some(paired) = paired(&database).map_err(|error| told(&error))? else { return Ok(None) };
    let pending = if is_table(&database, "device_pairing_pending").map_err(|error| told(&error))? {
        let count = database.query_row("SELECT count(*) FROM device_pairing_pending", [], |row| row.get::<_, i64>(0));
        usize::try_from(count.map_err(|error| told(&error))?).unwrap_or_default()
    } else {
        0
    };
    Ok(Some(Held { paired, pending }))
}

fn opened(copy: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let database = Connection::open_with_flags(copy, flags)?;
    for (what, is_on) in [
        (DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true),
        (DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false),
    ] {
        database.set_db_config(what, is_on)?;
    }
    for (what, most) in [
        (Limit::SQLITE_LIMIT_LENGTH, limits::DATABASE_ROW_BYTES),
        (Limit::SQLITE_LIMIT_ATTACHED, 0),
        (Limit::SQLITE_LIMIT_WORKER_THREADS, 0),
        (Limit::SQLITE_LIMIT_TRIGGER_DEPTH, 0),
    ] {
        database.set_limit(what, most)?;
    }
    database.execute_batch(
        "PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON; PRAGMA query_only = ON; PRAGMA mmap_size = 0;",
    )?;
    Ok(database)
}

/// Whether that is a table with pages of its own: neither a view nor what some module would make up.
fn is_table(database: &Connection, name: &str) -> rusqlite::Result<bool> {
    let found = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = ?1 AND rootpage > 0";
    database.query_row(found, [name], |row| row.get::<_, i64>(0)).map(|count| count == 1)
}

fn paired(database: &Connection) -> rusqlite::Result<Option<Vec<(String, json::Item)>>> {
    let mut statement = database.prepare("SELECT * FROM device_pairing_paired")?;
    let mut rows = statement.query([])?;
    let mut paired = vec![];
    while let Some(row) = rows.next()? {
        if paired.len() >= limits::IMPORTED_DEVICES {
            return Ok(None);
        }
        let entry = entry(row);
        let id = entry.as_ref().ok().and_then(|entry| entry.get("deviceId")).and_then(Value::as_str).map(str::to_owned);
        let id = id.or_else(|| text(row, "device_id").ok().flatten()).unwrap_or_default();
        paired.push((id, entry));
    }
    Ok(Some(paired))
}

/// A row in the form of 2026.3.13. A column that an older 2026.9 does not have yet says nothing.
fn entry(row: &Row<'_>) -> json::Item {
    let mut entry = Entry::new();
    for (column, key) in TEXTS {
        entry.extend(text(row, column)?.map(|text| (key.to_owned(), text.into())));
    }
    for (column, key) in DOCUMENTS {
        let document = text(row, column)?.map(|text| serde_json::from_str(&text)).transpose().map_err(|_| Flaw::NoEntry)?;
        entry.extend(document.filter(|value: &Value| !value.is_null()).map(|value| (key.to_owned(), value)));
    }
    for (column, key) in TIMES {
        match row.get_ref(column) {
            Ok(ValueRef::Integer(time)) => drop(entry.insert(key.to_owned(), time.into())),
            Ok(ValueRef::Null) | Err(_) => {}
            Ok(_) => return Err(Flaw::NoEntry),
        }
    }
    // Without any there is nothing that it holds; the other release would say that by an absent key.
    entry.entry("tokens").or_insert_with(|| Entry::new().into());
    Ok(entry)
}

fn text(row: &Row<'_>, column: &str) -> Result<Option<String>, Flaw> {
    match row.get_ref(column) {
        Ok(ValueRef::Text(bytes)) => std::str::from_utf8(bytes).map(|text| Some(text.to_owned())).map_err(|_| Flaw::NoEntry),
        Ok(ValueRef::Null) | Err(_) => Ok(None),
        Ok(_) => Err(Flaw::NoEntry),
    }
}

/// In a sentence of the library's own: it says nothing of what is in the file but names of tables.
fn told(error: &rusqlite::Error) -> String {
    quote(&error.to_string())
}
