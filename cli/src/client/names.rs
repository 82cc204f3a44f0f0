//! Names of kinds, models and versions as people write them.

use anyhow::{Context, Result, bail};
use endcap_crds::Kind;

/// The kind by its name, plural, short name, or the word of daily use.
pub fn kind_of(text: &str) -> Result<Kind> {
    let text = text.to_lowercase();
    let word =
        text.strip_suffix("ies").map_or_else(|| text.trim_end_matches('s').to_owned(), |stem| format!("{stem}y"));
    let found = Kind::ALL.into_iter().find(|kind| {
        let name = kind.as_str().to_lowercase();
        word == name
            || text == kind.short_name()
            || name.ends_with(&word) && ["model", "version", "policy", "experiment"].contains(&word.as_str())
    });
    found.with_context(|| {
        format!("failed to find kind {text:?}: use model, version, policy or experiment (recm, recmv, recpp, recexp)")
    })
}

/// The model of a version, `<model>-v<N>`. No model's own name ends like that.
pub fn model_of(version: &str) -> Option<&str> {
    let (model, number) = version.rsplit_once("-v")?;
    (!model.is_empty() && !number.is_empty() && number.bytes().all(|one| one.is_ascii_digit())).then_some(model)
}

/// A version of a model: `feed-v12`, `v12` or `12`.
pub fn version_of(model: &str, text: &str) -> Result<String> {
    let number = text.strip_prefix('v').unwrap_or(text);
    if !number.is_empty() && number.bytes().all(|one| one.is_ascii_digit()) {
        return Ok(format!("{model}-v{number}"));
    }
    match model_of(text) {
        Some(own) if own == model => Ok(text.to_owned()),
        Some(other) => bail!("{text} is a version of {other}, not of {model}"),
        None => bail!("{text:?} is not a version of {model}: write {model}-v12, v12 or 12"),
    }
}

/// `MODEL VERSION`, or the version alone, which names its model.
pub fn both(name: &str, version: Option<&str>) -> Result<(String, String)> {
    match (model_of(name), version) {
        (Some(model), None) => Ok((model.to_owned(), name.to_owned())),
        (Some(model), Some(version)) => bail!("{name} is a version already; write {model} {version}, or {name} alone"),
        (None, Some(version)) => Ok((name.to_owned(), version_of(name, version)?)),
        (None, None) => bail!("which version of {name}? Write {name} v12, or {name}-v12"),
    }
}

/// A model, or one of its versions.
pub fn either(name: &str) -> (&str, Option<&str>) {
    model_of(name).map_or((name, None), |model| (model, Some(name)))
}

/// Quoted for a POSIX shell.
pub fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_understood_as_people_write_them() {
        for text in ["feed-v12", "v12", "12"] {
            assert_eq!(version_of("feed", text).ok().as_deref(), Some("feed-v12"));
        }
        for text in ["", "v", "feed", "food-v12", "feed-vx", "-v3"] {
            assert!(version_of("feed", text).is_err(), "{text}");
        }
        assert_eq!(both("feed", Some("12")).ok(), Some(("feed".to_owned(), "feed-v12".to_owned())));
        assert_eq!(both("feed-v12", None).ok(), Some(("feed".to_owned(), "feed-v12".to_owned())));
        assert!(both("feed", None).is_err() && both("feed-v12", Some("13")).is_err());
        assert_eq!(either("feed-x"), ("feed-x", None));
        assert_eq!(either("feed-x-v3"), ("feed-x", Some("feed-x-v3")));
    }

    #[test]
    fn kinds_have_many_names() {
        for text in ["recm", "model", "models", "recommendermodels", "RecommenderModel"] {
            assert_eq!(kind_of(text).ok(), Some(Kind::RecommenderModel), "{text}");
        }
        assert_eq!(kind_of("policies").ok(), Some(Kind::PromotionPolicy));
        assert!(kind_of("pod").is_err());
    }

    #[test]
    fn a_quote_survives_the_shell() {
        assert_eq!(quoted("it's"), r"'it'\''s'");
    }
}
