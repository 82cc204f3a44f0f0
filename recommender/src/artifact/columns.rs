//! Named columns of numbers and strings in one safetensors object.

use std::borrow::Cow;

use safetensors::tensor::{Dtype, TensorView};
use safetensors::{SafeTensors, serialize};

use super::ArtifactError;

/// Many strings in two arrays: one allocation each, and read from an artifact without parsing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Strings {
    /// One more than there are strings.
    offsets: Vec<u32>,
    bytes: Vec<u8>,
}

impl Strings {
    pub fn new() -> Self {
        Self { offsets: vec![0], bytes: Vec::new() }
    }

    pub fn push(&mut self, text: &str) {
        if self.offsets.is_empty() {
            self.offsets.push(0);
        }
        self.bytes.extend_from_slice(text.as_bytes());
        self.offsets.push(self.bytes.len() as u32);
    }

    pub fn len(&self) -> usize {
        self.offsets.len().saturating_sub(1)
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Empty where there is none.
    pub fn get(&self, at: usize) -> &str {
        let range = self.offsets.get(at).zip(self.offsets.get(at + 1));
        range
            .and_then(|(from, to)| self.bytes.get(*from as usize..*to as usize))
            .and_then(|bytes| std::str::from_utf8(bytes).ok())
            .unwrap_or("")
    }

    pub fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.len()).map(|at| self.get(at))
    }
}

impl<'a> FromIterator<&'a str> for Strings {
    fn from_iter<I: IntoIterator<Item = &'a str>>(texts: I) -> Self {
        let mut strings = Self::new();
        for text in texts {
            strings.push(text);
        }
        strings
    }
}

/// A number that can be a column.
pub trait Number: Copy {
    const DTYPE: Dtype;
    const BYTES: usize;
    fn put(self, to: &mut Vec<u8>);
    fn take(from: &[u8]) -> Self;
}

macro_rules! number {
    ($type:ty, $dtype:ident) => {
        impl Number for $type {
            const DTYPE: Dtype = Dtype::$dtype;
            const BYTES: usize = size_of::<$type>();
            fn put(self, to: &mut Vec<u8>) {
                to.extend_from_slice(&self.to_le_bytes());
            }
            fn take(from: &[u8]) -> Self {
                let mut bytes = [0; size_of::<$type>()];
                bytes.copy_from_slice(from);
                <$type>::from_le_bytes(bytes)
            }
        }
    };
}
number!(u8, U8);
number!(u32, U32);
number!(i64, I64);
number!(f32, F32);

/// Collects columns and writes them as one object.
#[derive(Debug, Default)]
pub struct ColumnsBuilder {
    columns: Vec<(String, Dtype, usize, Vec<u8>)>,
}

impl ColumnsBuilder {
    pub fn numbers<T: Number>(&mut self, name: &str, values: &[T]) -> &mut Self {
        let mut bytes = Vec::with_capacity(values.len() * T::BYTES);
        for value in values {
            value.put(&mut bytes);
        }
        self.columns.push((name.to_owned(), T::DTYPE, values.len(), bytes));
        self
    }

    pub fn strings(&mut self, name: &str, strings: &Strings) -> &mut Self {
        let offsets: &[u32] = if strings.offsets.is_empty() { &[0] } else { &strings.offsets };
        self.numbers(&format!("{name}.offsets"), offsets);
        self.numbers(&format!("{name}.bytes"), &strings.bytes)
    }

    pub fn finish(&self, object: &'static str) -> Result<Vec<u8>, ArtifactError> {
        let tensors_error = |source| ArtifactError::Tensors { object, source };
        let views = self
            .columns
            .iter()
            .map(|(name, dtype, len, bytes)| Ok((name, TensorView::new(*dtype, vec![*len], bytes)?)))
            .collect::<Result<Vec<_>, _>>()
            .map_err(tensors_error)?;
        serialize(views, None).map_err(tensors_error)
    }
}

/// Reads columns back. Every length and range is checked before it is used.
#[derive(Debug)]
pub struct Columns<'a> {
    object: &'static str,
    tensors: SafeTensors<'a>,
}

impl<'a> Columns<'a> {
    pub fn open(object: &'static str, bytes: &'a [u8]) -> Result<Self, ArtifactError> {
        let tensors = SafeTensors::deserialize(bytes).map_err(|source| ArtifactError::Tensors { object, source })?;
        Ok(Self { object, tensors })
    }

    fn bad(&self, column: &str, why: impl Into<Cow<'static, str>>) -> ArtifactError {
        ArtifactError::BadColumn { object: self.object, column: column.to_owned(), why: why.into().into_owned() }
    }

    pub fn numbers<T: Number>(&self, name: &str) -> Result<Vec<T>, ArtifactError> {
        let tensor = self
            .tensors
            .tensor(name)
            .map_err(|_| ArtifactError::MissingColumn { object: self.object, column: name.to_owned() })?;
        if tensor.dtype() != T::DTYPE {
            return Err(self.bad(name, format!("holds {:?}, not {:?}", tensor.dtype(), T::DTYPE)));
        }
        Ok(tensor.data().chunks_exact(T::BYTES).map(T::take).collect())
    }

    /// A column that must have as many values as there are products (or whatever `len` counts).
    pub fn exactly<T: Number>(&self, name: &str, len: usize) -> Result<Vec<T>, ArtifactError> {
        let values = self.numbers(name)?;
        if values.len() == len {
            Ok(values)
        } else {
            Err(self.bad(name, format!("has {} values, not {len}", values.len())))
        }
    }

    /// Ids that must be below `below`, or `u32::MAX` for none.
    pub fn ids(&self, name: &str, below: usize) -> Result<Vec<u32>, ArtifactError> {
        let values: Vec<u32> = self.numbers(name)?;
        match values.iter().find(|id| **id != u32::MAX && **id as usize >= below) {
            Some(id) => Err(self.bad(name, format!("names {id}, but there are {below}"))),
            None => Ok(values),
        }
    }

    /// Row starts of a compressed sparse table: `rows + 1` values that rise to `entries`.
    pub fn starts(&self, name: &str, rows: usize, entries: usize) -> Result<Vec<u32>, ArtifactError> {
        let values: Vec<u32> = self.exactly(name, rows + 1)?;
        let rises = values.windows(2).all(|pair| matches!(pair, [from, to] if from <= to));
        if rises && values.first() == Some(&0) && values.last().is_some_and(|last| *last as usize == entries) {
            Ok(values)
        } else {
            Err(self.bad(name, format!("does not rise from 0 to {entries}")))
        }
    }

    pub fn strings(&self, name: &str) -> Result<Strings, ArtifactError> {
        let bytes: Vec<u8> = self.numbers(&format!("{name}.bytes"))?;
        let offsets: Vec<u32> = self.numbers(&format!("{name}.offsets"))?;
        let rises = offsets.windows(2).all(|pair| matches!(pair, [from, to] if from <= to));
        if !rises || offsets.last().is_none_or(|last| *last as usize != bytes.len()) {
            return Err(self.bad(name, "has offsets that do not fit its bytes"));
        }
        let strings = Strings { offsets, bytes };
        if std::str::from_utf8(&strings.bytes).is_err() {
            return Err(self.bad(name, "is not UTF-8"));
        }
        Ok(strings)
    }
}
