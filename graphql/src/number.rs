//! Numbers as clients get them: `Int` has 32 bits, so what can be larger is a `Long`.

use async_graphql::{InputValueError, InputValueResult, Scalar, ScalarType, Value};

/// A whole number that JSON carries exactly, from -(2^53-1) to 2^53-1: written as a JSON number, not as a string.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Long(i64);

impl Long {
    /// The greatest of them; the least is its negative.
    const MAX: i64 = (1 << 53) - 1;

    /// The number; what lies outside of the range is told as its end.
    pub(crate) fn of(number: impl TryInto<i64>) -> Self {
        Self(number.try_into().unwrap_or(Self::MAX).clamp(-Self::MAX, Self::MAX))
    }

    /// The bare number.
    pub(crate) const fn get(self) -> i64 {
        self.0
    }
}

/// A whole number that JSON carries exactly, from -(2^53-1) to 2^53-1: written as a JSON number, not as a string.
#[Scalar(specified_by_url = "https://www.rfc-editor.org/rfc/rfc7493#section-2.2")]
impl ScalarType for Long {
    fn parse(value: Value) -> InputValueResult<Self> {
        match value {
            Value::Number(number) => match number.as_i64().filter(|number| (-Self::MAX..=Self::MAX).contains(number)) {
                Some(number) => Ok(Self(number)),
                None => Err(InputValueError::custom("expected a whole number from -(2^53-1) to 2^53-1")),
            },
            other => Err(InputValueError::expected_type(other)),
        }
    }

    fn is_valid(value: &Value) -> bool {
        Self::parse(value.clone()).is_ok()
    }

    fn to_value(&self) -> Value {
        self.0.into()
    }
}

/// A number that a rule keeps within 32 bits; what lies outside of them, from before there was the rule, is told as their end.
pub(crate) fn int(number: impl TryInto<i64>) -> i32 {
    let number = number.try_into().unwrap_or(i64::MAX);
    i32::try_from(number).unwrap_or(if number < 0 { i32::MIN } else { i32::MAX })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_is_a_whole_number_that_json_carries_exactly() {
        for number in [0, 1, -1, i64::from(u32::MAX), Long::MAX, -Long::MAX] {
            let long = Long::parse(Value::from(number)).expect("within the range");
            assert_eq!((long.get(), long.to_value()), (number, Value::from(number)));
        }
        let wrong = [
            Value::from(Long::MAX + 1),
            Value::from(i64::MIN),
            Value::from(u64::MAX),
            Value::from(1.5),
            Value::from("1"),
            Value::from(true),
            Value::Null,
        ];
        for value in wrong {
            assert!(Long::parse(value.clone()).is_err(), "{value}");
        }
    }

    #[test]
    fn what_does_not_fit_is_told_as_the_end_of_the_range() {
        assert_eq!((int(7_u32), int(-7_i64), int(1_u64 << 40), int(i64::MIN)), (7, -7, i32::MAX, i32::MIN));
        assert_eq!((Long::of(u64::MAX).get(), Long::of(i64::MIN).get()), (Long::MAX, -Long::MAX));
    }
}
