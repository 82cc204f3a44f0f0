//! Objects by the model that they belong to.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock};

use super::Key;

/// Several watches may fill one index; each cares for the objects of its own scope.
#[derive(Debug)]
pub struct Index<V> {
    by_key: RwLock<HashMap<Key, ByName<V>>>,
}

/// By name and by the scope that cares for it.
type ByName<V> = BTreeMap<(String, String), Arc<V>>;

impl<V> Default for Index<V> {
    fn default() -> Self {
        Self { by_key: RwLock::default() }
    }
}

impl<V> Index<V> {
    pub fn put(&self, scope: &str, key: Key, name: String, value: V) {
        let mut all = self.by_key.write().unwrap_or_else(PoisonError::into_inner);
        all.entry(key).or_default().insert((name, scope.to_owned()), Arc::new(value));
    }

    pub fn remove(&self, scope: &str, key: &Key, name: &str) {
        let mut all = self.by_key.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(of) = all.get_mut(key) {
            of.remove(&(name.to_owned(), scope.to_owned()));
            if of.is_empty() {
                all.remove(key);
            }
        }
    }

    /// Forgets what a new list of a scope did not name; these are returned.
    pub fn retain(&self, scope: &str, listed: &HashSet<(Key, String)>) -> Vec<(Key, String)> {
        let mut gone = Vec::new();
        let mut all = self.by_key.write().unwrap_or_else(PoisonError::into_inner);
        all.retain(|key, of| {
            of.retain(|(name, from), _| {
                let is_kept = from != scope || listed.contains(&(key.clone(), name.clone()));
                if !is_kept {
                    gone.push((key.clone(), name.clone()));
                }
                is_kept
            });
            !of.is_empty()
        });
        gone
    }

    /// All objects of a model.
    pub fn of(&self, key: &Key) -> Vec<Arc<V>> {
        let all = self.by_key.read().unwrap_or_else(PoisonError::into_inner);
        all.get(key).map(|of| of.values().cloned().collect()).unwrap_or_default()
    }

    /// The only object of a key, of kinds that are their own key.
    pub fn get(&self, key: &Key) -> Option<Arc<V>> {
        let all = self.by_key.read().unwrap_or_else(PoisonError::into_inner);
        all.get(key)?.values().next().cloned()
    }

    /// Keys with an object that is wanted.
    pub fn filter(&self, wanted: impl Fn(&Key, &V) -> bool) -> Vec<Key> {
        let all = self.by_key.read().unwrap_or_else(PoisonError::into_inner);
        all.iter().filter(|(key, of)| of.values().any(|value| wanted(key, value))).map(|(key, _)| key.clone()).collect()
    }

    /// How many objects are as asked.
    pub fn count(&self, wanted: impl Fn(&V) -> bool) -> usize {
        let all = self.by_key.read().unwrap_or_else(PoisonError::into_inner);
        all.values().flat_map(BTreeMap::values).filter(|value| wanted(value)).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_list_forgets_only_what_its_own_watch_had() {
        let index: Index<u8> = Index::default();
        let key = ("ns".to_owned(), "shop".to_owned());
        index.put("jobs/", key.clone(), "shop-v1".to_owned(), 1);
        index.put("services/", key.clone(), "shop-v1".to_owned(), 2);
        index.put("services/", key.clone(), "shop".to_owned(), 3);
        let gone = index.retain("services/", &HashSet::from([(key.clone(), "shop".to_owned())]));
        assert_eq!(gone, [(key.clone(), "shop-v1".to_owned())]);
        assert_eq!(index.of(&key).iter().map(|value| **value).collect::<Vec<_>>(), [3, 1]);
        index.remove("jobs/", &key, "shop-v1");
        index.remove("services/", &key, "shop");
        assert!(index.of(&key).is_empty());
    }
}
