//! The owner channel: a Unix socket in a directory that only the owner may enter, and whose peer the kernel names. It gives no
//! new power, since the owner may write the journal anyway. One request frame a line, one response frame a line.

use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;

use super::methods::{Caller, Desk};
use super::person::person;
use crate::limits;
use crate::peer;
use crate::wire::error::not_the_owner;
use crate::wire::frame::{self, Malformed, WireError, parse_call};

/// A socket address holds 108 bytes, the last of them zero.
const SOCKET_PATH_BYTES: usize = 107;

/// A path under which the kernel takes `path` however long it is, and the directory handle that keeps it good.
///
/// # Errors
/// The directory cannot be opened.
pub fn short_path(path: &Path) -> io::Result<(PathBuf, Option<std::fs::File>)> {
    use std::os::fd::AsRawFd as _;
    if path.as_os_str().len() <= SOCKET_PATH_BYTES {
        return Ok((path.to_owned(), None));
    }
    let dir = std::fs::File::open(path.parent().unwrap_or(Path::new("/")))?;
    let name = path.file_name().unwrap_or_default();
    Ok((PathBuf::from(format!("/proc/self/fd/{}", dir.as_raw_fd())).join(name), Some(dir)))
}

/// Opens the channel, or says why there is none. A socket of ours in its place is a dead one while we hold the journal's lock,
/// and only then it is replaced; anything else there is left alone.
///
/// # Errors
/// Why the owner has to stop the gateway to act: nothing weaker takes the channel's place.
pub(super) fn listen(path: &Path, owner: u32, is_locked: bool) -> Result<UnixListener, String> {
    if peer::is_nobody(owner) {
        return Err(format!(
            "the journal reads as owned by uid {owner}, which stands for every user that this namespace does not know"
        ));
    }
    let failed = |op: &'static str| move |error: io::Error| format!("cannot {op} {}: {error}", path.display());
    match std::fs::symlink_metadata(path) {
        Ok(found) if is_locked && found.file_type().is_socket() && found.uid() == owner => {
            std::fs::remove_file(path).map_err(failed("replace"))?;
        }
        Ok(found) if !found.file_type().is_socket() => {
            return Err(format!("{} is there already, and is no socket", path.display()));
        }
        Ok(_) => return Err(format!("{} is there already, and may be another's", path.display())),
        Err(_) => {}
    }
    let (short, _dir) = short_path(path).map_err(failed("listen on"))?;
    let listener = UnixListener::bind(short).map_err(failed("listen on"))?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).map_err(failed("protect"))?;
    Ok(listener)
}

/// Serves the channel until the task is dropped, and with it whoever is still on the channel.
pub(super) async fn serve(listener: UnixListener, desk: Arc<Desk>, owner: u32) {
    let mut serving = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => drop(serving.spawn(answer(stream, Arc::clone(&desk), owner))),
                Err(error) => {
                    tracing::warn!(%error, "the owner channel cannot accept");
                    tokio::time::sleep(limits::ACCEPT_PAUSE).await;
                }
            },
            Some(_) = serving.join_next() => {}
        }
    }
}

async fn answer(stream: UnixStream, desk: Arc<Desk>, owner: u32) {
    let Ok(credentials) = stream.peer_cred() else { return };
    let uid = credentials.uid();
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read);
    let person = person(uid, credentials.pid().and_then(|pid| u32::try_from(pid).ok()).unwrap_or(0));
    let caller = Caller::owner(person);
    loop {
        let mut line = Vec::new();
        let limit = u64::try_from(limits::OWNER_LINE_BYTES).unwrap_or(u64::MAX);
        match (&mut lines).take(limit).read_until(b'\n', &mut line).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let reply = if peer::is_nobody(uid) || uid != owner && uid != 0 {
            frame::response("invalid", &Err(not_the_owner(owner, uid)))
        } else {
            match parse_call(&line) {
                Ok(call) => frame::response(&call.id.0, &desk.call(&caller, &call.method.0, call.params.as_deref()).await),
                Err(Malformed::NotARequest { id, why }) => {
                    frame::response(&id, &Err(WireError::invalid(format!("invalid request frame: {why}"))))
                }
                Err(Malformed::NotJson) => return,
            }
        };
        if write.write_all(format!("{reply}\n").as_bytes()).await.is_err() {
            return;
        }
    }
}
