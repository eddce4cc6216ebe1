//! Refund keys that a device makes up.

use crate::domain::{DeviceName, RefundKey};

/// A new key of that device: the whole of [`Ledger::make_key`].
pub(crate) fn make_key(device: &DeviceName) -> RefundKey {
    // 12 + 1 + 9 + 9 characters; a device name has only characters that a key may have.
    const LETTERS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
    let letters = |mut bits: u128, count: u32| -> String {
        let mut text: Vec<u8> = Vec::new();
        for _ in 0..count {
            text.push(LETTERS[usize::try_from(bits & 31).expect("five bits")]);
            bits >>= 5;
        }
        text.reverse();
        text.into_iter().map(char::from).collect()
    };
    let unique = uuid::Uuid::now_v7().as_u128();
    let prefix: String = device.as_str().chars().take(12).collect();
    // The first 48 bits are milliseconds, so that keys sort by time; the last 62 are random.
    let key = format!("{prefix}-{}{}", letters(unique >> 80, 9), letters(unique, 9));
    RefundKey::new(key).expect("a device name, a dash and 18 letters make a key")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_made_key_begins_with_the_device_and_keeps_to_the_rules() {
        for device in ["till-3", "a-device-with-a-very-long-name"] {
            let name = DeviceName::new(device).expect("a name");
            let (one, two) = (make_key(&name), make_key(&name));
            assert_ne!(one, two);
            assert!(one.as_str().starts_with(&device[..device.len().min(12)]));
            assert!(one.as_str().len() <= 32);
        }
    }
}
