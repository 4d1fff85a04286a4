//! Aggregations that choose series: `topk`, `bottomk`, `limitk`, `limit_ratio`.

use std::cmp::Ordering;

use super::{Group, number};
use crate::promql::ast::Aggregator;
use crate::promql::error::{Result, execution};
use crate::promql::evaluate::Evaluator;
use crate::promql::labels::Labels;
use crate::promql::value::{ABSENT, Row, is_absent};

pub(super) fn evaluate(
    evaluator: &Evaluator<'_>,
    aggregator: Aggregator,
    parameter: &[f64],
    mut rows: Vec<Row>,
    groups: &[Group],
) -> Result<Vec<Row>> {
    if rows.is_empty() {
        return Ok(rows);
    }
    let mut ranks: Vec<usize> = vec![usize::MAX; rows.len()];
    let mut rank = 0;
    for (step, parameter) in parameter.iter().enumerate() {
        let limit = limit(evaluator, aggregator, *parameter)?;
        for group in groups {
            evaluator.tick()?;
            let present = |index: &&usize| !is_absent(rows[**index].values[step]);
            let mut chosen: Vec<usize> = group.rows.iter().filter(present).copied().collect();
            match limit {
                Limit::Count(count) => {
                    order(aggregator, &mut chosen, &rows, step);
                    chosen.truncate(count);
                }
                Limit::Ratio(ratio) => {
                    chosen.retain(|index| is_in(ratio, &rows[*index].labels));
                }
            }
            let mut kept = vec![false; group.rows.len()];
            for index in chosen {
                if let Ok(place) = group.rows.binary_search(&index) {
                    kept[place] = true;
                }
                if ranks[index] == usize::MAX {
                    ranks[index] = rank;
                    rank += 1;
                }
            }
            for (index, kept) in group.rows.iter().zip(kept) {
                if !kept {
                    rows[*index].values[step] = ABSENT;
                }
            }
        }
    }
    // An answer for one time is in the order of the choice.
    let mut ranked: Vec<(usize, Row)> = ranks.into_iter().zip(rows).collect();
    ranked.retain(|(rank, _)| *rank != usize::MAX);
    ranked.sort_by_key(|(rank, _)| *rank);
    Ok(ranked.into_iter().map(|(_, row)| row).collect())
}

enum Limit {
    Count(usize),
    Ratio(f64),
}

fn limit(evaluator: &Evaluator<'_>, aggregator: Aggregator, parameter: f64) -> Result<Limit> {
    if aggregator == Aggregator::LimitRatio {
        if parameter.is_nan() {
            return execution("Ratio value is NaN");
        }
        let capped = parameter.clamp(-1.0, 1.0);
        if capped != parameter {
            evaluator.warn(format!(
                "ratio value should be between -1 and 1, got {}, capping to {}",
                number(parameter),
                number(capped)
            ));
        }
        return Ok(Limit::Ratio(capped));
    }
    if parameter.is_nan() {
        return execution("Parameter value is NaN");
    }
    if parameter <= i64::MIN as f64 {
        return execution(format!("Scalar value {} underflows int64", number(parameter)));
    }
    if parameter >= i64::MAX as f64 {
        return execution(format!("Scalar value {} overflows int64", number(parameter)));
    }
    // What is negative chooses nothing.
    Ok(Limit::Count(parameter as usize))
}

fn order(aggregator: Aggregator, chosen: &mut [usize], rows: &[Row], step: usize) {
    let value = |index: &usize| rows[*index].values[step];
    let by = |rising: bool| {
        move |left: &f64, right: &f64| match (left.is_nan(), right.is_nan()) {
            (false, false) if rising => left.total_cmp(right),
            (false, false) => right.total_cmp(left),
            // NaN goes last either way.
            (left, right) => left.cmp(&right),
        }
    };
    match aggregator {
        Aggregator::Top => chosen.sort_by(|a, b| by(false)(&value(a), &value(b))),
        Aggregator::Bottom => chosen.sort_by(|a, b| by(true)(&value(a), &value(b))),
        _ => chosen.sort_by(|_, _| Ordering::Equal),
    }
}

/// Whether a series is in the share; a negative share is the complement of the positive rest.
fn is_in(ratio: f64, labels: &Labels) -> bool {
    let place = hash(labels) as f64 / u64::MAX as f64;
    if ratio >= 0.0 { place < ratio || ratio >= 1.0 } else { place >= 1.0 + ratio }
}

/// The same for the same series at every time and in every program: FNV-1a, and the finaliser of
/// SplitMix64 so that all bits count.
fn hash(labels: &Labels) -> u64 {
    let texts = labels.iter().flat_map(|(name, value)| [name, value]);
    let bytes = texts.flat_map(|text| text.bytes().chain([0xff]));
    let mut hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}
