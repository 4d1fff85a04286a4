//! Figures as Prometheus reads them: `name{label="value"} 12`.

use std::collections::BTreeMap;

/// The sums of all series of each name.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Figures(BTreeMap<String, f64>);

impl Figures {
    /// Reads them; what is no figure is passed over.
    pub(super) fn parse(text: &str) -> Self {
        let mut figures = Self::default();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let name_end = line.find(['{', ' ']).unwrap_or(line.len());
            let (name, rest) = line.split_at(name_end);
            // Values of labels may hold spaces and braces, and none of them stands behind the last brace.
            let values = rest.rfind('}').map_or(rest, |end| &rest[end + 1..]);
            let value =
                values.split_whitespace().next().and_then(|value| value.parse::<f64>().ok());
            if let Some(value) = value.filter(|_| !name.is_empty()) {
                *figures.0.entry(name.to_owned()).or_default() += value;
            }
        }
        figures
    }

    /// The sum of all series of a name; 0 where there are none.
    pub(super) fn sum(&self, name: &str) -> f64 {
        self.0.get(name).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_of_one_name_are_added() {
        let figures = Figures::parse(
            "# TYPE a counter\na_total{x=\"} 7 {\"} 2\na_total{x=\"z\"} 3 1767225600\nb 1.5\n\nbroken\n# EOF\n",
        );
        assert_eq!((figures.sum("a_total"), figures.sum("b")), (5.0, 1.5));
        assert_eq!((figures.sum("broken"), figures.sum("c")), (0.0, 0.0));
    }
}
