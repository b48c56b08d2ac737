//! Printing happens here only: results to standard output, everything else to standard error. A reader that goes away ends the
//! command quietly, as `openclaw logs | head` should.

use std::cell::Cell;
use std::fmt::Display;
use std::fs::File;
use std::io::{self, BufRead as _, BufWriter, IsTerminal as _, Write};

use comfy_table::{ContentArrangement, Table, presets};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};

use super::{Exit, Failure};
use crate::limits;

/// Where a command prints.
#[derive(Default)]
pub(super) struct Output {
    json: Cell<bool>,
}

/// Sets what holds for the whole process: colours, and diagnostics on standard error.
pub(super) fn prepare(no_color: bool, level: &str) {
    if no_color {
        anstream::ColorChoice::Never.write_global();
    }
    let filter = tracing_subscriber::EnvFilter::new(format!("off,openclaw_pairing={level}"));
    let ansi = !no_color && anstream::AutoStream::choice(&io::stderr()) != anstream::ColorChoice::Never;
    // A second subscriber could only come from a second call, and the first one does.
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_ansi(ansi).try_init();
    // What a panic says may hold what a client said. Where it was does not.
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(%place, "a panic, which is a mistake of this program");
    }));
}

impl Output {
    /// From now on results, and failures too, are JSON.
    pub(super) fn speak_json(&self, yes: bool) {
        self.json.set(yes);
    }

    /// A result.
    pub(super) fn line(&self, text: impl Display) -> Result<(), Failure> {
        written(writeln!(anstream::stdout(), "{text}"))
    }

    /// A result for a program, over several lines.
    pub(super) fn json(&self, value: &Value) -> Result<(), Failure> {
        self.line(format_args!("{value:#}"))
    }

    /// Something beside the result.
    pub(super) fn note(&self, text: impl Display) {
        // Whoever closed standard error does not want to know.
        let _ = writeln!(anstream::stderr(), "{text}");
    }

    /// Asks a yes or no of whoever sits at the terminal; none where nobody does.
    pub(super) fn ask(&self, question: impl Display) -> Result<Option<bool>, Failure> {
        if !(io::stdin().is_terminal() && io::stderr().is_terminal()) {
            return Ok(None);
        }
        let cannot = |error: io::Error| Failure::new(Exit::Failed, format!("cannot ask: {error}"));
        write!(anstream::stderr(), "{question}").map_err(cannot)?;
        let mut answer = String::new();
        io::stdin().lock().read_line(&mut answer).map_err(cannot)?;
        Ok(Some(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")))
    }

    /// Goes on only with a yes, said before or at the terminal.
    pub(super) fn confirm(&self, question: &str, yes: bool) -> Result<(), Failure> {
        if yes {
            return Ok(());
        }
        let why = match self.ask(format_args!("{question} [y/N] "))? {
            Some(true) => return Ok(()),
            Some(false) => "not done: the answer was not yes",
            None => "not done: nobody can be asked here; to do it without asking, say --yes",
        };
        Err(Failure::new(Exit::Failed, why))
    }

    /// Rows under their titles, as wide as the terminal; unwrapped where there is none.
    pub(super) fn table(&self, titles: &[&str], rows: Vec<Vec<String>>) -> Result<(), Failure> {
        let mut table = Table::new();
        table.load_style(presets::UTF8_FULL_CONDENSED).set_content_arrangement(ContentArrangement::Dynamic);
        table.set_header(titles.to_vec());
        table.add_rows(rows);
        self.line(table)
    }

    /// How far work over many records is.
    pub(super) fn progress(&self, done: &'static str) -> Progress {
        let style = ProgressStyle::with_template("{spinner} {human_pos} records {msg}, {per_sec}");
        let bar = ProgressBar::hidden().with_message(done);
        // The template is a constant; without it the bar has the library's own.
        Progress { bar: style.map_or(bar.clone(), |style| bar.with_style(style)) }
    }

    /// The end of a command that failed.
    pub(super) fn failure(&self, failure: &Failure) -> Exit {
        if failure.exit == Exit::Done {
            return Exit::Done;
        }
        if self.json.get() {
            let mut error = json!({ "message": failure.message, "exitCode": failure.exit as u8 });
            if let (Some(note), Some(error)) = (&failure.note, error.as_object_mut()) {
                error.insert("note".to_owned(), note.clone().into());
            }
            if let (Some(error), Some(Value::Object(details))) = (error.as_object_mut(), &failure.details) {
                error.extend(
                    details.iter().filter(|(_, value)| !value.is_null()).map(|(key, value)| (key.clone(), value.clone())),
                );
            }
            let _ = self.json(&json!({ "ok": false, "error": error }));
        }
        self.note(format_args!("error: {}", failure.message));
        if let Some(note) = &failure.note {
            self.note(format_args!("note: {note}"));
        }
        failure.exit
    }
}

/// Shown on a terminal only, and only of what takes longer than a person waits without asking.
pub(super) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// So many records more.
    pub(super) fn pass(&mut self, records: usize) {
        self.bar.inc(u64::try_from(records).unwrap_or(u64::MAX));
        if self.bar.is_hidden() && self.bar.elapsed() > limits::PATIENCE {
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
        }
    }

    pub(super) fn finish(self) {
        self.bar.finish_and_clear();
    }
}

/// Many results, to standard output or to a file, not written one by one.
pub(super) struct Bulk {
    sink: BufWriter<Box<dyn Write>>,
    file: Option<File>,
}

impl Bulk {
    /// To standard output.
    pub(super) fn stdout() -> Self {
        Self { sink: BufWriter::new(Box::new(io::stdout())), file: None }
    }

    /// To a file that was made for it.
    pub(super) fn file(file: File) -> Result<Self, Failure> {
        let sink = written(file.try_clone())?;
        Ok(Self { sink: BufWriter::new(Box::new(sink)), file: Some(file) })
    }

    /// One of them.
    pub(super) fn line(&mut self, text: impl Display) -> Result<(), Failure> {
        written(writeln!(self.sink, "{text}"))
    }

    /// Text with lines of its own.
    pub(super) fn text(&mut self, text: &str) -> Result<(), Failure> {
        written(self.sink.write_all(text.as_bytes()))
    }

    /// After the last: a file is on the disk when this returns.
    pub(super) fn finish(mut self) -> Result<(), Failure> {
        written(self.sink.flush())?;
        written(self.file.map_or(Ok(()), |file| file.sync_all()))
    }
}

fn written<T>(result: io::Result<T>) -> Result<T, Failure> {
    result.map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => Failure::new(Exit::Done, ""),
        _ => Failure::new(Exit::Failed, format!("cannot print: {error}")),
    })
}
