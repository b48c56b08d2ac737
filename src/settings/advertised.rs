//! Where clients are told to find the gateway: what `openclaw.json` says of it beside where it listens.

use std::net::IpAddr;

use super::{Config, Settings, SettingsError, listen, port};
use crate::state::StateDir;

/// What is known of the addresses under which a gateway can be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advertised {
    /// The address that people are to use: `plugins.entries.device-pair.config.publicUrl` (OpenClaw 2026.9.6).
    pub public: Option<String>,
    /// Where other machines find it: `gateway.remote.url`.
    pub remote: Option<String>,
    /// What it listens on.
    pub listen: Vec<IpAddr>,
    /// On which port.
    pub port: u16,
    /// How what it listens on is named: `gateway.bind`.
    pub bind: String,
    /// The auth mode.
    pub auth: String,
}

impl Advertised {
    /// Of a gateway that does not run: as far as the file and the environment say. Nothing is written.
    ///
    /// # Errors
    /// [`SettingsError`].
    pub fn load(state: &StateDir) -> Result<Self, SettingsError> {
        let config = Config::at(state.config())?;
        let bind = config.text("/gateway/bind").unwrap_or_else(|| "loopback".to_owned());
        let mode = if config.text("/gateway/auth/password").is_some() { "password" } else { "token" };
        Ok(Self {
            listen: listen(&bind, config.text("/gateway/customBindHost"))?,
            port: port(None, &config)?,
            auth: config.text("/gateway/auth/mode").unwrap_or_else(|| mode.to_owned()),
            bind,
            ..Self::named(&config)
        })
    }

    /// Of a gateway that runs with these settings and listens on `port`.
    ///
    /// # Errors
    /// [`SettingsError`].
    pub fn of(state: &StateDir, settings: &Settings, port: u16) -> Result<Self, SettingsError> {
        let config = Config::at(state.config())?;
        let Settings { listen, bind, auth, .. } = settings;
        Ok(Self { listen: listen.clone(), port, bind: bind.clone(), auth: auth.to_string(), ..Self::named(&config) })
    }

    /// What only the file says.
    fn named(config: &Config) -> Self {
        Self {
            public: config.text("/plugins/entries/device-pair/config/publicUrl"),
            remote: config.text("/gateway/remote/url"),
            listen: vec![],
            port: 0,
            bind: String::new(),
            auth: String::new(),
        }
    }
}
