//! The label index: for every label and value the set of metrics that carry it.

use std::collections::BTreeMap;

use regex::Regex;
use roaring::RoaringBitmap;

use crate::error::ReadError;
use crate::model::Metric;

use super::{Match, Selector};

type Postings = BTreeMap<Box<str>, RoaringBitmap>;

/// Postings over dense metric numbers.
#[derive(Debug, Default)]
pub(super) struct LabelIndex {
    devices: Postings,
    names: Postings,
    tags: BTreeMap<Box<str>, Postings>,
}

/// A pattern that must match all of a value.
pub(crate) fn whole_pattern(label: &str, pattern: &str) -> Result<Regex, ReadError> {
    let whole = |end: &str| Regex::new(&format!("^(?:{pattern}{end})$"));
    // By itself first: `a)|(?:b` is none, although it is one between the brackets. A pattern that
    // ends in a comment needs a new line before the bracket.
    let regex = Regex::new(pattern).and_then(|_| whole("").or_else(|_| whole("\n")));
    regex.map_err(|error| ReadError::Pattern {
        label: label.to_owned(),
        pattern: pattern.to_owned(),
        problem: error.to_string(),
    })
}

fn add(postings: &mut Postings, value: &str, metric: u32) {
    if let Some(metrics) = postings.get_mut(value) {
        metrics.insert(metric);
    } else {
        postings.insert(value.into(), RoaringBitmap::from_iter([metric]));
    }
}

impl LabelIndex {
    pub(super) fn insert(&mut self, number: u32, metric: &Metric) {
        add(&mut self.devices, metric.device(), number);
        add(&mut self.names, metric.name(), number);
        for (key, value) in metric.tags() {
            if !self.tags.contains_key(key.as_str()) {
                self.tags.insert(key.as_str().into(), Postings::new());
            }
            if let Some(postings) = self.tags.get_mut(key.as_str()) {
                add(postings, value, number);
            }
        }
    }

    fn postings(&self, label: &str) -> Option<&Postings> {
        match label {
            "device" => Some(&self.devices),
            "name" => Some(&self.names),
            _ => self.tags.get(label).or_else(|| self.tags.get(label.strip_prefix("tag_")?)),
        }
    }

    /// The metrics for which all conditions hold: intersected before any chunk is touched.
    pub(super) fn select(
        &self,
        selector: &Selector,
        metrics: u32,
    ) -> Result<RoaringBitmap, ReadError> {
        let mut chosen: Option<RoaringBitmap> = None;
        for (label, condition) in &selector.conditions {
            let matching = self.matching(label, condition, metrics)?;
            chosen = Some(match chosen {
                Some(chosen) => chosen & matching,
                None => matching,
            });
        }
        Ok(chosen.unwrap_or_else(|| RoaringBitmap::from_iter(0..metrics)))
    }

    fn matching(
        &self,
        label: &str,
        condition: &Match,
        metrics: u32,
    ) -> Result<RoaringBitmap, ReadError> {
        let empty = Postings::new();
        let postings = self.postings(label).unwrap_or(&empty);
        let all = || RoaringBitmap::from_iter(0..metrics);
        let without = || postings.values().fold(all(), |rest, carriers| rest - carriers);
        let equal = |value: &str| match postings.get(value) {
            Some(carriers) => carriers.clone(),
            None if value.is_empty() => without(),
            None => RoaringBitmap::new(),
        };
        let fitting = |fits: &dyn Fn(&str) -> bool| {
            let absent = if fits("") { without() } else { RoaringBitmap::new() };
            postings
                .iter()
                .filter(|(value, _)| fits(value))
                .fold(absent, |found, (_, carriers)| found | carriers)
        };
        Ok(match condition {
            Match::Equal(value) => equal(value),
            Match::NotEqual(value) => all() - equal(value),
            Match::OneOf(values) => {
                values.iter().fold(RoaringBitmap::new(), |found, value| found | equal(value))
            }
            Match::Prefix(prefix) => fitting(&|value| value.starts_with(prefix.as_str())),
            Match::Pattern(text) => {
                let regex = whole_pattern(label, text)?;
                fitting(&|value| regex.is_match(value))
            }
            Match::NotPattern(text) => {
                let regex = whole_pattern(label, text)?;
                fitting(&|value| !regex.is_match(value))
            }
        })
    }

    pub(super) fn values(&self, label: &str) -> Vec<(String, u64)> {
        let postings = self.postings(label).into_iter().flatten();
        postings.map(|(value, metrics)| (value.to_string(), metrics.len())).collect()
    }

    pub(super) fn tag_keys(&self) -> Vec<String> {
        self.tags.keys().map(ToString::to_string).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index() -> LabelIndex {
        let mut index = LabelIndex::default();
        let metrics = [
            Metric::new("car-1", "speed"),
            Metric::new("car-1", "rpm").tag("class", "fleet"),
            Metric::new("car-2", "speed").tag("class", "test"),
            Metric::new("", "speed").tag("device", "odd"),
        ];
        for (number, metric) in metrics.iter().enumerate() {
            index.insert(number as u32, metric);
        }
        index
    }

    fn select(label: &str, condition: Match) -> Vec<u32> {
        let selector = Selector::all().label(label, condition);
        index().select(&selector, 4).map(|found| found.iter().collect()).unwrap_or_default()
    }

    #[test]
    fn every_condition_finds_its_metrics() {
        assert_eq!(select("device", Match::Equal("car-1".into())), [0, 1]);
        assert_eq!(select("device", Match::Equal(String::new())), [3]);
        assert_eq!(select("tag_device", Match::Equal("odd".into())), [3]);
        assert_eq!(select("class", Match::Equal(String::new())), [0, 3]);
        assert_eq!(select("class", Match::NotEqual("fleet".into())), [0, 2, 3]);
        assert_eq!(select("device", Match::Prefix("car".into())), [0, 1, 2]);
        assert_eq!(select("device", Match::Pattern("car-[2-9]".into())), [2]);
        assert_eq!(select("device", Match::NotPattern("car".into())), [0, 1, 2, 3]);
        assert_eq!(select("class", Match::OneOf(vec!["fleet".into(), String::new()])), [0, 1, 3]);
        assert_eq!(select("nothing", Match::Equal("x".into())), [0_u32; 0]);
    }

    #[test]
    fn conditions_intersect_and_bad_patterns_are_named() {
        let selector = Selector::all().name("speed").device("car-1");
        assert_eq!(index().select(&selector, 4).map(|f| f.len()).ok(), Some(1));
        let selector = Selector::all().label("device", Match::Pattern("(".into()));
        assert!(matches!(index().select(&selector, 4), Err(ReadError::Pattern { .. })));
    }

    /// Symptom: the pattern `a)|(?:b` matched every value that begins with `a` or ends in `b`.
    /// Loss: retention rules and selections that took more than they said. Cause: the pattern was
    /// put between anchors without being looked at by itself. Fix: it must be a pattern by itself.
    #[test]
    fn a_pattern_cannot_leave_its_anchors() {
        for pattern in ["a)|(?:b", "a)", "(?:a", "(?x)a#)|(?:b\nc)("] {
            assert!(whole_pattern("name", pattern).is_err(), "{pattern}");
        }
        for (pattern, yes, no) in [
            ("a|b", "b", "ab"),
            ("", "", "a"),
            ("(?x) a b # both", "ab", "a b"),
            ("(?m)^a$", "a", "a\nb"),
            ("(?i)ab", "aB", "abc"),
        ] {
            let regex = whole_pattern("name", pattern);
            assert_eq!(
                regex.as_ref().map(|regex| regex.is_match(yes)).ok(),
                Some(true),
                "{pattern}"
            );
            assert_eq!(
                regex.as_ref().map(|regex| regex.is_match(no)).ok(),
                Some(false),
                "{pattern}"
            );
        }
    }
}
