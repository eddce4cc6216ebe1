//! Small changes to saved inputs: what a torn write, a cut line, a hostile or a confused upstream would make of them.

/// Seeded, so that a run can be repeated.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Random {
        // No state may be zero.
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// Below the limit, which is not zero.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit as u64).expect("below a usize")
    }
}

/// What tends to be read wrongly.
const WORDS: &[&[u8]] = &[
    b"null",
    b"true",
    b"-1",
    b"-0",
    b"0.001",
    b"1e3",
    b"1e999",
    b"-9223372036854775809",
    b"9223372036854775807",
    b"18446744073709551616",
    b"99999999999999999999999999999999999999.99",
    b"79228162514264337593543950335",
    b"\"\"",
    b"\"NaN\"",
    b"\"0.010\"",
    b"\"9999-12-31T23:59:59Z\"",
    b"\"-9999-01-01 00:00:00\"",
    b"{}",
    b"[]",
    b"[[[[[[[[",
    b"{\"a\":",
    b"\\u0000",
    b"\\ud800",
    b"\\\"",
    "\u{202e}".as_bytes(),
    "退款\u{0301}".as_bytes(),
    b"\n",
    b"\xff\xfe",
    b"\"\"\"",
    b"[accounts.x]\n",
];

/// Inputs are kept below this, in bytes.
const LONGEST: usize = 1 << 16;

/// One to four small changes; `other` lends a piece.
pub(crate) fn mutate(random: &mut Random, input: &[u8], other: &[u8]) -> Vec<u8> {
    let mut bytes = input.to_vec();
    for _change in 0..=random.below(4) {
        change(random, &mut bytes, other);
    }
    bytes.truncate(LONGEST);
    bytes
}

fn change(random: &mut Random, bytes: &mut Vec<u8>, other: &[u8]) {
    let at = random.below(bytes.len() + 1);
    let (from, to) = piece(random, bytes.len());
    match random.below(10) {
        0 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
        1 if at < bytes.len() => bytes[at] = [0, 1, 0x7f, 0x80, 0xff, b'"', b'}', b'9'][random.below(8)],
        2 => bytes.truncate(at),
        3 => drop(bytes.drain(from..to)),
        4 => {
            let piece = bytes[from..to].to_vec();
            bytes.splice(at..at, piece);
        }
        5 => {
            let (from, to) = piece(random, other.len());
            bytes.splice(at..at, other[from..to].iter().copied());
        }
        // A length that is not so, as segments and frames have them.
        6 if at + 4 <= bytes.len() => {
            let length = [0, 1, 80, 0xffff, 0x7fff_ffff, u32::MAX, u32::MAX - 63][random.below(7)];
            bytes[at..at + 4].copy_from_slice(&length.to_le_bytes());
        }
        // A number in the text becomes another.
        7 => {
            let digits = |bytes: &[u8], at: usize| bytes[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
            let start = (at..bytes.len()).find(|at| digits(bytes, *at) > 0).unwrap_or(bytes.len());
            let end = start + digits(bytes, start);
            bytes.splice(start..end, WORDS[random.below(WORDS.len())].iter().copied());
        }
        _ => drop(bytes.splice(at..at, WORDS[random.below(WORDS.len())].iter().copied())),
    }
}

/// Where a piece of some text begins and ends: mostly short.
fn piece(random: &mut Random, length: usize) -> (usize, usize) {
    let from = random.below(length + 1);
    let most = if random.below(4) == 0 { length } else { 32 };
    (from, from + random.below((length - from).min(most) + 1))
}
