//! A stopped gateway's journal in the hands of its owner: read without the lock, so that looking never stands in the way of a
//! start, and written under it. Or what it said at a moment that is over, whether or not a gateway runs. The same table of methods
//! answers as on a socket.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value;
use serde_json::value::RawValue;

use super::hub::Hub;
use super::methods::{Caller, Desk};
use super::person::person;
use super::{GatewayError, copies, open_desk, outlive_file_limits};
use crate::authority::{self, Handle, NotAccepted, PastError, Writing};
use crate::host::{Host, ManualHost};
use crate::journal::{Journal, JournalError, Lock, Lost, Reader};
use crate::pairing::{Command, DeviceId, Millis, Moment, Outcome, Person, Registry, Seq};
use crate::settings::Advertised;
use crate::state::{StateDir, StateError};
use crate::wire::error::{Subject, command_refused, unrecorded};
use crate::wire::frame::WireError;

/// The journal of a gateway that does not run.
pub struct Stopped {
    state: StateDir,
    desk: Arc<Desk>,
    writing: Option<Writing>,
    caller: Caller,
}

impl Stopped {
    /// Folds what is on record; nothing can be changed.
    ///
    /// # Errors
    /// [`GatewayError`]; [`JournalError::NotAJournal`] where there is none.
    pub fn to_read(state: StateDir, host: Arc<dyn Host>) -> Result<Self, GatewayError> {
        let (registry, reader) = authority::look(&state.journal())?;
        Ok(Self::over(state, registry, reader, host))
    }

    /// Folds what was on record at `moment`, when its clock stands still. Nothing can be changed, and nothing of later is told.
    ///
    /// # Errors
    /// [`PastError`].
    pub fn to_look_back(state: StateDir, moment: Moment) -> Result<Self, PastError> {
        let ([registry], reader) = authority::past(&state.journal(), [moment], &mut |_| {})?;
        let at = match moment {
            Moment::Seq(_) => registry.now(),
            Moment::Time(at) => at,
        };
        Ok(Self::over(state, registry, reader, Arc::new(ManualHost::new(at, 0))))
    }

    /// Where nobody writes.
    fn over(state: StateDir, registry: Registry, reader: Reader, host: Arc<dyn Host>) -> Self {
        let authority = Handle::resting(registry, reader.id(), Arc::clone(&host));
        let desk = Arc::new(Desk::new(&state, authority, reader, Arc::new(Hub::default()), host, (false, advertised(&state))));
        Self { state, desk, writing: None, caller: this_process() }
    }

    /// The last record that it knows, and what its clock says.
    #[must_use]
    pub fn now(&self) -> (Seq, Millis) {
        (self.desk.authority.registry().head(), self.desk.host.wall())
    }

    /// Opens the journal under its lock.
    ///
    /// # Errors
    /// [`GatewayError`]; [`JournalError::NotAJournal`] where there is none, [`JournalError::Locked`] while a gateway runs.
    pub fn to_act(state: StateDir, host: Arc<dyn Host>) -> Result<Self, GatewayError> {
        if !Journal::exists(&state.journal())? {
            return Err(JournalError::NotAJournal { path: state.journal() }.into());
        }
        Self::to_begin(state, host)
    }

    /// Opens the journal under its lock, or begins one.
    ///
    /// # Errors
    /// [`GatewayError`]; [`JournalError::Locked`] while a gateway runs.
    pub fn to_begin(state: StateDir, host: Arc<dyn Host>) -> Result<Self, GatewayError> {
        outlive_file_limits();
        state.prepare()?;
        let lock = Lock::acquire(&state.journal())?;
        let (desk, writing) = open_desk(&state, lock, host, None, advertised(&state))?;
        Ok(Self { state, desk, writing: Some(writing), caller: this_process() })
    }

    /// Answers a call of the owner.
    ///
    /// # Errors
    /// What a client would be told.
    pub async fn call(&self, method: &str, params: Option<&RawValue>) -> Result<Value, WireError> {
        self.desk.call(&self.caller, method, params).await
    }

    /// Writes the copies for other tools, where something may have changed, and closes the journal.
    pub async fn close(self) {
        let Some(writing) = self.writing else { return };
        let registry = self.desk.authority.registry();
        let kept = if registry.last_run().is_none() { copies::keep_original(&self.state) } else { Ok(()) };
        if let Err(error) = kept.and_then(|()| copies::write(&self.state, &registry)) {
            tracing::warn!(%error, "the copies for other tools could not be written");
        }
        drop(self.desk);
        // A writer that panicked has nothing more to say.
        let _ = tokio::task::spawn_blocking(move || writing.join()).await;
    }
}

/// Gives up what is lost of a stopped gateway's journal, which must be what was `shown`; `keeps` are the devices that keep what they
/// hold.
///
/// # Errors
/// [`Unrecovered`].
pub fn accept_rollback(state: &StateDir, host: &dyn Host, shown: &Lost, keeps: Vec<DeviceId>) -> Result<(), Unrecovered> {
    outlive_file_limits();
    state.prepare()?;
    let lock = Lock::acquire(&state.journal())?;
    let registry = authority::accept_rollback(lock, host, state.witnesses(), this_process().actor, shown, keeps);
    let registry = registry.map_err(|error| match error {
        NotAccepted::Refused(refusal) => Unrecovered::Refused(command_refused(&refusal, Subject::default())),
        NotAccepted::Journal(error) => GatewayError::from(error).into(),
        NotAccepted::Moved => Unrecovered::Refused(WireError::invalid(error.to_string())),
    })?;
    if let Err(error) = copies::write(state, &registry) {
        tracing::warn!(%error, "the copies for other tools could not be written");
    }
    Ok(())
}

/// Puts a token key that cannot be used aside, makes a new one, and records that; tells where the old one is, if it lay there.
///
/// # Errors
/// [`Unrecovered`].
pub async fn replace_token_key(state: StateDir, host: Arc<dyn Host>) -> Result<Option<PathBuf>, Unrecovered> {
    let journal = state.journal();
    if !Journal::exists(&journal)? {
        return Err(JournalError::NotAJournal { path: journal }.into());
    }
    state.prepare()?;
    let lock = Lock::acquire(&journal)?;
    let kept = match state.read_token_key() {
        Ok(Some(_)) => return Err(Unrecovered::Refused(WireError::invalid(GOOD_KEY.to_owned()))),
        Ok(None) => None,
        Err(_) => Some(state.put_token_key_aside()?),
    };
    let (desk, writing) = open_desk(&state, lock, host, None, advertised(&state))?;
    let stopped = Stopped { state, desk, writing: Some(writing), caller: this_process() };
    let key = stopped.desk.authority.key_id();
    let recorded = match key {
        Some(key) => stopped.desk.authority.ask(Command::ReplaceKey { key }, stopped.caller.actor.clone()).await,
        None => Ok(Outcome::Noted),
    };
    stopped.close().await;
    recorded.map(|_| kept).map_err(|_| Unrecovered::Refused(unrecorded()))
}

const GOOD_KEY: &str = "the token key is there and can be used, so it is not replaced; to make every token new, remove or rotate \
                        the devices: openclaw devices rotate";

/// Why something lost was not got back.
#[derive(Debug, thiserror::Error)]
pub enum Unrecovered {
    /// The gateway's state cannot be used.
    #[error(transparent)]
    Gateway(#[from] GatewayError),
    /// It is refused.
    #[error("{}", .0.message)]
    Refused(WireError),
}

impl From<JournalError> for Unrecovered {
    fn from(error: JournalError) -> Self {
        Self::Gateway(error.into())
    }
}

impl From<StateError> for Unrecovered {
    fn from(error: StateError) -> Self {
        Self::Gateway(error.into())
    }
}

fn advertised(state: &StateDir) -> Result<Advertised, String> {
    Advertised::load(state).map_err(|error| error.to_string())
}

fn this_process() -> Caller {
    Caller::owner(this_person())
}

/// Whoever runs this process, as they are recorded.
#[must_use]
pub fn this_person() -> Person {
    person(rustix::process::geteuid().as_raw(), std::process::id())
}
