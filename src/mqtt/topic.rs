//! Levels of topics: which a filter takes, and what is named after them.

/// A filter of topics as MQTT has them: `+` is any one level, `#` at the end any number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Filter(String);

impl Filter {
    /// Reads a filter, or says what is wrong with it.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        if text.is_empty() || text.len() > usize::from(u16::MAX) || text.contains('\0') {
            return Err("a filter has 1 to 65535 bytes, and no NUL");
        }
        let last = text.split('/').count() - 1;
        for (at, level) in text.split('/').enumerate() {
            if level.contains('#') && (level != "#" || at != last) {
                return Err("# is the whole last level, as in fleet/#");
            }
            if level.contains('+') && level != "+" {
                return Err("+ is a whole level, as in fleet/+/speed");
            }
        }
        Ok(Self(text.to_owned()))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a topic is one of these.
    pub(super) fn takes(&self, topic: &str) -> bool {
        // A shared subscription, `$share/GROUP/FILTER`, takes what its filter does.
        let filter = self.0.strip_prefix("$share/").and_then(|rest| rest.split_once('/'));
        let filter = filter.map_or(self.0.as_str(), |(_, filter)| filter);
        // Topics of the broker itself are taken by name alone.
        if topic.starts_with('$') && !filter.starts_with('$') {
            return false;
        }
        let mut levels = topic.split('/');
        for wanted in filter.split('/') {
            if wanted == "#" {
                return true;
            }
            match levels.next() {
                Some(level) if wanted == "+" || wanted == level => {}
                _ => return false,
            }
        }
        levels.next().is_none()
    }
}

/// A name with levels of the topic in it: `truck-{2}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    /// A level, counted from 0.
    Level(usize),
}

impl Pattern {
    /// Reads a pattern, or says what is wrong with it.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        const WRONG: &str = "levels of the topic are written {1}, {2} and so on";
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let (number, behind) = after.split_once('}').ok_or(WRONG)?;
            let number: usize = number.parse().map_err(|_| WRONG)?;
            if !before.is_empty() {
                parts.push(Part::Text(before.to_owned()));
            }
            parts.push(Part::Level(number.checked_sub(1).ok_or(WRONG)?));
            rest = behind;
        }
        if rest.contains('}') {
            return Err(WRONG);
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        Ok(Self(parts))
    }

    /// The name for a topic; `None` where the topic has not all the levels.
    pub(super) fn name(&self, topic: &str) -> Option<String> {
        let mut name = String::new();
        for part in &self.0 {
            match part {
                Part::Text(text) => name.push_str(text),
                Part::Level(level) => name.push_str(topic.split('/').nth(*level)?),
            }
        }
        Some(name)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use super::*;

    #[test]
    fn filters_take_what_brokers_send_by_them() {
        // Examples of MQTT 3.1.1, 4.7.1 and 4.7.2.
        for (filter, taken, other) in [
            (
                "sport/tennis/player1/#",
                &["sport/tennis/player1", "sport/tennis/player1/score/w"][..],
                &["sport/tennis"][..],
            ),
            ("#", &["a", "a/b/c", "/"], &["$SYS/uptime"]),
            ("sport/+", &["sport/", "sport/a"], &["sport", "sport/a/b"]),
            ("+/+", &["/finance", "a/b"], &["a", "$SYS/a"]),
            ("/+", &["/finance"], &["finance"]),
            ("$SYS/#", &["$SYS/uptime"], &["SYS/uptime"]),
            ("$share/group/a/+", &["a/b"], &["group/a/b", "a"]),
        ] {
            let parsed = Filter::parse(filter).unwrap();
            assert!(taken.iter().all(|topic| parsed.takes(topic)), "{filter}");
            assert!(!other.iter().any(|topic| parsed.takes(topic)), "{filter}");
        }
        for wrong in ["", "a/#/b", "a#", "a/b+", "a\0"] {
            assert!(Filter::parse(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn names_are_made_of_levels() {
        let name = |pattern: &str| Pattern::parse(pattern).unwrap().name("fleet/car7/speed");
        assert_eq!(name("{2}").unwrap(), "car7");
        assert_eq!(name("a-{1}.{3}-b").unwrap(), "a-fleet.speed-b");
        assert_eq!(name("fixed").unwrap(), "fixed");
        assert_eq!(name("{4}"), None);
        for wrong in ["{0}", "{", "{a}", "}", "{1", "{1}}", "{-1}"] {
            assert!(Pattern::parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
