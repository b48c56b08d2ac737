//! `openclaw doctor`: what a person should know, and the one command that comes next. It looks at the files themselves, whether a
//! gateway runs or not, takes no lock that anybody could wait for, connects as no device, and changes nothing.

use std::convert::Infallible;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::door::Here;
use super::neighbour::{is_alive, openclaw_on};
use super::output::Output;
use super::policy::read as read_policy;
use super::{Exit, Failure, World};
use crate::authority;
use crate::gateway::{foreign, this_person};
use crate::journal::{JournalError, Reader, Verdict, Witness, check_locks, holder, verify};
use crate::keyring::{KeyringError, OwnDevice};
use crate::limits;
use crate::pairing::{Actor, Condition, DEFAULT_POLICY, DeviceId, Policy, Registry, Seq, policy_digest, same};
use crate::settings;
use crate::state::{self, StateError};
use crate::views::{Aftermath, Finding, Scene, Severity, diagnose, quote, shell_word};

pub(super) const EXIT_CODES: &str = "Exit codes: 0 where nothing needs a person, 1 where something does, also where the journal is \
                                     damaged, rolled back or too new; notes need nobody";

#[derive(clap::Args)]
pub(super) struct Doctor {
    /// Tell also whether the policy in this file is the one in force
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    #[command(flatten)]
    here: Here,
}

pub(super) async fn run(args: &Doctor, world: &World, out: &Output) -> Result<(), Failure> {
    out.speak_json(args.here.json);
    world.state.check_owner()?;
    let is_running = args.here.is_answered(world).await? || holder(&world.state.journal()).is_some_and(is_alive);
    let policy = args.policy.as_deref().map(|path| read_policy(path).map(|text| (path, text))).transpose()?;
    let findings = examine(policy.as_ref().map(|(path, text)| (*path, &**text)), world, is_running);
    let problems = findings.iter().filter(|finding| finding.severity == Severity::Problem).count();
    if args.here.json {
        let rows: Vec<_> = findings.iter().map(row).collect();
        out.json(&json!({ "ok": problems == 0, "findings": rows }))?;
    } else {
        findings.iter().try_for_each(|finding| show(finding, out))?;
        if findings.is_empty() {
            out.line("Well           nothing needs a person")?;
        }
    }
    // The findings were the result; that somebody has to act is beside it.
    out.speak_json(false);
    match problems {
        0 => Ok(()),
        1 => Err(Failure::new(Exit::Failed, "1 problem needs a person")),
        several => Err(Failure::new(Exit::Failed, format!("{several} problems need a person"))),
    }
}

fn show(finding: &Finding, out: &Output) -> Result<(), Failure> {
    let label = match finding.severity {
        Severity::Problem => "Problem",
        Severity::Note => "Note",
    };
    out.line(format_args!("{label:<15}{}", finding.text))?;
    finding.command.as_ref().map_or(Ok(()), |command| out.line(format_args!("  Next         {command}")))
}

fn row(finding: &Finding) -> Value {
    let mut row = Map::new();
    row.insert("id".to_owned(), finding.id.into());
    row.insert("severity".to_owned(), finding.severity.as_str().into());
    row.insert("text".to_owned(), finding.text.clone().into());
    row.extend(finding.command.as_ref().map(|command| ("command".to_owned(), command.clone().into())));
    let devices: Vec<_> = finding.devices.iter().map(DeviceId::to_string).collect();
    row.extend((!devices.is_empty()).then(|| ("devices".to_owned(), devices.into())));
    row.into()
}

/// What was found, what has to be done first.
fn examine(policy: Option<(&Path, &str)>, world: &World, is_running: bool) -> Vec<Finding> {
    let mut findings = place(world);
    findings.extend(settings_read(world));
    let (has_key, key) = token_key(world, is_running);
    findings.extend(key);
    let (identity, own) = identity(world);
    findings.extend(own);
    findings.extend(openclaw_on(&world.state).map(|pid| {
        let text = format!(
            "process {pid} is an OpenClaw gateway on this directory too, by its lock file or the database that it holds open: it \
             keeps a list of devices of its own, and what one of the two knows the other does not"
        );
        Finding::problem("anotherGateway", text).next(format!("kill {pid}"))
    }));
    match journal(world) {
        Err(error @ JournalError::NotAJournal { .. }) if !is_running => {
            findings.push(Finding::note("journal", error.to_string()).next("openclaw gateway run"));
        }
        Err(error) => findings.push(unreadable(&error)),
        Ok((registry, aftermath)) => {
            let whole = whole(world, is_running);
            let is_whole = whole.as_ref().is_none_or(|finding| finding.severity == Severity::Note);
            findings.extend(whole);
            // Nothing that is on record can be acted on before.
            if !is_whole {
                return findings;
            }
            let is_clear = findings.iter().all(|finding| !matches!(finding.id, "directory" | "settings" | "locks"));
            let can_start = !is_running && is_clear;
            let scene = Scene {
                registry: &registry,
                aftermath: &aftermath,
                now: registry.now().max(world.host.wall()),
                actor: Actor::Owner(this_person()),
                identity,
                has_key,
                can_start,
            };
            findings.extend(diagnose(&scene));
            if !is_running {
                findings.push(stopped(&registry, can_start));
            }
            findings.extend(witness(&registry));
            // One that runs may be writing them, and looks itself when it starts.
            if !is_running && registry.last_run().is_some() && registry.condition(Condition::Devices).is_none() {
                let told = foreign(&world.state, &registry).into_iter().map(|found| format!("devices/ {}", quote(&found)));
                findings.extend(told.map(|text| Finding::note("devicesFile", text).next("openclaw devices list")));
            }
            findings.extend(policy.and_then(|(path, text)| policy_file(path, text, &registry)));
        }
    }
    findings.sort_by_key(|finding| finding.severity);
    findings
}

// --- what lies in the state directory ---------------------------------------------------------------------------

/// Who may write where, and whether there is room.
fn place(world: &World) -> Vec<Finding> {
    let mut findings: Vec<_> = world.state.unusable().iter().map(|error| of_file("directory", error)).collect();
    if let Some(free) = world.state.free_bytes().filter(|free| *free < limits::DISK_LEFT_BYTES) {
        let (free, path) = (free / 1024 / 1024, world.state.root().display().to_string());
        let text = format!(
            "the disk of {} is nearly full: {free} MB are left, and what cannot be recorded is refused; make room",
            quote(&path)
        );
        findings.push(Finding::problem("disk", text));
    }
    if let Err(error @ JournalError::NoLocks { .. }) = check_locks(&world.state.journal()) {
        findings.push(Finding::problem("locks", error.to_string()));
    }
    findings
}

fn of_file(id: &'static str, error: &StateError) -> Finding {
    let finding = Finding::problem(id, quote(&error.to_string()));
    let word = |path: &Path| shell_word(&path.display().to_string());
    let command = error.mode().and_then(|(mode, path)| Some(format!("chmod {mode} {}", word(path)?)));
    Finding { command, ..finding }
}

/// Whether the settings can be used.
fn settings_read(world: &World) -> Option<Finding> {
    let text = |path: &Path| state::read(path, limits::SETTINGS_BYTES).map(Option::unwrap_or_default);
    let texts = text(&world.state.config()).and_then(|config| Ok((config, text(&world.state.own_settings())?)));
    let (config, own) = match texts {
        Ok(texts) => texts,
        Err(error) => return Some(of_file("settings", &error)),
    };
    let or_nothing = |text: Vec<u8>| if text.is_empty() { b"{}".to_vec() } else { text };
    let checked = settings::check(&or_nothing(config), &or_nothing(own));
    checked.err().map(|error| Finding::problem("settings", quote(&error.to_string())))
}

fn token_key(world: &World, is_running: bool) -> (bool, Option<Finding>) {
    match world.state.has_token_key() {
        // A gateway that runs has read it, and one that starts makes one.
        Ok(found) => (found || is_running, None),
        Err(error @ StateError::NotAKey { .. }) => (false, Some(of_file("tokenKey", &error).next("openclaw recover --new-key"))),
        Err(error) => (false, Some(of_file("tokenKey", &error))),
    }
}

fn identity(world: &World) -> (Option<DeviceId>, Option<Finding>) {
    match OwnDevice::load(&world.state) {
        Ok(device) => (device.map(|device| device.id()), None),
        Err(KeyringError::State(error)) => (None, Some(of_file("identityFile", &error))),
        Err(error) => (None, Some(Finding::problem("identityFile", quote(&error.to_string())))),
    }
}

// --- the journal ----------------------------------------------------------------------------------------------------

fn journal(world: &World) -> Result<(Registry, Aftermath), JournalError> {
    let (registry, mut reader) = authority::look(&world.state.journal())?;
    let aftermath = newest(&mut reader, registry.head())?;
    Ok((registry, aftermath))
}

fn newest(reader: &mut Reader, head: Seq) -> Result<Aftermath, JournalError> {
    let mut aftermath = Aftermath::default();
    let first = Seq(head.0.saturating_sub(limits::WHY_RECORDS)).next();
    let _all: ControlFlow<Infallible> = reader.each(first, head, |record| {
        aftermath.hear(record);
        ControlFlow::Continue(())
    })?;
    Ok(aftermath)
}

/// In the words of the start that fails for the same reason.
fn unreadable(error: &JournalError) -> Finding {
    let finding = Finding::problem("journal", quote(&error.to_string()));
    match error {
        JournalError::Corrupt { .. } | JournalError::Impossible(_) => finding.next("openclaw recover"),
        JournalError::RolledBack { .. } => finding.next("openclaw recover --accept-rollback"),
        _ => finding,
    }
}

/// Whether all of it is there, where reading it takes no time.
fn whole(world: &World, is_running: bool) -> Option<Finding> {
    let dir = world.state.journal();
    let files = std::fs::read_dir(&dir).ok()?.flatten();
    let bytes = files.filter_map(|file| Some(file.metadata().ok()?.len())).fold(0_u64, u64::saturating_add);
    if bytes > limits::DOCTOR_BYTES {
        let text = "the journal is long, so only its end was checked";
        return Some(Finding::note("journal", text).next("openclaw journal verify"));
    }
    let error = match verify(&dir) {
        Ok(Verdict::Sound(_)) => return None,
        // One that runs may be writing it.
        Ok(Verdict::TornTail { .. }) if is_running => return None,
        Ok(Verdict::TornTail { bytes, what, sound }) => {
            let after = sound.head.seq;
            let text = format!("the journal ends in {bytes} bytes after seq {after} that were never acknowledged ({what})");
            return Some(Finding::note("journal", text).next("openclaw journal repair"));
        }
        Ok(Verdict::Corrupt { segment, offset, seq, what, .. }) => JournalError::Corrupt { segment, offset, seq, what },
        Ok(Verdict::RolledBack { sound, witnessed, witness }) => {
            JournalError::RolledBack { head: sound.head.seq, witnessed, witness }
        }
        Ok(Verdict::TooNew { segment, found, .. }) => JournalError::TooNew { segment, found },
        Err(error) => error,
    };
    Some(unreadable(&error))
}

/// Whether what remembers the head outside of the journal is where it was placed.
fn witness(registry: &Registry) -> Option<Finding> {
    let path = registry.witness()?;
    let why = match Witness::look(Path::new(path)) {
        Ok(Some((id, _))) if Some(id) == registry.journal() => return None,
        Ok(Some(_)) => "is that of another journal".to_owned(),
        Ok(None) => "is not there, or not what was written".to_owned(),
        Err(error) => error.to_string(),
    };
    let text = format!(
        "the witness of the journal's head, {}, {}: until the next start places another, an end that is lost would not be noticed",
        quote(path),
        quote(&why)
    );
    Some(Finding::problem("witness", text).next("openclaw journal verify"))
}

/// That nobody gets in while no gateway runs; where the last one did not stop in order, nobody may have meant it.
fn stopped(registry: &Registry, can_start: bool) -> Finding {
    let finding = match registry.last_run() {
        Some(run) if !run.is_over => {
            let text = format!("no gateway runs here: the one that started at seq {} left no record of a stop", run.seq);
            Finding::problem("stopped", text)
        }
        _ => Finding::note("stopped", "no gateway runs here, so nobody is let in"),
    };
    if can_start { finding.next("openclaw gateway run") } else { finding }
}

/// Whether the policy in a file is the one in force.
fn policy_file(path: &Path, text: &str, registry: &Registry) -> Option<Finding> {
    let (digest, shown) = (policy_digest(text), path.display().to_string());
    if same(&digest, &policy_digest(registry.policy_text().unwrap_or(DEFAULT_POLICY))) {
        return None;
    }
    let told = format!("the policy in {} is not the one in force, and a file counts only once it is applied", quote(&shown));
    Some(match (Policy::parse(text), shell_word(&shown)) {
        (Ok(_), Some(word)) => {
            Finding::problem("policyFile", told).next(format!("openclaw policy apply {word} --digest {digest}"))
        }
        (Ok(_), None) => Finding::problem("policyFile", told),
        (Err(flaw), _) => Finding::problem("policyFile", format!("{told}; it is no policy: {}", quote(&flaw.to_string()))),
    })
}
