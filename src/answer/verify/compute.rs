//! The answer by the bodies: the question covers what is proved, and gives the same rows once more.

use std::borrow::Cow;

use chronolith_engine::chunk::OpenChunkError;
use chronolith_merkle::matches;

use super::metrics::Checked;
use super::{AnswerRefused, Computed, Supplies};
use crate::answer::bundle::AnswerBundle;
use crate::answer::replay::{RECORDS_MOST, Replay, ReplayError, Scope};
use crate::answer::rows::Rows;
use crate::answer::scope_of;

/// Checks that the question depends on exactly what is proved, and computes the answer where all bodies are
/// at hand.
pub(super) fn check(
    bundle: &AnswerBundle,
    checked: &Checked,
    supplies: &Supplies<'_>,
) -> Result<(Computed, Option<Replay>), AnswerRefused> {
    if bundle.rows.to_json().is_none() {
        return Err(AnswerRefused::Form("the rows are not in their one form"));
    }
    // Hashes first: they cost least, and what is changed in a body goes no further.
    let bodies = bodies(bundle, checked, supplies)?;
    let sql = bundle.sql().unwrap_or_default();
    let definitions: Vec<_> = checked.metrics.iter().map(|m| m.definition.clone()).collect();
    let others =
        bundle.devices.iter().flat_map(|device| device.others.iter().flat_map(|o| o.iter()));
    let planned = scope_of(&definitions, others)?;
    let needed = planned.scope(sql, &supplies.limits)?;
    covers(&needed, checked)?;
    let bodies = match bodies {
        Ok(bodies) => bodies,
        Err(missing) => return Ok((Computed::NoBodies { missing }, None)),
    };
    let mut replay = Replay::new(definitions)?;
    let mut locked = 0;
    for (place, (metric, bodies)) in checked.metrics.iter().zip(&bodies).enumerate() {
        for (header, body) in metric.headers.iter().zip(bodies) {
            let (metric, window) = (|| metric.verified.metric.clone(), header.window);
            match header.open(body, supplies.keys) {
                Ok(opened) if opened.has_blobs() => {
                    return Err(AnswerRefused::Blobs { metric: metric() });
                }
                Ok(opened) if locked == 0 => replay.add(place, &opened.records)?,
                Ok(_) => {}
                Err(OpenChunkError::NoKey { .. }) => locked += 1,
                Err(reason) => {
                    return Err(AnswerRefused::Chunk { metric: metric(), window, reason });
                }
            }
        }
    }
    if locked > 0 {
        return Ok((Computed::NoKeys { missing: locked }, None));
    }
    let rows = replay.rows(sql, needed.is_ordered, &supplies.limits)?;
    if rows != bundle.rows {
        return Err(AnswerRefused::Answer(difference(&rows, &bundle.rows)));
    }
    Ok((Computed::Same, Some(replay)))
}

/// What a question needs is what is proved: nothing less, and nothing more.
fn covers(needed: &Scope, checked: &Checked) -> Result<(), AnswerRefused> {
    let proved = checked.metrics.iter().map(|metric| {
        let verified = &metric.verified;
        (verified.metric.clone(), verified.from_ns, verified.to_ns)
    });
    let proved: Vec<_> = proved.collect();
    if let Some((metric, from_ns, to_ns)) = needed.metrics.iter().find(|one| !proved.contains(one))
    {
        return Err(AnswerRefused::Uncovered(format!("{metric} from {from_ns} to {to_ns} ns")));
    }
    if let Some((metric, ..)) = proved.iter().find(|one| !needed.metrics.contains(one)) {
        return Err(AnswerRefused::Surplus(metric.to_string()));
    }
    Ok(())
}

type Bodies<'a> = Vec<Vec<Cow<'a, [u8]>>>;

/// The bodies of all chunks, from the bundle or from beside it; or how many are missing.
fn bodies<'a>(
    bundle: &'a AnswerBundle,
    checked: &Checked,
    supplies: &Supplies<'_>,
) -> Result<Result<Bodies<'a>, usize>, AnswerRefused> {
    let (mut all, mut missing, mut records) = (Vec::new(), 0, 0_u64);
    let parts = bundle.metrics.iter().flat_map(|metric| metric.chunks.iter());
    let given = parts.filter(|part| part.body.is_some()).count();
    let wanted: usize = checked.metrics.iter().map(|metric| metric.verified.chunks.len()).sum();
    if given != 0 && given != wanted {
        return Err(AnswerRefused::Form("some bodies are there, and others are not"));
    }
    for (proof, metric) in bundle.metrics.iter().zip(&checked.metrics) {
        let mut of_metric = Vec::new();
        for (part, header) in proof.chunks.iter().zip(&metric.headers) {
            if metric.is_witness {
                if part.body.is_some() {
                    return Err(AnswerRefused::Form("a chunk beside the range has a body"));
                }
                continue;
            }
            let told = header.shown.as_ref().map_or(0, |shown| shown.count);
            records = records.saturating_add(told);
            let body = match &part.body {
                Some(body) => Some(Cow::Borrowed(&body[..])),
                None => (supplies.bodies)(&header.body).map(Cow::Owned),
            };
            match body {
                Some(body) if matches(&header.body, &body) => of_metric.push(body),
                Some(_) => {
                    let (metric, window) = (metric.verified.metric.clone(), header.window);
                    let reason = OpenChunkError::OtherBody;
                    return Err(AnswerRefused::Chunk { metric, window, reason });
                }
                None => missing += 1,
            }
        }
        all.push(of_metric);
    }
    if records > RECORDS_MOST {
        return Err(ReplayError::TooMany { found: records }.into());
    }
    Ok(if missing > 0 { Err(missing) } else { Ok(all) })
}

/// In which way two answers differ.
fn difference(computed: &Rows, told: &Rows) -> String {
    if computed.columns != told.columns {
        return "it has other columns".to_owned();
    }
    if computed.rows.len() != told.rows.len() {
        return format!("it has {} rows, not {}", computed.rows.len(), told.rows.len());
    }
    let at = computed.rows.iter().zip(told.rows.iter()).position(|(a, b)| a != b);
    format!("row {} differs", at.unwrap_or_default() + 1)
}
