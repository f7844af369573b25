//! Cursors: where an answer ended, for the next one to go on from there. To clients they are opaque.
//!
//! A cursor holds nothing secret and grants nothing. It is checked so that one which was cut, changed, made up, or
//! comes from another list is refused, and not taken for a place in this one.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

use super::error::ApiError;

/// Bytes of the checksum in front.
const CHECKSUM: usize = 4;

/// The cursor that says `place` in what `scope` names.
pub(super) fn seal(scope: &str, place: &[u8]) -> String {
    let mut bytes = checksum(scope, place).to_vec();
    bytes.extend_from_slice(place);
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// The place that a cursor says, in what `scope` names. `field` is where the client gave it.
pub(super) fn open(field: &str, scope: &str, cursor: &str) -> Result<Vec<u8>, ApiError> {
    let mut bytes = BASE64_URL_SAFE_NO_PAD.decode(cursor).map_err(|_| invalid(field))?;
    if bytes.len() < CHECKSUM {
        return Err(invalid(field));
    }
    let place = bytes.split_off(CHECKSUM);
    if bytes == checksum(scope, &place) { Ok(place) } else { Err(invalid(field)) }
}

/// A cursor that says no place in what was asked for.
pub(super) fn invalid(field: &str) -> ApiError {
    ApiError::invalid(format!("{field}: is not a cursor that this server gave for this"))
}

fn checksum(scope: &str, place: &[u8]) -> [u8; CHECKSUM] {
    crc32c::crc32c_append(crc32c::crc32c(scope.as_bytes()), place).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_taken_back_where_it_was_given_and_nowhere_else() {
        let cursor = seal("tasks", b"place");
        assert_eq!(open("cursor", "tasks", &cursor).unwrap(), b"place");
        assert!(open("cursor", "task other", &cursor).is_err());
        for at in 0..cursor.len() {
            let mut forged = cursor.clone().into_bytes();
            forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
            assert!(open("cursor", "tasks", &String::from_utf8(forged).unwrap()).is_err(), "{at}");
            assert!(open("cursor", "tasks", &cursor[..at]).is_err(), "cut at {at}");
        }
        assert!(open("cursor", "tasks", "not base64!").is_err());
    }
}
