//! Long contents as several values: sled moves what exceeds a quarter of its segments to files that it never syncs.

/// Bytes of content per value. A leaf holds up to 17 values, so each stays below 7 KiB.
const PART: usize = 6 * 1024;

/// Each part begins with a sum of the whole content and the number of parts.
const HEAD: usize = 8 + 2;

/// What tells a content from any other that is put together from parts of several; of a content that is one value, a
/// checksum, for all that can be wrong with it is that it is not what was written.
fn sum(content: &[u8], count: u16) -> [u8; 8] {
    let mut sum = [0; 8];
    match count {
        1 => sum[..4].copy_from_slice(&crc32c::crc32c(content).to_be_bytes()),
        _ => sum.copy_from_slice(&blake3::hash(content).as_bytes()[..8]),
    }
    sum
}

/// Whether a content takes one value.
pub(super) fn is_short(content: &[u8]) -> bool {
    content.len() <= PART
}

/// Cuts a content into values, at least one.
pub(super) fn cut(content: &[u8]) -> impl Iterator<Item = (u16, Vec<u8>)> + '_ {
    let count = u16::try_from(content.len().div_ceil(PART).max(1));
    let count = count.expect("a content below 384 MiB: frames are smaller");
    let sum = sum(content, count);
    (0..count).map(move |number| {
        let from = usize::from(number) * PART;
        let part = &content[from..content.len().min(from + PART)];
        let mut value = Vec::with_capacity(HEAD + part.len());
        value.extend_from_slice(&sum);
        value.extend_from_slice(&count.to_be_bytes());
        value.extend_from_slice(part);
        (number, value)
    })
}

/// How many parts there are, as the first one says.
pub(super) fn count(first: &[u8]) -> Option<u16> {
    Some(u16::from_be_bytes([*first.get(8)?, *first.get(9)?]))
}

/// Whether a value is the whole of a content.
pub(super) fn is_only(value: &[u8]) -> bool {
    value.split_at_checked(HEAD).is_some_and(|(head, content)| count(head) == Some(1) && sum(content, 1) == head[..8])
}

/// The content of a value that was found to be the whole of it.
pub(super) fn content_of_only(value: &[u8]) -> &[u8] {
    &value[HEAD..]
}

/// Puts parts together again; `None` where they are not the whole of one content.
pub(super) fn join<'a>(parts: impl Iterator<Item = &'a [u8]>) -> Option<Vec<u8>> {
    let mut content = Vec::new();
    let mut head: Option<&[u8]> = None;
    let mut seen: u16 = 0;
    for part in parts {
        let (this, part) = part.split_at_checked(HEAD)?;
        if *head.get_or_insert(this) != this {
            return None;
        }
        seen = seen.checked_add(1)?;
        content.extend_from_slice(part);
    }
    let head = head?;
    let whole = count(head)? == seen && sum(&content, seen) == head[..8];
    whole.then_some(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_of_any_length_comes_back_from_its_parts_and_some_of_them_do_not() {
        for length in [0, 1, PART - 1, PART, PART + 1, 3 * PART + 7] {
            let content: Vec<u8> = (0..length).map(|i| u8::try_from(i % 251).unwrap_or(0)).collect();
            let values: Vec<Vec<u8>> = cut(&content).map(|(_, value)| value).collect();
            assert!(values.iter().all(|value| value.len() < 7 * 1024));
            assert_eq!(join(values.iter().map(Vec::as_slice)), Some(content));
            assert_eq!(join(values[1..].iter().map(Vec::as_slice)), None);
        }
        let (one, two) = (cut(b"one").next(), cut(b"two").next());
        let mixed: Vec<Vec<u8>> = [one, two].into_iter().flatten().map(|(_, value)| value).collect();
        assert_eq!(join(mixed.iter().map(Vec::as_slice)), None);
    }
}
