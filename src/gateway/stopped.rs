//! A stopped gateway's journal in the hands of its owner: read without the lock, so that looking never stands in the way of a
//! start, and written under it. Or what it said at a moment that is over, whether or not a gateway runs. The same table of methods
//! answers as on a socket.

use std::sync::Arc;

use serde_json::Value;
use serde_json::value::RawValue;

use super::hub::Hub;
use super::methods::{Caller, Desk};
use super::person::person;
use super::{GatewayError, copies, open_desk, outlive_file_limits};
use crate::authority::{self, Handle, PastError, Writing};
use crate::host::{Host, ManualHost};
use crate::journal::{Journal, JournalError, Lock, Reader};
use crate::pairing::{Millis, Moment, Person, Registry, Seq};
use crate::settings::Advertised;
use crate::state::StateDir;
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
        if let Err(error) = copies::write(&self.state, &self.desk.authority.registry()) {
            tracing::warn!(%error, "the copies for other tools could not be written");
        }
        drop(self.desk);
        // A writer that panicked has nothing more to say.
        let _ = tokio::task::spawn_blocking(move || writing.join()).await;
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
