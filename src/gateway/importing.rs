//! Devices that are taken over from a real OpenClaw: recorded, or only held against what is known of them here.

use serde_json::Value;

use super::methods::{Caller, Desk};
use crate::pairing::{Command, left_alone};
use crate::wire::frame::WireError;
use crate::wire::import::{ImportParams, imported};

impl Desk {
    pub(super) async fn import(&self, caller: &Caller, params: ImportParams) -> Result<Value, WireError> {
        let is_asked_only = params.dry_run && caller.is_owner();
        let devices = params.devices().map_err(|why| WireError::invalid(format!("invalid device.import params: {why}")))?;
        if !is_asked_only {
            return self.act(caller, Command::Import { devices }).await;
        }
        let registry = self.authority.registry();
        let (mut fresh, mut left) = (vec![], vec![]);
        for device in devices.iter().map(|device| device.profile.device) {
            match left_alone(&registry, &device) {
                Some(why) => left.push((device, why)),
                None => fresh.push(device),
            }
        }
        Ok(imported(&fresh, &left))
    }
}
