//! Users, dashboards and who may do what: the store, the door around all paths, and what files bring.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use api::screens::{AccessOptions, guard, routes};
use axum::Router;
use axum::middleware::from_fn_with_state;
use base::clock::SharedClock;
use state::users::FIRST_ADMIN;
use state::{Role, StateError, Store};
use tokio::task::JoinHandle;

use super::provisioning::Provisioning;

/// Settings of the screens.
#[derive(Debug, Clone)]
pub struct ScreenSettings {
    /// The file of users and dashboards.
    pub path: PathBuf,
    /// A folder with files that bring dashboards and data sources.
    pub provisioning: Option<PathBuf>,
    /// Who may do what without logging in.
    pub access: AccessOptions,
}

impl ScreenSettings {
    /// What may be done without logging in: on addresses only this host reaches, anybody may look and programs may do
    /// everything, as the programs of the seats let them; on others, nothing.
    pub fn access(
        listen_address: &str,
        anonymous: Option<&str>,
        programs: Option<&str>,
    ) -> anyhow::Result<AccessOptions> {
        let is_loopback = is_loopback(listen_address);
        let anonymous = match anonymous {
            None => is_loopback.then_some(Role::Viewer),
            Some("none") => None,
            Some(name) => Some(Role::from_name(name).with_context(|| {
                format!("--anonymous-role={name}: give one of none, viewer, editor, admin")
            })?),
        };
        let open_to_programs = match programs {
            None => is_loopback,
            Some("open") => true,
            Some("login") => false,
            Some(other) => anyhow::bail!("--programs={other}: give open or login"),
        };
        // This process tells itself alerts.
        let own_token = (!open_to_programs).then(|| {
            let mut bytes = [0; 32];
            random(&mut bytes);
            bytes.iter().map(|byte| format!("{byte:02x}")).collect()
        });
        Ok(AccessOptions { anonymous, open_to_programs, secure_cookies: false, own_token })
    }
}

fn is_loopback(listen_address: &str) -> bool {
    if let Ok(address) = listen_address.parse::<SocketAddr>() {
        return address.ip().is_loopback();
    }
    listen_address.rsplit_once(':').is_some_and(|(host, _)| host == "localhost")
}

/// The screens at work.
pub struct Screens {
    screens: Arc<api::screens::Screens>,
    upkeep: Option<JoinHandle<()>>,
}

impl Screens {
    /// Opens the store, brings in what files have, and goes on doing so.
    pub fn start(settings: &ScreenSettings, clock: SharedClock, prefix: &str) -> anyhow::Result<Self> {
        let store = open(&settings.path, clock.clone())?;
        if let Some(password) = store.first_admin()? {
            tracing::warn!(
                login = FIRST_ADMIN,
                password,
                "first start: this is the administrator's password; it is shown once, so change it after logging in"
            );
        }
        let told = (prefix, env!("CARGO_PKG_VERSION"));
        let screens =
            Arc::new(api::screens::Screens::new(store.clone(), settings.access.clone(), clock, told));
        let changed = screens.clone();
        let provisioning =
            Provisioning::new(store, settings.provisioning.clone(), move || changed.sources_changed());
        let upkeep = Some(tokio::spawn(provisioning.run()));
        Ok(Self { screens, upkeep })
    }

    /// The paths of the screens.
    pub fn routes(&self) -> Router {
        routes(&self.screens)
    }

    /// All paths of the server behind the door.
    pub fn guard(&self, router: Router) -> Router {
        Router::new().fallback_service(router).layer(from_fn_with_state(self.screens.clone(), guard))
    }

    /// Ends what looks at files.
    pub async fn stop(mut self) {
        if let Some(upkeep) = self.upkeep.take() {
            upkeep.abort();
            // Aborted is how it is meant to end.
            let _ = upkeep.await;
        }
    }
}

/// Opens the store. One that is damaged is set aside: metrics, logs and alerts are worth more than to wait for it.
fn open(path: &Path, clock: SharedClock) -> anyhow::Result<Store> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).with_context(|| format!("creating {}", parent.display()))?;
    }
    let now_ms = clock.now_ms();
    let open = || Store::open(path, clock.clone(), Arc::new(random));
    let store = match open() {
        Err(StateError::Damaged { cause, .. }) => {
            let aside = format!("{}.damaged-{now_ms}", path.display());
            for end in ["", "-wal", "-shm"] {
                let (from, to) = (format!("{}{end}", path.display()), format!("{aside}{end}"));
                match std::fs::rename(&from, &to) {
                    Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                        return Err(error).with_context(|| format!("setting {from} aside"));
                    }
                    _ => {}
                }
            }
            tracing::error!(
                cause,
                set_aside = aside,
                "users and dashboards are damaged: they are set aside, and new ones begin; to have them back, \
                 stop, repair that file (sqlite3 FILE .recover) and move it back"
            );
            open()
        }
        opened => opened,
    };
    restrict(path);
    store.with_context(|| format!("opening {}", path.display()))
}

/// Hashes of passwords and secrets of data sources are nobody else's business.
fn restrict(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    if let Err(error) = std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)) {
        tracing::warn!(%error, path = %path.display(), "cannot keep others on this host from reading the file");
    }
}

#[allow(clippy::expect_used, reason = "sessions anybody can guess are worse than none")]
fn random(mut buffer: &mut [u8]) {
    while !buffer.is_empty() {
        let read = rustix::rand::getrandom(&mut *buffer, rustix::rand::GetRandomFlags::empty());
        let read = read.expect("the system has a source of random bytes");
        buffer = &mut buffer[read..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_host_gets_in_without_a_password() {
        let access = |address| ScreenSettings::access(address, None, None).unwrap();
        for address in ["127.0.0.1:9090", "[::1]:9090", "localhost:9090"] {
            assert_eq!(
                (access(address).anonymous, access(address).open_to_programs),
                (Some(Role::Viewer), true)
            );
        }
        for address in ["0.0.0.0:9090", ":9090", "192.0.2.1:9090", "monitor.example:9090"] {
            assert_eq!(
                (access(address).anonymous, access(address).open_to_programs),
                (None, false),
                "{address}"
            );
        }
        let given = ScreenSettings::access("127.0.0.1:1", Some("none"), Some("login")).unwrap();
        assert_eq!((given.anonymous, given.open_to_programs), (None, false));
        assert!(ScreenSettings::access("127.0.0.1:1", Some("root"), None).is_err());
    }
}
