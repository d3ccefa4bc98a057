//! Checks of one input that are answered together: every wrong field at once, or all values.

use super::Refusal;

/// Checks of several fields.
pub trait Together {
    /// What they give when all of them pass.
    type Values;

    /// All values, or all refusals.
    ///
    /// # Errors
    /// The first refusal, with the others in it.
    fn together(self) -> Result<Self::Values, Refusal>;
}

/// All values of several checked fields, or all refusals in one.
///
/// # Errors
/// The first refusal, with the others in it.
pub fn together<T: Together>(checked: T) -> Result<T::Values, Refusal> {
    checked.together()
}

/// All values of a list whose items were checked, or all refusals in one.
///
/// # Errors
/// The first refusal, with the others in it.
pub fn each<T>(checked: impl IntoIterator<Item = Result<T, Refusal>>) -> Result<Vec<T>, Refusal> {
    let (mut values, mut refused) = (Vec::new(), None);
    for item in checked {
        match item {
            Ok(value) => values.push(value),
            Err(refusal) => add(&mut refused, refusal),
        }
    }
    refused.map_or(Ok(values), Err)
}

fn add(refused: &mut Option<Refusal>, refusal: Refusal) {
    *refused = Some(match refused.take() {
        Some(first) => first.and(refusal),
        None => refusal,
    });
}

macro_rules! tuples {
    ($(($($value:ident: $kind:ident),+)),+ $(,)?) => {$(
        impl<$($kind),+> Together for ($(Result<$kind, Refusal>,)+) {
            type Values = ($($kind,)+);

            fn together(self) -> Result<Self::Values, Refusal> {
                match self {
                    ($(Ok($value),)+) => Ok(($($value,)+)),
                    ($($value,)+) => {
                        let mut refused = None;
                        $(if let Err(refusal) = $value {
                            add(&mut refused, refusal);
                        })+
                        Err(refused.expect("one of them is refused, or the arm before was taken"))
                    }
                }
            }
        }
    )+};
}

tuples! {
    (a: A, b: B),
    (a: A, b: B, c: C),
    (a: A, b: B, c: C, d: D),
    (a: A, b: B, c: C, d: D, e: E),
    (a: A, b: B, c: C, d: D, e: E, f: F),
    (a: A, b: B, c: C, d: D, e: E, f: F, g: G),
    (a: A, b: B, c: C, d: D, e: E, f: F, g: G, h: H),
}
