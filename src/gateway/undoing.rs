//! Undoing: what an act was is read off the journal, on a thread of its own and for one caller at a time, since that may mean all
//! of it; what undoes it is decided like any other command.

use serde_json::Value;

use super::methods::{Caller, Desk};
use super::reading::aside;
use crate::authority;
use crate::limits;
use crate::pairing::{Command, Done, Outcome, Record, Seq, done_beside, may_read};
use crate::wire::error::{Subject, command_refused, unrecorded};
use crate::wire::frame::WireError;
use crate::wire::undo::{self, UndoParams};

impl Desk {
    /// Takes an earlier act back; or only tells what would be appended.
    pub(super) async fn undo(&self, caller: &Caller, UndoParams { seq, dry_run }: UndoParams) -> Result<Value, WireError> {
        let (done, beside) = self.done(caller, Seq(seq)).await?;
        let before = self.authority.registry();
        let act = done.as_ref().map(|done| done.record.clone());
        let command = Command::Undo { done: done.map(Box::new) };
        let (outcome, events) = if dry_run {
            let (decision, at) = self.authority.consider(command, caller.actor.clone());
            let told = decision.events.iter().map(|(actor, event)| undo::planned(actor, event, at)).collect();
            (decision.outcome, told)
        } else {
            let outcome = self.authority.ask(command, caller.actor.clone()).await.map_err(|_| unrecorded())?;
            let appended = match &outcome {
                Outcome::Undone { first, last } => self.records(*first, limits::READ_RECORDS, *last).await?,
                _ => vec![],
            };
            (outcome, appended.iter().map(undo::appended).collect())
        };
        match (outcome, act) {
            (Outcome::Undone { .. }, Some(act)) => Ok(undo::told(&act, events, &beside, &before, dry_run)),
            (Outcome::Refused(refusal), _) => Err(command_refused(&refusal, Subject::default())),
            _ => Err(unrecorded()),
        }
    }

    /// The act of record `seq` and those that one command did with it, where the caller may read them: who may not costs nothing.
    async fn done(&self, caller: &Caller, seq: Seq) -> Result<(Option<Done>, Vec<Seq>), WireError> {
        let registry = self.authority.registry();
        let most = u64::try_from(limits::REMOVED_AT_ONCE).unwrap_or(u64::MAX);
        let (from, to) = (Seq(seq.0.saturating_sub(most)), Seq(seq.0.saturating_add(most)).min(registry.head()));
        let near = limits::REMOVED_AT_ONCE.saturating_mul(2).saturating_add(1);
        let mut records = self.records(from, near, to).await?;
        records.retain(|record: &Record| may_read(&registry, &caller.actor, record));
        if !records.iter().any(|record| record.seq == seq) {
            return Ok((None, vec![]));
        }
        let _mine = self.reading_all.lock().await;
        let (journal, through) = (self.journal.clone(), registry.head());
        let done = aside(move || Ok(authority::done(&journal, seq, through)?)).await?;
        Ok((done, done_beside(&records, seq)))
    }
}
