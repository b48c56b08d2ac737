//! Flags, environment and `openclaw.json` as settings. The file holds OpenClaw's keys only (2026.3.13, 2026.9.6); those that
//! we do not use are left alone.

mod advertised;
mod nodes;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use crate::host::Host;
use crate::limits;
use crate::pairing::{Address, AuthMode, SharedSecret, json5_depth};
use crate::state::{self, StateDir, StateError};
pub use advertised::Advertised;
pub use nodes::Proposal;

/// Settings that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file could not be read or written.
    #[error(transparent)]
    State(#[from] StateError),
    /// It is not JSON5.
    #[error("{} is not valid JSON5: {why}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong, with the line.
        why: String,
    },
    /// A key has a value that cannot be used.
    #[error("{key} is {found}; it can be {expected}")]
    Value {
        /// The key, or the variable.
        key: &'static str,
        /// Its value.
        found: String,
        /// What it can be.
        expected: &'static str,
    },
    /// Both secrets, and no mode that says which.
    #[error("gateway.auth has a token and a password; say which one counts with gateway.auth.mode")]
    TwoSecrets,
    /// A mode without its secret.
    #[error("gateway.auth.mode is password, but there is no password; set gateway.auth.password or OPENCLAW_GATEWAY_PASSWORD")]
    NoPassword,
    /// A proxy vouches for users, but which and how is not said.
    #[error(
        "gateway.auth.mode is trusted-proxy, which needs gateway.trustedProxies and gateway.auth.trustedProxy.userHeader: who may \
         vouch for a user, and in which header"
    )]
    NoVoucher,
    /// Everybody could come in.
    #[error("gateway.auth.mode is none, which lets in whoever reaches the port; use it with gateway.bind loopback only")]
    OpenToAll,
}

/// What flags say; each beats the environment and the file.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    /// The port.
    pub port: Option<u16>,
    /// Where to listen.
    pub bind: Option<String>,
    /// The auth mode.
    pub auth: Option<String>,
    /// Whether to run where the file system has no locks.
    pub without_lock: bool,
}

/// What a gateway runs with.
pub struct Settings {
    /// The port; 0 takes a free one.
    pub port: u16,
    /// The addresses to listen on.
    pub listen: Vec<IpAddr>,
    /// The name of where it listens, for the journal.
    pub bind: String,
    /// The auth mode.
    pub auth: AuthMode,
    /// The shared secret, if the mode has one.
    pub secret: Option<SharedSecret>,
    /// Proxies whose forwarding headers count.
    pub trusted_proxies: Vec<Network>,
    /// Whether `X-Real-IP` of such a proxy counts where it sends no `X-Forwarded-For`.
    pub takes_real_ip: bool,
    /// In the auth mode `trusted-proxy`: how such a proxy names its user.
    pub vouching: Option<Vouching>,
    /// How many sockets of one address may be open before they have said who they are, where not the policy says it (OpenClaw
    /// 2026.9.6).
    pub newcomers: Option<u32>,
    /// Origins of pages that may connect, beside our own.
    pub allowed_origins: Vec<String>,
    /// Where the shared secret stands, and whether it was made just now.
    pub secret_at: Option<(PathBuf, bool)>,
    /// After how many days sealed segments of the journal are moved, and to which directory.
    pub retention: Option<(u64, PathBuf)>,
    /// How much of an address is recorded.
    pub addresses: AddressDetail,
}

/// How much of an address that is not this machine's is recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AddressDetail {
    /// All of it.
    #[default]
    Full,
    /// The network: of IPv4 24 bits, of IPv6 the 48 of a site.
    Prefix,
    /// That there was one.
    None,
}

impl AddressDetail {
    const ALL: [(Self, &str); 3] = [(Self::Full, "full"), (Self::Prefix, "prefix"), (Self::None, "none")];

    /// Its name in the settings.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(detail, _)| *detail == self).map_or("full", |(_, name)| *name)
    }

    /// An address as it is recorded. What is decided follows from what is recorded, so as many more bits are kept as it takes
    /// for `decides` to say the same of both; those the policy knows already.
    #[must_use]
    pub fn of(self, whole: Address, decides: impl Fn(Address) -> bool) -> Address {
        let bits = match (self, whole.ip()) {
            (Self::Full, _) => return whole,
            _ if whole.is_loopback() => return whole,
            (Self::Prefix, IpAddr::V4(_)) => 96 + 24,
            (Self::Prefix, IpAddr::V6(_)) => 48,
            (Self::None, IpAddr::V4(_)) => 96,
            (Self::None, IpAddr::V6(_)) => 0,
        };
        let verdict = decides(whole);
        (bits..=128).map(|bits| whole.prefix(bits)).find(|cut| decides(*cut) == verdict).unwrap_or(whole)
    }
}

impl Settings {
    /// Reads what the gateway runs with; makes a shared token where nothing is configured, keeping the old file beside.
    ///
    /// # Errors
    /// [`SettingsError`].
    pub fn load(state: &StateDir, flags: &Flags, host: &dyn Host) -> Result<Self, SettingsError> {
        let mut config = Config::at(state.config())?;
        let bind = flags.bind.clone().or_else(|| config.text("/gateway/bind")).unwrap_or_else(|| "loopback".to_owned());
        let listen = listen(&bind, config.text("/gateway/customBindHost"))?;
        let (mode, secret, secret_at) = secret(state, flags, &mut config, host)?;
        if mode == AuthMode::None && !listen.iter().all(IpAddr::is_loopback) {
            return Err(SettingsError::OpenToAll);
        }
        let proxies = config.texts("/gateway/trustedProxies");
        let trusted_proxies: Vec<_> = proxies.iter().map(|text| Network::parse(text)).collect::<Result<_, _>>()?;
        Ok(Self {
            port: port(flags.port, &config)?,
            listen,
            bind,
            auth: mode,
            secret,
            vouching: vouching(&config, mode, &trusted_proxies)?,
            trusted_proxies,
            takes_real_ip: config.value.pointer("/gateway/allowRealIpFallback") == Some(&Value::Bool(true)),
            newcomers: newcomers()?,
            allowed_origins: config.texts("/gateway/controlUi/allowedOrigins"),
            secret_at,
            retention: retention(state)?,
            addresses: addresses(state)?,
        })
    }

    /// Whether forwarding headers from this address count.
    #[must_use]
    pub fn is_trusted_proxy(&self, address: Address) -> bool {
        self.trusted_proxies.iter().any(|network| network.contains(address))
    }

    /// The settings that matter to admission, for the journal; of a secret only that there is one.
    #[must_use]
    pub fn recorded(&self) -> Vec<(String, String)> {
        let proxies: Vec<_> = self.trusted_proxies.iter().map(ToString::to_string).collect();
        let addresses = Some(self.addresses).filter(|addresses| *addresses != AddressDetail::Full);
        vec![
            ("addresses".to_owned(), addresses.map(AddressDetail::as_str).unwrap_or_default().to_owned()),
            ("bind".to_owned(), self.bind.clone()),
            ("port".to_owned(), self.port.to_string()),
            ("auth".to_owned(), self.auth.to_string()),
            ("trustedProxies".to_owned(), proxies.join(",")),
        ]
    }
}

/// Whether what `openclaw.json` and `pairing/settings.json5` say can be used, as far as their texts alone tell.
///
/// # Errors
/// [`SettingsError`].
pub fn check(config: &[u8], own: &[u8]) -> Result<(), SettingsError> {
    let config = Config::read(PathBuf::from("openclaw.json"), Some(config))?;
    let own = Config::read(PathBuf::from("settings.json5"), Some(own))?;
    listen(&config.text("/gateway/bind").unwrap_or_else(|| "loopback".to_owned()), config.text("/gateway/customBindHost"))?;
    let proxies = config.texts("/gateway/trustedProxies");
    let proxies: Vec<_> = proxies.iter().map(|text| Network::parse(text)).collect::<Result<_, _>>()?;
    let mode = config.text("/gateway/auth/mode").and_then(|mode| AuthMode::from_text(&mode)).unwrap_or(AuthMode::Token);
    vouching(&config, mode, &proxies)?;
    port(None, &config)?;
    kept_by(&own, Path::new("/the/state/directory"))?;
    Ok(())
}

/// How a trusted proxy says for whom it passes a connection on (`gateway.auth.trustedProxy`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Vouching {
    /// The header with the user's name.
    pub user_header: String,
    /// Headers without which it vouches for nobody.
    pub required_headers: Vec<String>,
    /// Who may come in; everybody where it is empty.
    pub users: Vec<String>,
}

/// An address, or a network in CIDR form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: Address,
    prefix: u8,
}

impl Network {
    fn parse(text: &str) -> Result<Self, SettingsError> {
        let wrong = || SettingsError::Value {
            key: "gateway.trustedProxies",
            found: format!("{text:?}"),
            expected: "a list of addresses or networks such as 10.0.0.0/8",
        };
        let (address, prefix) = text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
        let ip: IpAddr = address.trim().parse().map_err(|_| wrong())?;
        let offset = if ip.is_ipv4() { 96 } else { 0 };
        let prefix = match prefix {
            Some(prefix) => {
                prefix.trim().parse::<u8>().ok().and_then(|bits| bits.checked_add(offset)).filter(|bits| *bits <= 128)
            }
            None => Some(128),
        };
        Ok(Self { address: ip.into(), prefix: prefix.ok_or_else(wrong)? })
    }

    /// Whether `address` lies in it.
    #[must_use]
    pub fn contains(&self, address: Address) -> bool {
        let differing = u128::from(self.address.0) ^ u128::from(address.0);
        differing.leading_zeros() >= u32::from(self.prefix)
    }
}

impl std::fmt::Display for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ip = self.address.ip();
        let bits = if ip.is_ipv4() { self.prefix.saturating_sub(96) } else { self.prefix };
        write!(f, "{ip}/{bits}")
    }
}

fn vouching(config: &Config, mode: AuthMode, proxies: &[Network]) -> Result<Option<Vouching>, SettingsError> {
    if mode != AuthMode::TrustedProxy {
        return Ok(None);
    }
    match config.text("/gateway/auth/trustedProxy/userHeader") {
        Some(user_header) if !proxies.is_empty() => Ok(Some(Vouching {
            user_header: user_header.trim().to_owned(),
            required_headers: config.texts("/gateway/auth/trustedProxy/requiredHeaders"),
            users: config.texts("/gateway/auth/trustedProxy/allowUsers"),
        })),
        _ => Err(SettingsError::NoVoucher),
    }
}

struct Config {
    path: PathBuf,
    value: Value,
}

impl Config {
    fn at(path: PathBuf) -> Result<Self, SettingsError> {
        let text = state::read(&path, limits::SETTINGS_BYTES)?;
        Self::read(path, text.as_deref())
    }

    /// Reads the text of the file, or none.
    fn read(path: PathBuf, text: Option<&[u8]>) -> Result<Self, SettingsError> {
        let Some(text) = text else { return Ok(Self { path, value: Value::Object(Map::new()) }) };
        let malformed = |why: String| SettingsError::Malformed { path: path.clone(), why };
        let text = std::str::from_utf8(text).map_err(|_| malformed("it is not UTF-8".to_owned()))?;
        if json5_depth(text) > limits::JSON5_DEPTH {
            return Err(malformed(format!("it is nested deeper than {} levels", limits::JSON5_DEPTH)));
        }
        let value = json5::from_str(text).map_err(|error| malformed(error.to_string()))?;
        Ok(Self { path, value })
    }

    fn text(&self, pointer: &str) -> Option<String> {
        self.value.pointer(pointer).and_then(Value::as_str).filter(|text| !text.trim().is_empty()).map(str::to_owned)
    }

    fn texts(&self, pointer: &str) -> Vec<String> {
        let list = self.value.pointer(pointer).and_then(Value::as_array);
        list.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    }

    /// Writes a new shared token into the file, which loses its comments, and keeps the old one beside (as 2026.3.13 does).
    fn write_token(&mut self, token: &str) -> Result<(), SettingsError> {
        let before = state::read(&self.path, limits::SETTINGS_BYTES)?;
        if let Some(before) = before {
            let mut beside = self.path.clone().into_os_string();
            beside.push(".bak");
            state::replace(&PathBuf::from(beside), &before)?;
        }
        let gateway = object(&mut self.value, "gateway");
        gateway.entry("mode").or_insert_with(|| "local".into());
        let auth = gateway.entry("auth").or_insert_with(|| json!({}));
        if !auth.is_object() {
            *auth = json!({});
        }
        if let Some(auth) = auth.as_object_mut() {
            auth.insert("mode".into(), "token".into());
            auth.insert("token".into(), token.into());
        }
        let text = format!("{:#}\n", self.value);
        Ok(state::replace(&self.path, text.as_bytes())?)
    }
}

/// `retention: { days, archive }` of `pairing/settings.json5`, where OpenClaw's own keys have no place.
fn retention(state: &StateDir) -> Result<Option<(u64, PathBuf)>, SettingsError> {
    kept_by(&Config::at(state.own_settings())?, state.root())
}

fn kept_by(own: &Config, root: &Path) -> Result<Option<(u64, PathBuf)>, SettingsError> {
    let value = &own.value;
    let known = |value: &Value, keys: &[&str]| value.as_object().is_some_and(|map| map.keys().all(|key| keys.contains(&&**key)));
    let wrong = |expected| SettingsError::Value { key: "pairing/settings.json5", found: value.to_string(), expected };
    if !known(value, &["journal", "retention"]) {
        return Err(wrong("an object with nothing but journal and retention"));
    }
    let Some(retention) = value.get("retention").filter(|retention| !retention.is_null()) else { return Ok(None) };
    let days =
        retention.get("days").and_then(Value::as_f64).filter(|days| days.fract() == 0.0 && (1.0..=36_500.0).contains(days));
    let archive = retention.get("archive").and_then(Value::as_str).map(PathBuf::from).filter(|path| path.is_absolute());
    let archive = archive.filter(|archive| !archive.starts_with(root));
    match (known(retention, &["days", "archive"]), days.and_then(whole), archive) {
        (true, Some(days), Some(archive)) => Ok(Some((days, archive))),
        _ => Err(wrong(
            "retention: { days: 365, archive: \"/a/directory\" }, days from 1 to 36500, the directory outside this one",
        )),
    }
}

/// How much of an address is recorded: `journal: { addresses }` of `pairing/settings.json5`.
///
/// # Errors
/// [`SettingsError`].
pub fn addresses(state: &StateDir) -> Result<AddressDetail, SettingsError> {
    let Config { value, .. } = Config::at(state.own_settings())?;
    let Some(journal) = value.get("journal") else { return Ok(AddressDetail::Full) };
    let is_known = journal.as_object().is_some_and(|map| map.keys().all(|key| key == "addresses"));
    let named = journal.get("addresses").and_then(Value::as_str);
    let named = AddressDetail::ALL.iter().find(|(_, name)| Some(*name) == named).filter(|_| is_known);
    named.map(|(detail, _)| *detail).ok_or_else(|| SettingsError::Value {
        key: "pairing/settings.json5",
        found: value.to_string(),
        expected: "journal: { addresses: \"full\" }, or \"prefix\", or \"none\"",
    })
}

fn object<'a>(value: &'a mut Value, key: &str) -> &'a mut Map<String, Value> {
    if !value.is_object() {
        *value = json!({});
    }
    let inner = match value {
        Value::Object(map) => map.entry(key).or_insert_with(|| json!({})),
        other => other,
    };
    if !inner.is_object() {
        *inner = json!({});
    }
    match inner {
        Value::Object(map) => map,
        _ => unreachable!("it was made an object above"),
    }
}

fn port(flag: Option<u16>, config: &Config) -> Result<u16, SettingsError> {
    if let Some(port) = flag {
        return Ok(port);
    }
    if let Some(text) = environment("OPENCLAW_GATEWAY_PORT") {
        return text.trim().parse().map_err(|_| SettingsError::Value {
            key: "OPENCLAW_GATEWAY_PORT",
            found: text,
            expected: "a port from 0 to 65535",
        });
    }
    match config.value.pointer("/gateway/port") {
        None | Some(Value::Null) => Ok(limits::PORT_DEFAULT),
        Some(value) => {
            let port = value.as_u64().or_else(|| value.as_f64().filter(|n| n.fract() == 0.0).and_then(whole));
            port.and_then(|port| u16::try_from(port).ok()).ok_or_else(|| SettingsError::Value {
                key: "gateway.port",
                found: value.to_string(),
                expected: "a port from 0 to 65535",
            })
        }
    }
}

/// JSON5 has no integers; a port is a small one.
fn whole(n: f64) -> Option<u64> {
    (0_u16..=u16::MAX).find(|port| f64::from(*port) == n).map(u64::from)
}

fn listen(bind: &str, custom: Option<String>) -> Result<Vec<IpAddr>, SettingsError> {
    match bind {
        "loopback" | "auto" => Ok(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]),
        "lan" => Ok(vec![Ipv4Addr::UNSPECIFIED.into()]),
        "custom" => {
            let custom = custom.unwrap_or_default();
            let ip = custom.parse().map_err(|_| SettingsError::Value {
                key: "gateway.customBindHost",
                found: format!("{custom:?}"),
                expected: "an address of this machine",
            })?;
            Ok(vec![ip])
        }
        other => Err(SettingsError::Value {
            key: "gateway.bind",
            found: format!("{other:?}"),
            expected: "loopback, lan, or custom with gateway.customBindHost",
        }),
    }
}

type Secret = (AuthMode, Option<SharedSecret>, Option<(PathBuf, bool)>);

/// The mode and its secret; the file's wins over the environment's (OpenClaw 2026.3.13).
fn secret(state: &StateDir, flags: &Flags, config: &mut Config, host: &dyn Host) -> Result<Secret, SettingsError> {
    let from = |pointer: &str, variable: &str| {
        let in_file = config.text(pointer).map(|text| (text, Some(config.path.clone())));
        in_file.or_else(|| environment(variable).map(|text| (text, None)))
    };
    let token = from("/gateway/auth/token", "OPENCLAW_GATEWAY_TOKEN");
    let password = from("/gateway/auth/password", "OPENCLAW_GATEWAY_PASSWORD");
    let named = flags.auth.clone().or_else(|| config.text("/gateway/auth/mode"));
    let mode = match named.as_deref() {
        Some(name) => AuthMode::from_text(name).ok_or_else(|| SettingsError::Value {
            key: "gateway.auth.mode",
            found: format!("{name:?}"),
            expected: "token, password, trusted-proxy or none",
        })?,
        None if token.is_some() && password.is_some() => return Err(SettingsError::TwoSecrets),
        None if password.is_some() => AuthMode::Password,
        None => AuthMode::Token,
    };
    let chosen = match mode {
        AuthMode::None | AuthMode::TrustedProxy => return Ok((mode, None, None)),
        AuthMode::Password => password.ok_or(SettingsError::NoPassword)?,
        AuthMode::Token => match token {
            Some(token) => token,
            None => {
                let mut bytes = [0_u8; 24];
                host.fill(&mut bytes);
                let fresh: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
                state::private_dir(state.root())?;
                config.write_token(&fresh)?;
                return Ok((mode, Some(SharedSecret::new(fresh)), Some((config.path.clone(), true))));
            }
        },
    };
    let (text, path) = chosen;
    Ok((mode, Some(SharedSecret::new(text)), path.map(|path| (path, false))))
}

fn newcomers() -> Result<Option<u32>, SettingsError> {
    const KEY: &str = "OPENCLAW_MAX_PREAUTH_CONNECTIONS_PER_IP";
    let Some(text) = environment(KEY) else { return Ok(None) };
    let most = u32::try_from(limits::CONNECTIONS).unwrap_or(u32::MAX);
    let number = text.trim().parse().ok().filter(|number| (1..=most).contains(number));
    number.map(Some).ok_or(SettingsError::Value { key: KEY, found: text, expected: "a number from 1 to 12000" })
}

fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::ManualHost;
    use crate::pairing::Millis;

    fn load(config: &str, flags: &Flags) -> (tempfile::TempDir, Result<Settings, SettingsError>) {
        let scratch = tempfile::tempdir().expect("a scratch directory");
        let state = StateDir::at(scratch.path());
        std::fs::write(state.config(), config).expect("written");
        let settings = Settings::load(&state, flags, &ManualHost::new(Millis(0), 1));
        (scratch, settings)
    }

    #[test]
    fn a_token_is_made_once_and_the_old_file_is_kept() {
        let (scratch, settings) = load("{ /* mine */ logging: { file: '/x' } }", &Flags::default());
        let settings = settings.expect("settings");
        assert!(matches!(settings.secret_at, Some((_, true))));
        let written = std::fs::read_to_string(scratch.path().join("openclaw.json")).expect("there");
        let config: Value = serde_json::from_str(&written).expect("JSON");
        let token = config.pointer("/gateway/auth/token").and_then(Value::as_str).expect("a token");
        assert_eq!(token.len(), 48);
        assert_eq!(config.pointer("/logging/file"), Some(&json!("/x")));
        assert!(std::fs::read_to_string(scratch.path().join("openclaw.json.bak")).expect("kept").contains("mine"));
        let again = Settings::load(&StateDir::at(scratch.path()), &Flags::default(), &ManualHost::new(Millis(0), 2));
        assert!(matches!(again.expect("settings").secret_at, Some((_, false))));
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        for (config, message) in [
            ("{ gateway: { auth: { token: 'a', password: 'b' } } }", "say which one counts"),
            ("{ gateway: { auth: { mode: 'tailscale' } } }", "gateway.auth.mode is \"tailscale\""),
            ("{ gateway: { bind: 'lan', auth: { mode: 'none' } } }", "whoever reaches the port"),
            ("{ gateway: { auth: { mode: 'trusted-proxy', trustedProxy: { userHeader: 'x-user' } } } }", "who may vouch"),
            ("{ gateway: { trustedProxies: ['10.0.0.1'], auth: { mode: 'trusted-proxy' } } }", "in which header"),
            ("{ gateway: { port: 70000, auth: { token: 'a' } } }", "gateway.port is 70000"),
            ("{ gateway: { trustedProxies: ['x'], auth: { token: 'a' } } }", "gateway.trustedProxies is \"x\""),
            ("{ gateway: ", "is not valid JSON5"),
        ] {
            let (_scratch, settings) = load(config, &Flags::default());
            let error = settings.err().expect("refused").to_string();
            assert!(error.contains(message), "{config}: {error}");
        }
        let (_scratch, settings) = load(&"[".repeat(100_000), &Flags::default());
        assert!(settings.err().expect("refused").to_string().contains("nested deeper"));
    }

    #[test]
    fn retention_is_days_and_a_directory_and_nothing_else() {
        let scratch = tempfile::tempdir().expect("a scratch directory");
        let state = StateDir::at(scratch.path());
        assert_eq!(retention(&state).expect("no file"), None);
        std::fs::create_dir(state.pairing()).expect("made");
        let with = |text: &str| {
            std::fs::write(state.own_settings(), text).expect("written");
            retention(&state)
        };
        assert_eq!(with("{}").expect("nothing"), None);
        assert_eq!(with("{ retention: { days: 30, archive: '/a' } }").expect("right"), Some((30, PathBuf::from("/a"))));
        for wrong in [
            "{ retentoin: 1 }",
            "{ retention: { days: 0, archive: '/a' } }",
            "{ retention: { days: 1.5, archive: '/a' } }",
            "{ retention: { days: 3, archive: 'a' } }",
            "{ retention: { days: 3 } }",
            "{ retention: { days: 3, archive: '/a', drop: true } }",
            "{ retention: true }",
            "{ journal: true, rotation: 1 }",
            "[]",
        ] {
            let error = with(wrong).expect_err("refused").to_string();
            assert!(error.starts_with("pairing/settings.json5 is "), "{wrong}: {error}");
        }
    }

    #[test]
    fn x35_how_much_of_an_address_is_recorded_is_one_of_three() {
        let scratch = tempfile::tempdir().expect("a scratch directory");
        let state = StateDir::at(scratch.path());
        std::fs::create_dir(state.pairing()).expect("made");
        let with = |text: &str| {
            std::fs::write(state.own_settings(), text).expect("written");
            addresses(&state)
        };
        assert_eq!(with("{}").expect("nothing"), AddressDetail::Full);
        for (detail, name) in AddressDetail::ALL {
            assert_eq!(with(&format!("{{ journal: {{ addresses: '{name}' }} }}")).expect("right"), detail);
        }
        for wrong in [
            "{ journal: 1 }",
            "{ journal: {} }",
            "{ journal: { addresses: 'some' } }",
            "{ journal: { addresses: 'none', x: 1 } }",
        ] {
            assert!(with(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn x35_a_cut_address_is_decided_on_as_the_whole_one() {
        let parse = |text: &str| Address::from(text.parse::<IpAddr>().expect("an address"));
        let cut = |detail: AddressDetail, whole: &str, network: &str| {
            let network = Network::parse(network).expect("a network");
            let (whole, decides) = (parse(whole), |address| network.contains(address));
            let cut = detail.of(whole, decides);
            assert_eq!(decides(cut), decides(whole), "{}", whole.ip());
            cut.ip().to_string()
        };
        let (prefix, none, elsewhere) = (AddressDetail::Prefix, AddressDetail::None, "192.0.2.0/24");
        assert_eq!(cut(AddressDetail::Full, "203.0.113.77", elsewhere), "203.0.113.77");
        assert_eq!(cut(prefix, "203.0.113.77", elsewhere), "203.0.113.0");
        assert_eq!(cut(prefix, "2001:db8:1:2:3:4:5:6", elsewhere), "2001:db8:1::");
        assert_eq!((cut(none, "203.0.113.77", elsewhere), cut(none, "2001:db8::1", elsewhere)), ("0.0.0.0".into(), "::".into()));
        for loopback in ["127.0.0.1", "127.9.9.9", "::1"] {
            assert_eq!((cut(prefix, loopback, elsewhere), cut(none, loopback, elsewhere)), (loopback.into(), loopback.into()));
        }
        // Trusted stays trusted, by the name of its network, and who is beside that network does not come to be in it.
        assert_eq!(
            (cut(prefix, "10.1.2.200", "10.1.2.128/25"), cut(prefix, "10.1.2.5", "10.1.2.128/25")),
            ("10.1.2.128".into(), "10.1.2.0".into())
        );
        assert_eq!(cut(prefix, "10.1.2.200", "10.1.2.0/25"), "10.1.2.128");
        assert_eq!(
            (cut(none, "10.1.2.200", "10.0.0.0/8"), cut(none, "11.1.2.200", "10.0.0.0/8")),
            ("10.0.0.0".into(), "0.0.0.0".into())
        );
        assert_eq!(cut(none, "2001:db8:7::9", "2001:db8::/32"), "2001:db8::");
        assert_eq!(cut(none, "10.1.2.3", "10.1.2.3/32"), "10.1.2.3");
    }

    #[test]
    fn a10_a_network_holds_both_spellings_of_an_address() {
        let network = Network::parse("1.2.3.0/24").expect("a network");
        assert!(network.contains(IpAddr::from([1, 2, 3, 4]).into()));
        assert!(network.contains("::ffff:1.2.3.4".parse::<IpAddr>().expect("an address").into()));
        assert!(!network.contains(IpAddr::from([1, 2, 4, 4]).into()));
        assert_eq!(network.to_string(), "1.2.3.0/24");
    }
}
