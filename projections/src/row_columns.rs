//! Rows turned into columns: what a set-based statement takes.

use serde::ser::{Error, Impossible, Serialize, SerializeStruct, Serializer};

/// The columns of some rows, each value as the text that SQL reads.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Columns {
    /// Their names: the fields of the row.
    pub(crate) names: Vec<&'static str>,
    /// Their values; as many in each as there are rows.
    pub(crate) cells: Vec<Vec<Option<String>>>,
}

impl Columns {
    /// The columns of these rows; none of none.
    pub(crate) fn of<'a, R: Serialize + 'a>(rows: impl Iterator<Item = &'a R>) -> Result<Self, serde_json::Error> {
        let mut columns = Self::default();
        for row in rows {
            row.serialize(&mut Row { columns: &mut columns, next: 0 })?;
        }
        Ok(columns)
    }
}

/// Takes a struct apart, field by field.
struct Row<'a> {
    columns: &'a mut Columns,
    next: usize,
}

impl SerializeStruct for &mut Row<'_> {
    type Ok = ();
    type Error = serde_json::Error;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), Self::Error> {
        let Columns { names, cells } = &mut *self.columns;
        if self.next == cells.len() {
            names.push(name);
            cells.push(Vec::new());
        }
        cells[self.next].push(cell(serde_json::to_string(value)?)?);
        self.next += 1;
        Ok(())
    }

    fn end(self) -> Result<(), Self::Error> {
        Ok(())
    }
}

/// A JSON value as SQL reads it: null is null, a text is the text, and everything else is as it stands, for a column of JSON too.
fn cell(json: String) -> Result<Option<String>, serde_json::Error> {
    match json.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(plain) if !plain.contains('\\') => Ok(Some(plain.to_owned())),
        Some(_) => serde_json::from_str(&json),
        None => Ok((json != "null").then_some(json)),
    }
}

/// What a row is not.
fn refused<T>() -> Result<T, serde_json::Error> {
    Err(Error::custom("a row is a struct with a field for each column"))
}

macro_rules! refuse {
    ($($method:ident($($argument:ty),*) -> $answer:ident;)+) => {$(
        fn $method(self, $(_: $argument),*) -> Result<Self::$answer, Self::Error> {
            refused()
        }
    )+};
}

impl<'a, 'b> Serializer for &'a mut Row<'b> {
    type Ok = ();
    type Error = serde_json::Error;
    type SerializeStruct = &'a mut Row<'b>;
    type SerializeSeq = Impossible<(), Self::Error>;
    type SerializeTuple = Impossible<(), Self::Error>;
    type SerializeTupleStruct = Impossible<(), Self::Error>;
    type SerializeTupleVariant = Impossible<(), Self::Error>;
    type SerializeMap = Impossible<(), Self::Error>;
    type SerializeStructVariant = Impossible<(), Self::Error>;

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self::SerializeStruct, Self::Error> {
        Ok(self)
    }

    refuse! {
        serialize_bool(bool) -> Ok;
        serialize_i8(i8) -> Ok;
        serialize_i16(i16) -> Ok;
        serialize_i32(i32) -> Ok;
        serialize_i64(i64) -> Ok;
        serialize_u8(u8) -> Ok;
        serialize_u16(u16) -> Ok;
        serialize_u32(u32) -> Ok;
        serialize_u64(u64) -> Ok;
        serialize_f32(f32) -> Ok;
        serialize_f64(f64) -> Ok;
        serialize_char(char) -> Ok;
        serialize_str(&str) -> Ok;
        serialize_bytes(&[u8]) -> Ok;
        serialize_none() -> Ok;
        serialize_unit() -> Ok;
        serialize_unit_struct(&'static str) -> Ok;
        serialize_unit_variant(&'static str, u32, &'static str) -> Ok;
        serialize_seq(Option<usize>) -> SerializeSeq;
        serialize_tuple(usize) -> SerializeTuple;
        serialize_tuple_struct(&'static str, usize) -> SerializeTupleStruct;
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> SerializeTupleVariant;
        serialize_map(Option<usize>) -> SerializeMap;
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> SerializeStructVariant;
    }

    fn serialize_some<T: Serialize + ?Sized>(self, _: &T) -> Result<(), Self::Error> {
        refused()
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, _: &T) -> Result<(), Self::Error> {
        refused()
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<(), Self::Error> {
        refused()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Serialize)]
    struct Sample {
        text: &'static str,
        none: Option<i64>,
        number: i64,
        yes: bool,
        list: Vec<&'static str>,
    }

    #[test]
    fn each_field_is_a_column_of_what_sql_reads() {
        let sample = |text, number| Sample { text, none: None, number, yes: true, list: vec!["a\"b"] };
        let columns = Columns::of([sample("plain", -1), sample("q\"\\\nü", i64::MAX)].iter()).expect("two rows");
        assert_eq!(columns.names, ["text", "none", "number", "yes", "list"]);
        let some = |text: &str| Some(text.to_owned());
        let list = some(r#"["a\"b"]"#);
        let cells = [
            vec![some("plain"), some("q\"\\\nü")],
            vec![None, None],
            vec![some("-1"), some("9223372036854775807")],
            vec![some("true"), some("true")],
            vec![list.clone(), list],
        ];
        assert_eq!(columns.cells, cells);
        assert!(Columns::of([1].iter()).is_err(), "a number is no row");
    }
}
