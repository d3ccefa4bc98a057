//! Base62 with a fixed width, and the checksum that lets us and secret scanners drop garbage without a lookup (REQUIREMENTS 3.3).

use crate::RandomBytes;

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Letters of a 256-bit secret.
pub(crate) const SECRET_LETTERS: usize = 43;
/// Letters of a 128-bit id.
pub(crate) const ID_LETTERS: usize = 22;
/// Letters of the CRC32.
pub(crate) const CRC_LETTERS: usize = 6;

/// A number in exactly `width` letters; what does not fit is cut off at the top.
pub(crate) fn encode(mut number: u128, width: usize) -> String {
    let mut letters = vec![0; width];
    for letter in letters.iter_mut().rev() {
        *letter = ALPHABET[(number % 62) as usize];
        number /= 62;
    }
    String::from_utf8(letters).expect("the alphabet is ASCII")
}

/// The number written in base62; `None` for a foreign letter or one beyond 128 bits.
pub(crate) fn decode(text: &str) -> Option<u128> {
    text.bytes().try_fold(0_u128, |number, letter| {
        let digit = ALPHABET.iter().position(|candidate| *candidate == letter)?;
        number.checked_mul(62)?.checked_add(digit as u128)
    })
}

/// Appends 256 random bits in 43 letters.
pub(crate) fn push_secret(text: &mut String, random: &dyn RandomBytes) {
    let mut number = zeroize::Zeroizing::new([0_u8; 32]);
    random.fill(number.as_mut_slice());
    for _ in 0..SECRET_LETTERS {
        // Long division by 62, most significant byte first; the remainder is the next letter.
        let mut remainder = 0_u16;
        for byte in number.iter_mut() {
            let dividend = (remainder << 8) | u16::from(*byte);
            *byte = u8::try_from(dividend / 62).expect("the remainder is below 62, so the quotient is below 256");
            remainder = dividend % 62;
        }
        text.push(char::from(ALPHABET[usize::from(remainder)]));
    }
}

/// Appends the CRC32 of all that stands before it.
pub(crate) fn push_checksum(text: &mut String) {
    let checksum = crc32fast::hash(text.as_bytes());
    text.push_str(&encode(u128::from(checksum), CRC_LETTERS));
}

/// What stands between a prefix and the checksum, if the length, every letter and the checksum are right.
pub(crate) fn checked_body<'a>(text: &'a str, prefix: &str, letters: usize) -> Option<&'a str> {
    let rest = text.strip_prefix(prefix)?;
    if rest.len() != letters + CRC_LETTERS || !rest.bytes().all(|letter| letter.is_ascii_alphanumeric()) {
        return None;
    }
    let (body, checksum) = rest.split_at(letters);
    let expected = crc32fast::hash(&text.as_bytes()[..text.len() - CRC_LETTERS]);
    (decode(checksum)? == u128::from(expected)).then_some(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Constant(u8);
    impl RandomBytes for Constant {
        fn fill(&self, buffer: &mut [u8]) {
            buffer.fill(self.0);
        }
    }

    #[test]
    fn numbers_come_back_and_overflow_is_refused() {
        for number in [0, 1, 61, 62, u128::from(u32::MAX), u128::MAX] {
            assert_eq!(decode(&encode(number, ID_LETTERS)), Some(number));
        }
        assert_eq!(encode(u128::from(u32::MAX), CRC_LETTERS), "4gfFC3");
        assert_eq!(decode(&"z".repeat(ID_LETTERS)), None);
        assert_eq!(decode("a-b"), None);
    }

    #[test]
    fn k1_forty_three_letters_carry_all_256_bits() {
        let secret = |byte| {
            let mut text = String::new();
            push_secret(&mut text, &Constant(byte));
            text
        };
        assert_eq!(secret(0), "0".repeat(43));
        // 2^256 - 1 in base62, least significant letter first: all 43 letters are used and none is left over.
        let largest: String = secret(255).chars().rev().collect();
        let bits = largest.bytes().fold([0_u8; 33], |mut number, letter| {
            let mut carry = ALPHABET.iter().position(|candidate| *candidate == letter).unwrap();
            for byte in number.iter_mut().rev() {
                carry += usize::from(*byte) * 62;
                *byte = (carry & 255) as u8;
                carry >>= 8;
            }
            number
        });
        assert_eq!(bits[0], 0);
        assert_eq!(bits[1..], [255; 32]);
    }
}
