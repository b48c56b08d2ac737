//! `journal-format.md` against the program. The document's own tables are all that the reader below knows of the format: it
//! takes the bytes of every example apart by them, so a field that is missing in a table, or has another width or place,
//! leaves bytes over. An example that differs fails with the block that belongs in its place.

#[path = "support/journal.rs"]
mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use openclaw_pairing::heads::{ClaimedHead, HeadKey, Verifier};
use openclaw_pairing::journal::codec::{self, PayloadError};
use openclaw_pairing::journal::format::{
    BATCH_HEADER_BYTES, DIGEST_BYTES, MAGIC, MARKER, RECORD_HEADER_BYTES, RecordFrames, SEGMENT_HEADER_BYTES,
    SEGMENT_HEADER_BYTES_MAX, SegmentHeader, VERSION,
};
use openclaw_pairing::journal::{Access, Found, Journal, MemoryVolume, Witness};
use openclaw_pairing::limits;
use openclaw_pairing::pairing::{
    Act, Actor, AuthMode, AuthReason, ClientId, ClientMode, CommandName, CommandRefused, Condition, DeviceId, Digest, Ending,
    Event, Fault, Forwarding, KINDS, KnownScope, Millis, Obstacle, PairingNeed, PeerUser, Person, Reason, Record, Refusal,
    RequestId, Resolution, Role, Rule, ScopeSet, Seq, SharedVerdict, SignatureForm, TokenVerdict,
};
use openclaw_pairing::wire;
use serde_json::Value;
use support::{JOURNAL, every_kind, journal_of};

const DOCUMENT: &str = include_str!("../journal-format.md");
const BYTES_A_LINE: usize = 16;
const SMALL_JOURNAL: &str = "A small journal";
const SIGNED_HEAD: &str = "A signed head";
const VERIFIER_KEY: &str = "The verifier key of the signed head";
const LAST_BATCH: &str = "The last batch of the small journal";

#[test]
fn every_example_is_what_the_program_writes() {
    let document = Document::read();
    let mut wanted = vec![(SMALL_JOURNAL.to_owned(), document.journal(&small_journal()))];
    wanted.push((LAST_BATCH.to_owned(), document.batch(&small_journal()[last_batch()..])));
    for record in every_kind() {
        wanted.push((record.event.name().to_owned(), document.record(&frame_of(&record))));
    }
    wanted.extend(signed_head());
    let wrong: Vec<_> = wanted.iter().filter(|(name, block)| document.examples.get(name) != Some(block)).collect();
    let blocks: String = wrong.iter().map(|(name, block)| format!("<!-- example: {name} -->\n```text\n{block}```\n")).collect();
    assert!(wrong.is_empty(), "these belong in journal-format.md, if the format was meant to change:\n{blocks}");
    let named: BTreeSet<_> = wanted.iter().map(|(name, _)| name).collect();
    assert_eq!(document.examples.keys().collect::<BTreeSet<_>>(), named, "every example is checked");
}

#[test]
fn every_example_of_a_record_is_read_as_what_was_written() {
    let document = Document::read();
    for record in every_kind() {
        let bytes = document.bytes(record.event.name());
        let body = bytes.clone();
        let frame = RecordFrames::new(&body, 1).next().expect("a record").expect("a sound record");
        let (actor, event) = codec::decode(frame.kind, frame.payload).expect("a sound payload");
        assert_eq!(Record { seq: record.seq, at: frame.at, actor, event }, record);
    }
}

#[test]
fn the_example_of_a_journal_is_read_as_what_was_written() {
    let mut records = vec![];
    let journal = opened(&Document::read(), &mut |record| records.push(record.clone()));
    assert_eq!(journal.id(), JOURNAL);
    assert_eq!(records, every_kind()[..3]);
}

/// The small journal of the document.
fn opened(document: &Document, apply: &mut dyn FnMut(&Record)) -> Journal {
    let disk = MemoryVolume::holding("00000000000000000001.segment", document.bytes(SMALL_JOURNAL));
    let found = Found::on(Arc::new(disk), Access::Write, None, apply).expect("a sound journal");
    let (journal, repaired) = found.open(None, None).expect("a sound journal");
    assert_eq!(repaired, None);
    journal
}

#[test]
fn the_signed_head_of_the_document_is_that_of_its_small_journal() {
    let document = Document::read();
    let verifier: Verifier = document.examples[VERIFIER_KEY].parse().expect("a key");
    let head = verifier.open(&document.examples[SIGNED_HEAD]).expect("signed by it");
    let journal = opened(&document, &mut |_| {});
    assert_eq!((head.journal, head.seq, head.hash), (journal.id(), journal.head().seq, journal.head().hash));
    let lines = document.examples[SIGNED_HEAD].lines().count();
    assert_eq!(document.table("Signed heads").rows.len(), lines - 2, "all but the empty line and the signature");
}

#[test]
fn every_kind_stands_in_the_table_and_has_an_example() {
    let document = Document::read();
    let listed: Vec<_> = document.table("Kinds").rows.iter().map(|row| (number(&row[0]), row[1].clone())).collect();
    let kinds: Vec<_> = KINDS.iter().map(|(kind, name)| (u64::from(*kind), (*name).to_owned())).collect();
    assert_eq!(listed, kinds);
    let shown: Vec<_> = every_kind().iter().map(|record| (u64::from(record.event.kind()), record.event.name().into())).collect();
    assert_eq!(shown, kinds, "a new kind needs a record in tests/support/journal.rs, which makes its example");
}

#[test]
fn every_list_of_codes_is_the_programs() {
    macro_rules! lists {
        ($($name:ident),+) => { BTreeMap::from([$((
            stringify!($name).to_owned(),
            $name::ALL.iter().map(|member| (member.code(), member.as_str().to_owned())).collect::<Vec<_>>(),
        )),+]) };
    }
    let lists = lists!(
        Act,
        AuthMode,
        AuthReason,
        ClientId,
        ClientMode,
        CommandName,
        Condition,
        Ending,
        Fault,
        Forwarding,
        PeerUser,
        Reason,
        Role,
        Rule,
        SharedVerdict,
        SignatureForm,
        TokenVerdict
    );
    let document = Document::read();
    assert_eq!(document.lists, lists);
    let bits: Vec<_> = KnownScope::ALL.iter().map(|scope| (u64::from(scope.code()), scope.as_str().to_owned())).collect();
    let rows = document.tables.iter().find(|table| table.columns == ["bit", "scope"]).expect("a table of bits").rows.iter();
    assert_eq!(rows.map(|row| (number(&row[0]), row[1].clone())).collect::<Vec<_>>(), bits);
}

#[test]
fn every_limit_is_the_programs() {
    let limits = [
        ("bytes of a payload", limits::RECORD_BYTES),
        ("bytes of a batch, header and digest included", limits::BATCH_BYTES),
        ("records of a batch", usize::try_from(limits::BATCH_RECORDS).expect("small")),
        ("bytes of a segment header of any version", SEGMENT_HEADER_BYTES_MAX),
        ("scopes without a bit in one set", limits::SCOPES_HELD),
        ("bytes of one such scope", limits::SCOPE_BYTES),
    ];
    let document = Document::read();
    let rows = document.table("Limits").rows.iter();
    let listed: Vec<_> = rows.map(|row| (row[0].as_str(), usize::try_from(number(&row[1])).expect("small"))).collect();
    assert_eq!(listed, limits);
}

#[test]
fn the_frames_are_the_programs() {
    let document = Document::read();
    let header = SegmentHeader::of_new(JOURNAL).encode();
    assert_eq!(document.length("Segment header", &header), SEGMENT_HEADER_BYTES);
    let batch = document.bytes(LAST_BATCH);
    assert_eq!(document.length("Batch header", &batch), BATCH_HEADER_BYTES);
    assert_eq!(document.length("Record header", &batch[BATCH_HEADER_BYTES..]), RECORD_HEADER_BYTES);
    let first_cells = |heading: &str| document.table(heading).rows.iter().take(2).map(|row| row[3].clone()).collect::<Vec<_>>();
    assert!(first_cells("Segment header")[0].starts_with(&format!("`{}`", hex(&MAGIC))));
    assert_eq!(first_cells("Segment header")[1], VERSION.to_string());
    assert!(first_cells("Batch header")[0].starts_with(&format!("`{}`", hex(&MARKER))));
    assert!(DOCUMENT.starts_with(&format!("# The journal of openclaw-pairing: format version {VERSION}\n")));
}

#[test]
fn every_number_of_an_actor_has_the_parts_that_the_document_says() {
    let scopes = ScopeSet::cli;
    let actors = [
        Actor::Peer,
        Actor::Device { device: openclaw_pairing::pairing::DeviceId([1; 32]), scopes: scopes() },
        Actor::Owner(Person::default()),
        Actor::SharedSecret { rule: Rule::LocalCli, scopes: scopes() },
        Actor::Rule(Rule::Metadata),
        Actor::System,
        Actor::Owner(Person { from_exec: true, ..Person::default() }),
    ];
    let document = Document::read();
    let payloads = actors.iter().map(|actor| payload(actor, &every_kind()[0].event));
    assert_eq!(document.numbers("Actor"), payloads.map(|bytes| document.parts("Actor", &bytes)).collect::<Vec<_>>());
}

#[test]
fn every_number_of_a_refusal_has_the_parts_that_the_document_says() {
    let document = Document::read();
    let payloads = every_refusal().into_iter().map(|refusal| {
        let bytes = payload(&Actor::Peer, &refused(refusal));
        // The refusal is the last field, so it begins where everything before it ends.
        let leaves = document.walk(&["Actor", "CommandRefused"], &bytes);
        let start = leaves.iter().find(|leaf| leaf.path == "refusal.number").expect("a refusal").start;
        bytes[start..].to_vec()
    });
    assert_eq!(document.numbers("Refusal"), payloads.map(|bytes| document.parts("Refusal", &bytes)).collect::<Vec<_>>());
}

#[test]
fn j16_a_refusal_has_one_spelling() {
    let parts: BTreeMap<_, _> = Document::read().numbers("Refusal").into_iter().collect();
    for refusal in every_refusal() {
        let bytes = payload(&Actor::Peer, &refused(refusal));
        let leaves = Document::read().walk(&["Actor", "CommandRefused"], &bytes);
        let number = leaves.iter().find(|leaf| leaf.path == "refusal.number").expect("a refusal").start;
        let own = bytes[number];
        for at in number..bytes.len() {
            for value in 0..=255 {
                let mut forged = bytes.clone();
                forged[at] = value;
                match codec::decode(19, &forged) {
                    Ok((actor, event)) => assert_eq!(payload(&actor, &event), forged),
                    Err(error) if at == number => {
                        // The parts that are there belong to its own number.
                        let of = |number: u8| parts.get(&u64::from(number));
                        let has_all = of(value).is_some_and(|needs| needs.is_subset(of(own).expect("a number")));
                        // Of a number on the other side of 15 other parts are read.
                        if (value < 15) != (own < 15) {
                            continue;
                        }
                        let spelling = PayloadError::Fault(openclaw_pairing::journal::format::Fault::PayloadSpelling);
                        assert_eq!(error, if has_all { spelling } else { PayloadError::UnknownValue }, "{value} for {own}");
                    }
                    Err(_) => {}
                }
            }
        }
    }
}

#[test]
fn no_table_of_the_document_is_idle() {
    let document = Document::read();
    let mut met: BTreeSet<String> = document.walk(&["Segment header"], &SegmentHeader::of_new(JOURNAL).encode()).met();
    met.extend(document.walk(&["Batch header"], &document.bytes(LAST_BATCH)[..BATCH_HEADER_BYTES]).met());
    let events = every_kind().into_iter().map(|record| (record.actor, record.event));
    let refusals = every_refusal().into_iter().map(|refusal| (Actor::Peer, refused(refusal)));
    for (actor, event) in events.chain(refusals) {
        met.extend(document.walk(&["Actor", event.name()], &payload(&actor, &event)).met());
    }
    let (witness, checkpoint) = witness_and_checkpoint();
    met.extend(document.walk(&["Witness"], &witness).met());
    met.extend(document.walk(&["Checkpoints"], &checkpoint).met());
    met.extend(document.walk(&["Record header"], &frame_of(&every_kind()[0])).met());
    let tables: BTreeSet<_> = document.structures.keys().chain(document.lists.keys()).cloned().collect();
    assert_eq!(met, tables);
}

/// The bytes of a witness and of a checkpoint of the small journal.
fn witness_and_checkpoint() -> (Vec<u8>, Vec<u8>) {
    let (disk, apart) = (MemoryVolume::default(), MemoryVolume::default());
    let mut journal = Journal::create_on(Arc::new(disk.clone()), JOURNAL).expect("a new journal");
    journal.be_witnessed(Witness::make_on(&apart, "witness", JOURNAL).expect("made"));
    journal.append(journal.head(), &every_kind()[..3]).expect("records that follow on");
    journal.save(1, (Digest([1; 32]), Digest([2; 32])), b"a state".to_vec()).expect("saved");
    (apart.bytes("witness"), disk.bytes("00000000000000000003.checkpoint"))
}

/// What an export leaves out (X36): whatever names or checks a token.
const UNTOLD: [(&str, &str); 11] = [
    ("DeviceImported", "grants[0].token.digest"),
    ("TokenKeyReplaced", "key"),
    ("TokenKeyReplaced", "before"),
    ("GatewayStarted", "key"),
    ("SetupCodeCreated", "digest"),
    ("TokenIssued", "issue.salt"),
    ("TokenIssued", "issue.key"),
    ("TokenIssued", "issue.digest"),
    ("TokenRotated", "issue.salt"),
    ("TokenRotated", "issue.key"),
    ("TokenRotated", "issue.digest"),
];

#[test]
fn every_field_of_the_document_stands_in_an_export() {
    let document = Document::read();
    let refusals = every_refusal().into_iter().map(|refusal| Record { event: refused(refusal), ..every_kind().remove(0) });
    for record in every_kind().into_iter().chain(refusals) {
        let mut exported = wire::record::record(&record);
        let name = record.event.name();
        let mut told = vec![];
        for leaf in document.walk(&["Actor", name], &payload(&record.actor, &record.event)) {
            let set = leaf.path.strip_suffix(".known");
            if leaf.path.contains(".others") {
                continue;
            }
            let place = set.unwrap_or(&leaf.path).replace(['.', '['], "/").replace(']', "");
            let pointer = if place.starts_with("actor/") { format!("/{place}") } else { format!("/fields/{place}") };
            let said = match exported.pointer(&pointer) {
                None => "absent".to_owned(),
                // Texts instead of bits; the snapshots show them.
                Some(Value::Array(_)) if set.is_some() => leaf.value.clone(),
                Some(Value::Array(items)) => format!("{} of them", items.len()),
                Some(Value::Bool(is)) => if *is { "yes" } else { "no" }.to_owned(),
                Some(Value::String(text)) if leaf.value.starts_with('"') => format!("{text:?}"),
                // Bytes, in the spelling that their id has.
                Some(Value::String(_)) if leaf.value.is_empty() => String::new(),
                Some(Value::String(text)) => text.clone(),
                Some(value) => value.to_string(),
            };
            let is_untold = UNTOLD.contains(&(name, leaf.path.as_str()));
            assert_eq!(said, if is_untold { "absent" } else { &leaf.value }, "{name}: {}", leaf.path);
            told.push(pointer);
        }
        // What is in a list goes before the list.
        for pointer in told.iter().rev() {
            exported.pointer_mut(pointer).map(Value::take);
        }
        assert!(is_empty(&exported["actor"]) && is_empty(&exported["fields"]), "{name}: unknown to the document: {exported}");
    }
}

fn is_empty(value: &Value) -> bool {
    value.is_null() || value.as_object().is_some_and(|object| object.values().all(is_empty))
}

// --- what the program makes ---------------------------------------------------------------------------------------------

fn small_journal() -> Vec<u8> {
    let records = every_kind();
    journal_of(JOURNAL, &[&records[..2], &records[2..3]])
}

/// The head of the small journal as a signed note, and the key to verify it with.
fn signed_head() -> [(String, String); 2] {
    let key = HeadKey::from_seed(&[0x48; 32]);
    let small = small_journal();
    let hash = Digest(*small.last_chunk().expect("a digest at its end"));
    let note = key.sign(&ClaimedHead { journal: JOURNAL, seq: Seq(3), hash, time: "2026-01-01T00:00:00.004Z".to_owned() });
    let verifier = key.verifier(&JOURNAL);
    [(SIGNED_HEAD.to_owned(), note), (VERIFIER_KEY.to_owned(), format!("{verifier}\n"))]
}

/// Where the last batch of the small journal begins.
fn last_batch() -> usize {
    journal_of(JOURNAL, &[&every_kind()[..2]]).len()
}

/// A record as it lies in a batch.
fn frame_of(record: &Record) -> Vec<u8> {
    let mut builder = openclaw_pairing::journal::format::BatchBuilder::new(record.seq);
    builder.push(record.event.kind(), record.at, &payload(&record.actor, &record.event)).expect("a small record");
    let (bytes, _) = builder.finish(&Digest([0; 32]));
    bytes[BATCH_HEADER_BYTES..bytes.len() - DIGEST_BYTES].to_vec()
}

fn payload(actor: &Actor, event: &Event) -> Vec<u8> {
    codec::encode(actor, event).expect("a small payload")
}

fn refused(refusal: Refusal) -> Event {
    CommandRefused { command: CommandName::Approve, request: None, device: None, role: None, scopes: None, refusal }.into()
}

/// One of every number, each with all parts that it can have.
fn every_refusal() -> Vec<Refusal> {
    vec![
        Refusal::Fault(Fault::Timeout),
        Refusal::ControlUiNeedsDevice,
        Refusal::DeviceRequired,
        Refusal::Unauthorized {
            reason: AuthReason::DeviceTokenMismatch,
            may_retry_with_device_token: true,
            rotated_at: Some(Millis(1)),
        },
        Refusal::PairingRequired(need(None)),
        Refusal::PendingTableFull,
        Refusal::MissingScope(ScopeSet::cli()),
        Refusal::NeedsAdmin,
        Refusal::UnknownRequest,
        Refusal::Resolved(Resolution { ending: Ending::Rejected, at: Millis(1), by: Actor::System, successor: None }),
        Refusal::UnknownDevice,
        Refusal::RoleNotHeld(Role::Node),
        Refusal::TokenKeyUnusable,
        Refusal::HeldAlready,
        Refusal::PolicyDenied { rule: "ceilings[0]".into(), beyond: ScopeSet::cli() },
        Refusal::RecordBudgetSpent { retry_after_ms: 60_000 },
        Refusal::FromExecShell,
        Refusal::LoosensPolicy { keys: "localCli".into() },
        Refusal::BadPolicy { why: "nothing".into() },
        Refusal::PairingRequired(need(Some(Rule::LocalFirstPairing))),
        Refusal::UnknownSetupCode,
        Refusal::TooManySetupCodes,
        Obstacle::Overtaken.into(),
        Refusal::OwnerOnly,
        Refusal::Succeeded { by: DeviceId([9; 32]), at: Millis(1) },
    ]
}

fn need(rests: Option<Rule>) -> PairingNeed {
    PairingNeed {
        reason: Reason::NotPaired,
        request: RequestId([1; 16]),
        missing: ScopeSet::cli(),
        held: ScopeSet::EMPTY,
        token_is_narrow: false,
        revoked: None,
        retry_after_ms: 1_000,
        rests,
    }
}

// --- what the document says ---------------------------------------------------------------------------------------------

struct Document {
    tables: Vec<Table>,
    /// Name and type of the fields of every structure.
    structures: BTreeMap<String, Vec<(String, String)>>,
    lists: BTreeMap<String, Vec<(u8, String)>>,
    examples: BTreeMap<String, String>,
}

struct Table {
    heading: String,
    columns: Vec<String>,
    rows: Vec<Vec<String>>,
}

/// A field of a width of its own.
struct Leaf {
    path: String,
    start: usize,
    end: usize,
    value: String,
    /// The structures and lists that it stands in.
    within: Vec<String>,
}

impl Document {
    fn read() -> Self {
        let mut tables: Vec<Table> = vec![];
        let mut examples = BTreeMap::new();
        let (mut heading, mut example, mut is_table) = (String::new(), None, false);
        for line in DOCUMENT.lines() {
            if let Some(name) = line.strip_prefix("<!-- example: ") {
                example = Some((name.trim_end_matches(" -->").to_owned(), String::new()));
            } else if let Some((name, block)) = &mut example {
                match line {
                    "```text" => {}
                    "```" => {
                        assert!(examples.insert(name.clone(), block.clone()).is_none(), "two examples are called {name}");
                        example = None;
                    }
                    _ => block.extend([line, "\n"]),
                }
            } else if let Some(title) = line.strip_prefix('#') {
                heading = title.trim_start_matches('#').trim().to_owned();
            } else if let Some(row) = line.strip_prefix('|').and_then(|rest| rest.strip_suffix('|')) {
                let cells: Vec<String> = row.split('|').map(|cell| cell.trim().to_owned()).collect();
                if !is_table {
                    tables.push(Table { heading: heading.clone(), columns: cells, rows: vec![] });
                } else if !cells[0].starts_with("---") {
                    tables.last_mut().expect("a table was begun").rows.push(cells);
                }
            }
            is_table = line.starts_with('|');
        }
        let mut structures = BTreeMap::new();
        let mut lists = BTreeMap::new();
        for Table { heading, columns, rows } in &tables {
            let column = |name| columns.iter().position(|column| column == name);
            if let (Some(field), Some(kind)) = (column("field"), column("type")) {
                let fields = rows.iter().map(|row| (row[field].clone(), row[kind].clone())).collect();
                assert!(structures.insert(heading.clone(), fields).is_none(), "two structures are called {heading}");
            } else if column("code").is_some() {
                let code = |row: &Vec<String>| u8::try_from(number(&row[0])).expect("a byte");
                lists.insert(heading.clone(), rows.iter().map(|row| (code(row), row[1].clone())).collect());
            }
        }
        Self { tables, structures, lists, examples }
    }

    fn table(&self, heading: &str) -> &Table {
        self.tables.iter().find(|table| table.heading == heading).expect("a table under this heading")
    }

    /// The bytes of an example.
    fn bytes(&self, name: &str) -> Vec<u8> {
        let digits =
            self.examples[name].lines().flat_map(|line| line.split('#').next().expect("a first part").split_whitespace());
        digits.map(|pair| u8::from_str_radix(pair, 16).expect("two hexadecimal digits")).collect()
    }

    /// The fields of a structure with numbers: which parts belong to which number.
    fn numbers(&self, heading: &str) -> Vec<(u64, BTreeSet<String>)> {
        let is_it = |table: &&Table| table.heading == heading && table.columns[0] == "number";
        let table = self.tables.iter().find(is_it).expect("a table of numbers");
        let parts = |cell: &str| cell.split(',').map(str::trim).filter(|part| !part.is_empty()).map(Into::into).collect();
        table.rows.iter().map(|row| (number(&row[0]), parts(&row[2]))).collect()
    }

    /// The number at the beginning of `bytes`, and the parts that are there.
    fn parts(&self, name: &str, bytes: &[u8]) -> (u64, BTreeSet<String>) {
        let fields = self.walk(&[name], bytes);
        let top = |path: &str| path.split(['.', '[']).next().expect("a first part").to_owned();
        let there = fields.iter().skip(1).filter(|leaf| leaf.value != "absent" && leaf.value != "no");
        (number(&fields[0].value), there.map(|leaf| top(&leaf.path)).collect())
    }

    fn length(&self, name: &str, bytes: &[u8]) -> usize {
        self.walk(&[name], bytes).last().expect("a field").end
    }

    /// Takes structures that follow each other from the beginning of `bytes`.
    fn walk(&self, names: &[&str], bytes: &[u8]) -> Vec<Leaf> {
        let mut walk = Walk { document: self, bytes, at: 0, leaves: vec![], within: vec![] };
        for name in names {
            // Only the actor stands beside the fields of an event and needs its name to be told from them.
            walk.value(name, if *name == "Actor" && names.len() > 1 { "actor" } else { "" });
        }
        walk.leaves
    }

    fn journal(&self, bytes: &[u8]) -> String {
        let mut text = render(bytes, &self.walk(&["Segment header"], bytes));
        let mut rest = &bytes[SEGMENT_HEADER_BYTES..];
        while !rest.is_empty() {
            let header = self.walk(&["Batch header"], rest);
            let body =
                header.iter().find(|leaf| leaf.path == "body").expect("a length").value.parse::<usize>().expect("a number");
            let (batch, after) = rest.split_at(BATCH_HEADER_BYTES + body + DIGEST_BYTES);
            text = text + "\n" + &self.batch(batch);
            rest = after;
        }
        text
    }

    fn batch(&self, bytes: &[u8]) -> String {
        let mut text = render(bytes, &self.walk(&["Batch header"], bytes));
        let (mut body, digest) = bytes[BATCH_HEADER_BYTES..].split_at(bytes.len() - BATCH_HEADER_BYTES - DIGEST_BYTES);
        while !body.is_empty() {
            let length = self.walk(&["Record header"], body)[0].value.parse::<usize>().expect("a number");
            let (record, after) = body.split_at(RECORD_HEADER_BYTES + length);
            text = text + "\n" + &self.record(record);
            body = after;
        }
        let whole = Leaf { path: "digest".into(), start: 0, end: DIGEST_BYTES, value: String::new(), within: vec![] };
        text + "\n" + &render(digest, &[whole])
    }

    fn record(&self, bytes: &[u8]) -> String {
        let header = self.walk(&["Record header"], bytes);
        let kind = number(&header[1].value);
        let (_, name) = KINDS.iter().find(|(number, _)| u64::from(*number) == kind).expect("a kind");
        let leaves = self.walk(&["Record header", "Actor", name], bytes);
        assert_eq!(leaves.last().expect("a field").end, bytes.len(), "the tables leave bytes of {name} over");
        render(bytes, &leaves)
    }
}

trait Met {
    /// The structures and lists that were met.
    fn met(&self) -> BTreeSet<String>;
}

impl Met for Vec<Leaf> {
    fn met(&self) -> BTreeSet<String> {
        self.iter().flat_map(|leaf| leaf.within.iter().cloned()).collect()
    }
}

struct Walk<'a> {
    document: &'a Document,
    bytes: &'a [u8],
    at: usize,
    leaves: Vec<Leaf>,
    within: Vec<String>,
}

impl Walk<'_> {
    fn value(&mut self, kind: &str, path: &str) {
        let start = self.at;
        if let Some(inner) = kind.strip_prefix("option ") {
            return match self.take(1)[0] {
                0 => self.leaf(start, path, "absent"),
                1 => {
                    let first = self.leaves.len();
                    self.value(inner, path);
                    // The tag stands in front of what it announces.
                    self.leaves[first].start = start;
                }
                tag => panic!("{path}: {tag} is no option tag"),
            };
        }
        if let Some(inner) = kind.strip_prefix("list ") {
            let count = self.integer(8);
            self.leaf(start, path, &format!("{count} of them"));
            return (0..count).for_each(|i| self.value(inner, &format!("{path}[{i}]")));
        }
        if let Some(count) = kind.strip_prefix("bytes ") {
            self.take(count.parse().expect("a number"));
            return self.leaf(start, path, "");
        }
        if let Some(list) = self.document.lists.get(kind) {
            let code = self.take(1)[0];
            let (_, text) = list.iter().find(|(number, _)| *number == code).expect("a code that is in its list");
            self.within.push(kind.to_owned());
            self.leaf(start, path, text);
            self.within.pop();
            return;
        }
        if let Some(fields) = self.document.structures.get(kind) {
            self.within.push(kind.to_owned());
            let first = self.at;
            for (field, kind) in fields {
                // Some parts are there from a number on, which is the first byte of the structure.
                let (kind, from) = kind
                    .split_once(", from ")
                    .map_or((kind.as_str(), 0), |(kind, from)| (kind, number(from.trim_end_matches(" on"))));
                if from > 0 && u64::from(self.bytes[first]) < from {
                    continue;
                }
                self.value(kind, &if path.is_empty() { field.clone() } else { format!("{path}.{field}") });
            }
            self.within.pop();
            return;
        }
        let value = match kind {
            "u8" => self.integer(1).to_string(),
            "u16" => self.integer(2).to_string(),
            "u32" => self.integer(4).to_string(),
            "u64" => self.integer(8).to_string(),
            "bool" => ["no", "yes"][usize::from(self.take(1)[0])].to_owned(),
            "text" => {
                let length = self.integer(8);
                let bytes = self.take(usize::try_from(length).expect("a small text"));
                format!("{:?}", std::str::from_utf8(bytes).expect("UTF-8"))
            }
            _ => panic!("the document does not say what {kind} is"),
        };
        self.leaf(start, path, &value);
    }

    fn take(&mut self, count: usize) -> &[u8] {
        let bytes = self.bytes.get(self.at..self.at + count).expect("the tables want more bytes than there are");
        self.at += count;
        bytes
    }

    fn integer(&mut self, width: usize) -> u64 {
        self.take(width).iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
    }

    fn leaf(&mut self, start: usize, path: &str, value: &str) {
        // A checksum has a value that nobody can check by eye.
        let value = if path == "checksum" { "" } else { value };
        let (path, value, within) = (path.to_owned(), value.to_owned(), self.within.clone());
        self.leaves.push(Leaf { path, start, end: self.at, value, within });
    }
}

/// A line of hexadecimal digits and words for each field, more where it is long.
fn render(bytes: &[u8], leaves: &[Leaf]) -> String {
    let mut text = String::new();
    for leaf in leaves {
        let mut words =
            if leaf.value.is_empty() { format!("# {}", leaf.path) } else { format!("# {}: {}", leaf.path, leaf.value) };
        for chunk in bytes[leaf.start..leaf.end].chunks(BYTES_A_LINE) {
            let line = format!("{:width$}  {words}", hex(chunk), width = 3 * BYTES_A_LINE - 1);
            text.extend([line.trim_end(), "\n"]);
            words.clear();
        }
    }
    text
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
}

fn number(text: &str) -> u64 {
    text.parse().expect("a number")
}
