//! What a node may offer: declared, approved, and in the policy's list for the platform that is pinned.

use openclaw_pairing::pairing::{Description, Policy, kept_back, may_offer};

use super::*;

const RUN: &str = "system.run";
const WHICH: &str = "system.which";
/// On no default list.
const SNAP: &str = "camera.snap";

/// Node 1 on Linux, which offers these.
fn node(commands: &[&str]) -> Visit {
    visit(1).node().offers(commands).says(|said| said.caps = vec!["system".to_owned()])
}

/// What it may offer when it connects, and the one request that waits then.
fn offered(world: &mut World, visit: &Visit) -> (Vec<String>, Option<RequestId>) {
    let told = world.connect(visit);
    let commands = told.admission().surface.commands.clone();
    let waiting = world.waiting();
    assert!(waiting.len() <= 1, "one request a device and role");
    (commands, waiting.first().copied())
}

fn shown(world: &World, request: RequestId) -> &Description {
    &world.registry.request(&request).expect("it waits").description
}

#[test]
fn s27_a_node_is_approved_with_what_its_request_shows_and_may_offer_what_the_policy_has_of_it() {
    let mut world = World::new();
    let request = world.connect(&node(&[RUN, SNAP])).request();
    assert_eq!(shown(&world, request).commands, [RUN, SNAP]);
    assert_eq!(kept_back(&world.registry, world.registry.request(&request).expect("it waits")), [SNAP]);
    world.approve(owner(), request);
    let told = world.connect(&node(&[RUN, SNAP]));
    assert_eq!(told.names(), ADMITTED);
    let surface = &told.admission().surface;
    assert_eq!(
        (surface.caps.as_slice(), surface.commands.as_slice()),
        (["system".to_owned()].as_slice(), [RUN.to_owned()].as_slice())
    );
}

#[test]
fn a_paired_node_that_declares_more_is_let_in_with_what_was_approved_and_one_request_asks_for_the_rest() {
    let mut world = World::new();
    world.grant(&node(&[RUN]));
    let told = world.connect(&node(&[RUN, WHICH, SNAP]));
    assert_eq!(told.names(), ["PairingRequested", "ConnectionAdmitted"]);
    assert_eq!(told.admission().surface.commands, [RUN]);
    let request = world.waiting()[0];
    // What the policy keeps back is nothing that a person could give.
    assert_eq!(shown(&world, request).commands, [RUN, WHICH]);
    assert_eq!(offered(&mut world, &node(&[RUN, WHICH, SNAP])), (vec![RUN.to_owned()], Some(request)), "asked once");
    world.approve(owner(), request);
    assert_eq!(offered(&mut world, &node(&[RUN, WHICH, SNAP])), (vec![RUN.to_owned(), WHICH.to_owned()], None));
}

#[test]
fn what_is_asked_in_turn_is_one_request_for_all_of_it() {
    let mut world = World::new();
    world.grant(&node(&[]));
    let (_, first) = offered(&mut world, &node(&[RUN]));
    let (_, second) = offered(&mut world, &node(&[WHICH]));
    assert_ne!(first, second);
    assert_eq!(offered(&mut world, &node(&[RUN])).1, second, "shown by the one that waits");
    assert!(world.approve(owner(), first.expect("a request")).is_refused());
    world.approve(owner(), second.expect("a request"));
    assert_eq!(offered(&mut world, &node(&[RUN, WHICH])), (vec![RUN.to_owned(), WHICH.to_owned()], None));
}

#[test]
fn a_node_that_declares_less_offers_less_and_loses_nothing() {
    let mut world = World::new();
    world.grant(&node(&[RUN, WHICH]));
    assert_eq!(offered(&mut world, &node(&[WHICH])), (vec![WHICH.to_owned()], None));
    assert_eq!(offered(&mut world, &node(&[])), (vec![], None));
    assert_eq!(offered(&mut world, &node(&[RUN, WHICH])), (vec![RUN.to_owned(), WHICH.to_owned()], None));
}

#[test]
fn a_policy_narrowed_cuts_at_once_and_one_widened_gives_what_was_approved_back() {
    let mut world = World::new();
    world.grant(&node(&[RUN, WHICH, SNAP]));
    let lists = |list: &str| format!("{{ version: 1, nodeCommands: {{ linux: [{list}] }} }}");
    for (list, left) in [
        ("\"system.which\"", vec![WHICH]),
        ("", vec![]),
        ("\"system.run\", \"camera.snap\"", vec![RUN, SNAP]),
        ("\"system.run\", \"system.which\", \"fs.listDir\"", vec![RUN, WHICH]),
    ] {
        let told = world.tell(owner(), Command::ApplyPolicy { text: lists(list) });
        assert!(!told.is_refused(), "{:?}", told.outcome);
        assert_eq!(
            offered(&mut world, &node(&[RUN, WHICH, SNAP])),
            (left.iter().map(ToString::to_string).collect(), None),
            "{list}"
        );
        // As it is computed whenever somebody looks.
        let known = world.registry.device(&device(1)).expect("paired");
        assert_eq!(may_offer(world.registry.policy(), &known.description, &node(&[RUN, WHICH, SNAP]).description).commands, left);
    }
    // Under another list the rest can be asked for.
    assert!(offered(&mut world, &node(&[RUN, "fs.listDir"])).1.is_some());
}

#[test]
fn s20_another_platform_brings_no_other_list() {
    const LOCATION: &str = "photos.latest";
    let mut world = World::new();
    world.grant(&node(&[RUN, LOCATION]));
    let ios = node(&[RUN, LOCATION]).platform("ios");
    let told = world.connect(&ios);
    assert_eq!(told.need().reason, Reason::MetadataUpgrade);
    world.reject(owner(), told.request());
    for again in [node(&[RUN, LOCATION]), ios.v2()] {
        assert_eq!(offered(&mut world, &again), (vec![RUN.to_owned()], None));
    }
}

#[test]
fn s19_an_unclaimed_platform_is_the_pinned_one() {
    let mut world = World::new();
    world.grant(&node(&[RUN]).platform("windows").family("Windows"));
    for visit in [node(&[RUN]).says(|said| said.platform = None), node(&[RUN]).platform("windows").family("windows")] {
        assert_eq!(offered(&mut world, &visit), (vec![RUN.to_owned()], None));
    }
}

#[test]
fn x46_what_nobody_vouched_for_is_of_the_unknown_family() {
    let everywhere = "location.get";
    for (visit, left) in [
        (node(&[RUN, everywhere]).v2(), vec![everywhere]),
        (node(&[RUN, everywhere]).says(|said| said.platform = None), vec![everywhere]),
        (node(&[RUN, everywhere]).platform("linuxish"), vec![everywhere]),
        (node(&[RUN, everywhere]).platform("my linux"), vec![everywhere]),
        (node(&[RUN, everywhere]).platform("unknown"), vec![everywhere]),
        (node(&[RUN, everywhere]).platform("plan9").family("Linux"), vec![everywhere]),
        (node(&[RUN, everywhere]).platform(" Linux 6.1"), vec![RUN, everywhere]),
        (node(&[RUN, everywhere]).platform("Darwin"), vec![RUN, everywhere]),
        (node(&[RUN, everywhere]).platform("iPadOS 26"), vec![everywhere]),
    ] {
        for approves in [false, true] {
            let mut world = World::new();
            let told = if approves {
                world.grant(&visit);
                world.connect(&visit)
            } else {
                // A rule pairs it at once, by the same measure.
                world.connect(&visit.clone().local())
            };
            assert_eq!(told.admission().surface.commands, left, "{visit:?}");
        }
    }
}

#[test]
fn what_an_operator_says_of_caps_and_commands_is_nothing() {
    let mut world = World::new();
    world.grant(&visit(1).asks("read").offers(&[RUN]).says(|said| said.caps = vec!["system".to_owned()]));
    world.grant(&node(&[]).says(|said| said.caps.clear()));
    let (commands, request) = offered(&mut world, &node(&[RUN]));
    assert_eq!(commands, Vec::<String>::new());
    assert_eq!(shown(&world, request.expect("a person is asked")).commands, [RUN]);
    assert_eq!(world.connect(&visit(1).asks("read").offers(&[RUN])).admission().surface, Default::default());
}

#[test]
fn s27_only_an_admin_answers_for_what_a_node_offers() {
    let mut world = World::new();
    let pairing = world.pair(2, "pairing");
    world.grant(&node(&[RUN]));
    world.grant(&visit(1).asks("pairing"));
    let (_, request) = offered(&mut world, &node(&[RUN, WHICH]));
    let request = request.expect("it waits");
    assert_eq!(world.approve(pairing.clone(), request).refusal(), &Refusal::NeedsAdmin);
    assert_eq!(world.approve(by(1, "pairing"), request).refusal(), &Refusal::NeedsAdmin, "least of all itself");
    assert_eq!(world.reject(pairing, request).refusal(), &Refusal::NeedsAdmin);
    assert_eq!(world.waiting(), [request]);
    let admin = world.pair(3, "admin");
    assert!(!world.approve(admin, request).is_refused());
}

#[test]
fn a_probe_of_a_node_offers_nothing_and_asks_nothing() {
    let mut world = World::new();
    world.grant(&node(&[RUN]));
    let probe = node(&[RUN, WHICH]).client(ClientId::NodeHost, ClientMode::Probe);
    assert_eq!(world.connect(&probe).names(), ADMITTED);
    assert_eq!(world.waiting(), []);
}

#[test]
fn a_network_that_is_trusted_with_nodes_is_not_trusted_with_what_they_offer() {
    let mut world = World::under("{ version: 1, trustedNodeCidrs: [\"203.0.0.0/24\"] }");
    let (commands, request) = offered(&mut world, &node(&[RUN, SNAP]));
    assert_eq!(commands, Vec::<String>::new());
    assert_eq!(shown(&world, request.expect("a person is asked")).commands, [RUN]);
    // Where the policy would keep all of it back, there is nothing to ask for.
    let mut world = World::under("{ version: 1, trustedNodeCidrs: [\"203.0.0.0/24\"] }");
    assert_eq!(offered(&mut world, &visit(1).node().offers(&[SNAP])), (vec![], None));
}

/// What the node hosts of both releases declare by themselves on a desktop, with their plugins: all of it is on the list, but what a
/// plugin of theirs guards by rules of its own, which we do not have.
#[test]
fn the_default_lists_have_what_node_hosts_declare_and_nothing_dangerous() {
    let older = "system.run.prepare system.run system.which system.execApprovals.get system.execApprovals.set browser.proxy";
    let newer = "browser.proxy browser.proxy.upload.v1 desktop.stream fs.listDir mcp.tools.call.v1 ollama.chat ollama.models \
                 system.execApprovals.get system.execApprovals.set system.run system.run.prepare system.which terminal.upload";
    let guarded = "dir.fetch dir.list file.create file.fetch file.stat file.write workspace.memory workspace.skills";
    let dangerous = "camera.snap camera.clip camera.ptz.control screen.record contacts.add calendar.add reminders.add sms.send \
                     sms.search health.summary worker.launch.v1 worker.workspace.exec.v1";
    let policy = Policy::parse(DEFAULT_POLICY).expect("a policy");
    let let_offer = |platform: &str, names: &str| {
        let names: Vec<_> = names.split_whitespace().map(str::to_owned).collect();
        (policy.lets_offer(Some(platform), &names).len(), names.len())
    };
    for platform in ["linux", "darwin", "win32"] {
        for declared in [older, newer] {
            let (left, all) = let_offer(platform, declared);
            assert_eq!(left, all, "{platform}");
        }
    }
    for platform in ["linux", "macos", "windows", "ios", "android", "watchos", "anything"] {
        for never in [guarded, dangerous] {
            assert_eq!(let_offer(platform, never).0, 0, "{platform}");
        }
    }
    for platform in ["ios", "android", "watchos", "anything"] {
        assert_eq!(let_offer(platform, older).0, 0, "{platform} runs no programs");
    }
}
