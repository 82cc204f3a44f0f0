//! From the text of a scenario file to its types. Every mistake is said with its line, its field and what to write instead.

use std::fmt;

use endcap_crds::nearest;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::file::ScenarioFile;
use super::words::Text;

/// One mistake in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    pub line: Option<usize>,
    /// Such as `scenarios[2].expect.first`.
    pub field: String,
    /// What is wrong and what to write instead.
    pub message: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        if !self.field.is_empty() {
            write!(f, "{}: ", self.field)?;
        }
        f.write_str(&self.message)
    }
}

/// A step into a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    Key(String),
    At(usize),
}

/// Where something stands in a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place(Vec<Step>);

impl Place {
    #[must_use]
    pub fn key(&self, key: &str) -> Self {
        self.with(Step::Key(key.to_owned()))
    }

    #[must_use]
    pub fn at(&self, index: usize) -> Self {
        self.with(Step::At(index))
    }

    fn with(&self, step: Step) -> Self {
        let mut steps = self.0.clone();
        steps.push(step);
        Self(steps)
    }

    /// The line, counted from 1; that of what it would stand in where it is missing.
    pub fn line(&self, text: &str) -> Option<usize> {
        let error = Walk(&self.0).deserialize(serde_yaml::Deserializer::from_str(text)).err()?;
        error.location().map(|location| location.line())
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, step) in self.0.iter().enumerate() {
            match step {
                Step::Key(key) if number == 0 => f.write_str(key)?,
                Step::Key(key) => write!(f, ".{key}")?,
                Step::At(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

/// Collects what is wrong with a file that could be read.
#[derive(Debug, Default)]
pub struct Mistakes(Vec<(Place, String)>);

impl Mistakes {
    pub fn add(&mut self, place: &Place, message: impl Into<String>) {
        self.0.push((place.clone(), message.into()));
    }

    /// What was collected, with lines; none where all is well.
    pub fn into_list(self, text: &str) -> Vec<Mistake> {
        let list = self.0.into_iter();
        list.map(|(place, message)| Mistake { line: place.line(text), field: place.to_string(), message }).collect()
    }
}

/// Reads a file. What its types refuse is the first mistake; what spans fields is looked for afterwards, all of it.
pub fn read(text: &str) -> Result<ScenarioFile, Vec<Mistake>> {
    let file: ScenarioFile = serde_yaml::from_str(text).map_err(|error| vec![explained(&error)])?;
    let mut mistakes = Mistakes::default();
    if file.scenarios.is_empty() {
        mistakes.add(&Place::default().key("scenarios"), "is empty; write at least one scenario");
    }
    for (number, scenario) in file.scenarios.iter().enumerate() {
        let place = Place::default().key("scenarios").at(number);
        if scenario.name.trim().is_empty() {
            mistakes.add(&place.key("name"), "is empty; name the case, such as \"Buy 7 get 2 free, one short\"");
        }
        if scenario.why.trim().is_empty() {
            mistakes.add(&place.key("why"), "is empty; say which promise or rule the scenario guards");
        }
        if file.scenarios.iter().take(number).any(|other| other.name.trim() == scenario.name.trim()) {
            mistakes.add(
                &place.key("name"),
                format!("\"{}\" is the name of another scenario, too; rename it", scenario.name),
            );
        }
    }
    let list = mistakes.into_list(text);
    if list.is_empty() { Ok(file) } else { Err(list) }
}

/// An error of the reader, with the name that was probably meant.
fn explained(error: &serde_yaml::Error) -> Mistake {
    let said = error.to_string();
    let said = said.rfind(" at line ").map_or(said.as_str(), |end| said.get(..end).unwrap_or(&said));
    // The reader says the place before a colon, unless the mistake is at the top or in the YAML itself.
    let (field, message) = match said.split_once(": ") {
        Some((field, message)) if field.starts_with("scenarios") || field.starts_with("defaults") => (field, message),
        _ => ("", said),
    };
    let mut quoted = message.split('`').skip(1).step_by(2);
    let suggestion = if message.starts_with("unknown ") {
        let word = quoted.next().unwrap_or_default();
        nearest(word, quoted).map(|known| format!("; did you mean `{known}`?"))
    } else {
        None
    };
    Mistake {
        line: error.location().map(|location| location.line()),
        field: field.to_owned(),
        message: format!("{message}{}", suggestion.unwrap_or_default()),
    }
}

/// Walks down a document and ends with an error at the place, because an error is what knows its line.
struct Walk<'a>(&'a [Step]);

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the place")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let found = || serde::de::Error::custom("found");
        let Some((Step::Key(wanted), rest)) = self.0.split_first() else { return Err(found()) };
        while let Some(key) = map.next_key::<Text>()? {
            if *key == **wanted {
                return map.next_value_seed(Walk(rest));
            }
            map.next_value::<IgnoredAny>()?;
        }
        Err(found())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let found = || serde::de::Error::custom("found");
        let Some((Step::At(index), rest)) = self.0.split_first() else { return Err(found()) };
        for _ in 0..*index {
            if seq.next_element::<IgnoredAny>()?.is_none() {
                return Err(found());
            }
        }
        seq.next_element_seed(Walk(rest))?.ok_or_else(found)
    }
}
