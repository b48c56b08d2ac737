//! What is exported for tools that read OpenClaw's files, and imported again.

use openclaw_pairing::openclaw::look;
use openclaw_pairing::pairing::{Command, Device, DeviceImported, Registry, Role, ScopeSet};
use openclaw_pairing::wire::devices::paired_copy;
use proptest::prelude::any;
use proptest::sample::Index;

use crate::past::scratch;
use crate::support::given::{World, owner};
use crate::{every_story, fold, hold, stories};

/// The devices of an export of this registry, as an import reads them.
fn exported(registry: &Registry) -> Vec<DeviceImported> {
    let dir = scratch();
    std::fs::create_dir(dir.path().join("devices")).expect("made");
    let text = format!("{:#}", paired_copy(registry));
    assert!(!text.contains("oken"), "{text}");
    std::fs::write(dir.path().join("devices/paired.json"), text).expect("written");
    let kept = look(dir.path(), false).expect("an export can be read");
    let source = kept.digest();
    let imported =
        |found: openclaw_pairing::openclaw::Found| DeviceImported { source, profile: found.profile, grants: found.grants };
    kept.devices.into_iter().map(imported).collect()
}

/// What of a device an export tells: what some release knows, of the roles that are not revoked.
fn told(device: &Device) -> (String, Vec<(Role, ScopeSet)>) {
    let approved = |role| if role == Role::Operator { device.approved().known() } else { ScopeSet::EMPTY };
    let roles = Role::ALL.iter().copied().filter(|role| device.has(*role));
    (device.id.to_string(), roles.map(|role| (role, approved(role))).collect())
}

fn all_told(registry: &Registry) -> Vec<(String, Vec<(Role, ScopeSet)>)> {
    registry.devices().map(|device| told(device)).filter(|(_, roles)| !roles.is_empty()).collect()
}

#[test]
fn an_export_imported_into_an_empty_state_gives_the_same_devices_roles_and_scopes_and_no_token() {
    every_story(|played| {
        let registry = &played.world.registry;
        let mut empty = World::new();
        empty.tell(owner(), Command::Import { devices: exported(registry) });
        assert_eq!(all_told(&empty.registry), all_told(registry));
        let tokens = empty.registry.devices().flat_map(|device| Role::ALL.iter().filter_map(|role| device.token(*role)));
        assert_eq!(tokens.count(), 0);
        for device in empty.registry.devices() {
            let before = registry.device(&device.id).expect("the same device");
            let said = |device: &Device| (device.key, device.client, device.label.clone(), device.created_at, device.approved_at);
            assert_eq!(said(device), said(before));
        }
    });
}

#[test]
fn x44_an_older_export_brings_back_nothing_that_was_removed_revoked_or_narrowed_since() {
    hold(&(stories(), any::<Index>()), |(story, point)| {
        let world = story.play().world;
        let devices = exported(&fold(&world.records[..point.index(world.records.len() + 1)]));
        let decision = world.decide(owner(), Command::Import { devices });
        assert_eq!(decision.events, []);
    });
}
