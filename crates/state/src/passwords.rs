//! Passwords as Argon2id hashes.

use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};

use crate::store::{StateError, Store};

/// The fewest characters of a password.
pub const MIN_CHARS: usize = 8;
/// The longest password: hashing one takes time by its length.
pub const MAX_BYTES: usize = 1 << 10;

/// Memory and passes OWASP recommends at least.
const MEMORY_KIB: u32 = 19 << 10;
const PASSES: u32 = 2;

/// A well-formed hash no password is known of, checked for unknown users so that they take as long as
/// known ones.
pub(crate) const NOBODY_HASH: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5bm9ib2R5bm9ib2Q$4Ht1hDhUVcfGmFFkYhFCwXVDGuzmVgJ0pPeVRv5ZkVE";

fn argon2() -> Result<Argon2<'static>, StateError> {
    let params =
        Params::new(MEMORY_KIB, PASSES, 1, None).map_err(|error| StateError::Internal(error.to_string()))?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

/// The hash of a password that satisfies the rules.
pub fn hash(store: &Store, password: &str) -> Result<String, StateError> {
    if password.chars().count() < MIN_CHARS {
        return Err(StateError::invalid(format!("a password has at least {MIN_CHARS} characters")));
    }
    if password.len() > MAX_BYTES {
        return Err(StateError::invalid(format!("a password has at most {MAX_BYTES} bytes")));
    }
    let internal = |error: argon2::password_hash::Error| StateError::Internal(error.to_string());
    let salt = SaltString::encode_b64(&store.random_bytes::<16>()).map_err(internal)?;
    Ok(argon2()?.hash_password(password.as_bytes(), &salt).map_err(internal)?.to_string())
}

/// Whether a password is that of a hash; without a hash it takes as long and is not.
pub fn verify(password: &str, hash: Option<&str>) -> bool {
    if password.len() > MAX_BYTES {
        return false;
    }
    let Ok(parsed) = PasswordHash::new(hash.unwrap_or(NOBODY_HASH)) else { return false };
    let verified = Argon2::default().verify_password(password.as_bytes(), &parsed).is_ok();
    verified && hash.is_some()
}
