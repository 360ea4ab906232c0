//! Names and keys that nobody can guess.

use rand::TryRngCore as _;
use rand::rngs::OsRng;

use super::DeskError;

/// So many bytes of the operating system's generator.
pub fn random<const N: usize>() -> Result<[u8; N], DeskError> {
    let mut bytes = [0; N];
    OsRng
        .try_fill_bytes(&mut bytes)
        .map_err(|e| DeskError::conflict(format!("the operating system gave no random bytes: {e}. Try again")))?;
    Ok(bytes)
}

/// Bytes in hex.
pub fn hex(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(bytes)
}
