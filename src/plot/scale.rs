//! How values and times become places.

/// How values are placed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scale {
    /// Equal differences are equally far apart.
    #[default]
    Linear,
    /// Equal ratios are equally far apart; values of 0 and less are not shown.
    Logarithmic,
}

impl Scale {
    /// Whether a value has a place.
    #[must_use]
    pub fn can_show(self, value: f64) -> bool {
        value.is_finite() && (self == Self::Linear || value > 0.0)
    }

    /// What is shown around values from `low` to `high`, so that no line lies on the frame.
    pub(crate) fn around(self, low: f64, high: f64) -> (f64, f64) {
        if self == Self::Logarithmic {
            let (low, high) = (low.log10(), high.log10());
            let margin = if high > low { (high - low) * 0.04 } else { 0.5 };
            // Beyond the least and the greatest numbers there are none.
            let (low, high) = (10_f64.powf(low - margin), 10_f64.powf(high + margin));
            return (low.max(f64::MIN_POSITIVE), high.min(f64::MAX));
        }
        let reach = high / 2.0 - low / 2.0;
        let margin = match reach > 0.0 {
            true => reach * 0.08,
            false if high == 0.0 => 1.0,
            false => high.abs() * 0.1,
        };
        ((low - margin).max(f64::MIN), (high + margin).min(f64::MAX))
    }

    /// Where a value stands between two others: 0 at `low`, 1 at `high`.
    pub(crate) fn place(self, value: f64, low: f64, high: f64) -> f64 {
        if self == Self::Logarithmic {
            let (low, high) = (low.log10(), high.log10());
            return ((value.log10() - low) / (high - low)).clamp(0.0, 1.0);
        }
        // In halves, since the distance of very large numbers is none.
        let place = (value / 2.0 - low / 2.0) / (high / 2.0 - low / 2.0);
        if place.is_finite() { place.clamp(0.0, 1.0) } else { 0.5 }
    }
}

/// Where a time stands in a span: 0 at its first, 1 at its last.
pub(crate) fn time_place(time_ns: i64, span_ns: (i64, i64)) -> f64 {
    let length = span_ns.0.abs_diff(span_ns.1);
    if length == 0 {
        return 0.5;
    }
    span_ns.0.abs_diff(time_ns.clamp(span_ns.0, span_ns.1)) as f64 / length as f64
}
