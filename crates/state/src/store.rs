//! The file, its transactions, and what can fail.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use base::ErrorKind;
use base::clock::SharedClock;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use parking_lot::Mutex;
use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::{Connection, ErrorCode, Transaction, TransactionBehavior};

use crate::schema;

/// Fills a buffer with random bytes nobody can guess.
pub type Random = Arc<dyn Fn(&mut [u8]) + Send + Sync>;

/// How long a call waits for another process that has the file locked.
const BUSY_TIMEOUT_MS: u64 = 5_000;
/// Pages SQLite keeps in memory, in KiB.
const CACHE_KIB: i64 = 4 << 10;

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// What was asked for cannot be done as it was asked.
    #[error("{0}")]
    Invalid(String),
    /// It is not there.
    #[error("{0} not found")]
    NotFound(&'static str),
    /// Something else is there already, or was changed meanwhile.
    #[error("{0}")]
    Conflict(String),
    /// The file belongs to a newer program.
    #[error(
        "{path} was written by a newer version of this program (schema {found}, known up to {known}): start that version, or move the file away"
    )]
    TooNew {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// The newest version this program knows.
        known: i64,
    },
    /// The file is damaged.
    #[error(
        "{path} is damaged ({cause}): move it away and restore a copy; users and dashboards are in it, metrics and logs are not"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        cause: String,
    },
    /// The disk failed, is full, or is read-only.
    #[error("users and dashboards cannot be stored: {0}")]
    Storage(#[from] rusqlite::Error),
    /// A defect in this program.
    #[error("{0}")]
    Internal(String),
}

impl StateError {
    /// What the caller can do about it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Invalid(_) | Self::Conflict(_) => ErrorKind::InvalidInput,
            Self::NotFound(_) => ErrorKind::NotFound,
            Self::Damaged { .. } | Self::TooNew { .. } => ErrorKind::Corruption,
            Self::Storage(_) => ErrorKind::Storage,
            Self::Internal(_) => ErrorKind::Internal,
        }
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::Invalid(message.into())
    }
}

/// Users, dashboards and the rest, in a file.
///
/// What a call has written is on the disk when it returns.
#[derive(Clone)]
pub struct Store {
    connection: Arc<Mutex<Connection>>,
    clock: SharedClock,
    random: Random,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Store")
    }
}

impl Store {
    /// Opens the file, makes it if it is not there, and brings an older one up to date.
    pub fn open(path: &Path, clock: SharedClock, random: Random) -> Result<Self, StateError> {
        let connection = Connection::open(path)?;
        let store = Self { connection: Arc::new(Mutex::new(connection)), clock, random };
        match store.prepare(path) {
            Err(StateError::Storage(error)) if is_damage(&error) => {
                Err(StateError::Damaged { path: path.to_path_buf(), cause: error.to_string() })
            }
            Err(error) => Err(error),
            Ok(()) => Ok(store),
        }
    }

    fn prepare(&self, path: &Path) -> Result<(), StateError> {
        let mut connection = self.connection.lock();
        connection.busy_timeout(std::time::Duration::from_millis(BUSY_TIMEOUT_MS))?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        // With the log of WAL mode only FULL has a commit on the disk when it returns.
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "foreign_keys", true)?;
        connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
        let fold = |context: &Context<'_>| Ok(context.get::<String>(0)?.to_lowercase());
        let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
        connection.create_scalar_function("fold", 1, flags, fold)?;
        let found: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
        if found != "ok" {
            return Err(StateError::Damaged { path: path.to_path_buf(), cause: found });
        }
        schema::migrate(&mut connection, path)
    }

    /// Milliseconds since the Unix epoch.
    pub(crate) fn now_ms(&self) -> i64 {
        self.clock.now_ms()
    }

    /// Random bytes.
    pub(crate) fn random_bytes<const N: usize>(&self) -> [u8; N] {
        let mut buffer = [0; N];
        (self.random)(&mut buffer);
        buffer
    }

    /// Text of `N` random bytes that stands in addresses and cookies as it is.
    pub(crate) fn random_text<const N: usize>(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.random_bytes::<N>())
    }

    /// Reads something.
    pub(crate) fn read<T>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, StateError>,
    ) -> Result<T, StateError> {
        work(&self.connection.lock())
    }

    /// Changes something as a whole or not at all.
    pub(crate) fn write<T>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, StateError>,
    ) -> Result<T, StateError> {
        let mut connection = self.connection.lock();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let made = work(&transaction)?;
        transaction.commit()?;
        Ok(made)
    }
}

fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}
