//! Whether an answer is what a test expects.

use super::file::{Evaluation, Notes};
use super::notation::{Entry, Sequence};
use crate::promql::labels::Labels;
use crate::promql::sum::almost_equal;
use crate::promql::{Answer, Data, Sample, Series};

/// The tolerance of Prometheus' own comparison.
const TOLERANCE: f64 = 1e-6;

type Checked = Result<(), String>;

/// That an answer is as expected.
pub(super) fn answer(evaluation: &Evaluation, answer: &Answer) -> Checked {
    notes("warning", &evaluation.warnings, &answer.warnings)?;
    notes("info", &evaluation.infos, &answer.infos)?;
    match (&answer.data, &evaluation.text, evaluation.scalar) {
        (Data::Text { text, .. }, Some(wanted), _) if text == wanted => Ok(()),
        (Data::Text { text, .. }, _, _) => Err(format!("unexpected string {text:?}")),
        (Data::Scalar { value, .. }, _, Some(wanted)) => same(*value, wanted),
        (Data::Scalar { value, .. }, _, None) => Err(format!("unexpected scalar {value}")),
        (_, _, Some(wanted)) => Err(format!("expected the scalar {wanted}, got series")),
        (Data::Vector(samples), ..) => vector(evaluation, samples),
        (Data::Matrix(series), ..) => {
            let (start_ns, step_ns) = match (evaluation.matrix, evaluation.step_ns) {
                (Some(times), _) => times,
                (None, Some(step_ns)) => (evaluation.start_ns, step_ns),
                (None, None) => return Err("unexpected range vector".to_owned()),
            };
            matrix(&evaluation.series, series, start_ns, step_ns)
        }
    }
}

/// That a query over a range around one time gives there what was expected of that time.
pub(super) fn at_step(evaluation: &Evaluation, answer: &Answer) -> Checked {
    let Data::Matrix(series) = &answer.data else { return Err("no range vector".to_owned()) };
    let samples = series.iter().filter_map(|series| {
        let index = series.times.binary_search(&evaluation.start_ns).ok()?;
        let (labels, value) = (series.labels.clone(), series.values[index]);
        Some(Sample { labels, time_ns: evaluation.start_ns, value })
    });
    let samples: Vec<Sample> = samples.collect();
    match (evaluation.scalar, samples.first()) {
        (Some(wanted), Some(sample)) => same(sample.value, wanted),
        (Some(wanted), None) => Err(format!("expected the scalar {wanted}, got nothing")),
        _ => unordered(&evaluation.series, &samples),
    }
}

fn notes(what: &str, wanted: &Notes, found: &[String]) -> Checked {
    if wanted.none && !found.is_empty() {
        return Err(format!("unexpected {what}: {}", found.join("; ")));
    }
    for note in &wanted.wanted {
        if !found.iter().any(|found| note.fits(found)) {
            return Err(format!("expected {what} {note:?}, got {found:?}"));
        }
    }
    let stray = found.iter().find(|found| !wanted.wanted.iter().any(|note| note.fits(found)));
    match stray {
        Some(stray) if !wanted.wanted.is_empty() => Err(format!("unexpected {what}: {stray}")),
        _ => Ok(()),
    }
}

fn same(found: f64, wanted: f64) -> Checked {
    if almost_equal(found, wanted, TOLERANCE) {
        return Ok(());
    }
    Err(format!("expected {wanted}, got {found}"))
}

fn vector(evaluation: &Evaluation, samples: &[Sample]) -> Checked {
    unordered(&evaluation.series, samples)?;
    if !evaluation.ordered {
        return Ok(());
    }
    for (wanted, found) in evaluation.series.iter().zip(samples) {
        if wanted.labels != found.labels {
            let (wanted, found) = (&wanted.labels, &found.labels);
            return Err(format!("expected {wanted} at this place, got {found}"));
        }
    }
    Ok(())
}

fn unordered(wanted: &[Sequence], samples: &[Sample]) -> Checked {
    for sample in samples {
        let labels = &sample.labels;
        let Some(sequence) = find(wanted, labels) else {
            return Err(format!("unexpected {labels} {}", sample.value));
        };
        match sequence.entries.first() {
            Some(Entry::Number(value)) => {
                same(sample.value, *value).map_err(|problem| format!("{labels}: {problem}"))?;
            }
            _ => return Err(format!("{labels}: expected no number, got {}", sample.value)),
        }
    }
    let missing =
        wanted.iter().find(|wanted| samples.iter().all(|sample| sample.labels != wanted.labels));
    match missing {
        Some(missing) => Err(format!("expected {}, which is missing", missing.labels)),
        None => Ok(()),
    }
}

fn find<'a>(wanted: &'a [Sequence], labels: &Labels) -> Option<&'a Sequence> {
    wanted.iter().find(|sequence| sequence.labels == *labels)
}

fn matrix(wanted: &[Sequence], series: &[Series], start_ns: i64, step_ns: i64) -> Checked {
    for found in series {
        if find(wanted, &found.labels).is_none() {
            return Err(format!("unexpected {} {:?}", found.labels, found.values));
        }
    }
    for sequence in wanted {
        let labels = &sequence.labels;
        let found = series.iter().find(|series| series.labels == *labels);
        let mut samples = found
            .into_iter()
            .flat_map(|series| series.times.iter().copied().zip(series.values.iter().copied()));
        let mut time_ns = start_ns;
        for entry in &sequence.entries {
            if let Entry::Number(wanted) = entry {
                match samples.next() {
                    Some((time, value)) if time == time_ns => same(value, *wanted)
                        .map_err(|problem| format!("{labels} at {time} ns: {problem}"))?,
                    other => {
                        return Err(format!(
                            "{labels}: expected {wanted} at {time_ns} ns, got {other:?}"
                        ));
                    }
                }
            }
            time_ns = time_ns.saturating_add(step_ns);
        }
        if let Some((time, value)) = samples.next() {
            return Err(format!("{labels}: unexpected {value} at {time} ns"));
        }
    }
    Ok(())
}
