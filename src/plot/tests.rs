//! Charts of known shapes, read back from what was drawn.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use proptest::prelude::*;

use super::*;

const SECOND_NS: i64 = 1_000_000_000;
const SIZE: Size = Size { width: 600, height: 400 };

fn chart_of(lines: &[(&str, &[(i64, f64)])], scale: Scale) -> Chart {
    let times = || lines.iter().flat_map(|(_, points)| points.iter().map(|(time, _)| *time));
    let span_ns = (times().min().unwrap_or(0), times().max().unwrap_or(0));
    let line = |(name, points): &(&str, &[(i64, f64)])| {
        let mut builder = LineBuilder::new(*name, span_ns, SIZE.width, Gap::Above(10 * SECOND_NS));
        points.iter().for_each(|(time_ns, value)| builder.push(*time_ns, *value));
        builder.finish()
    };
    let lines = lines.iter().map(line).collect();
    let title = "a title".to_owned();
    Chart { title, lines, span_ns, scale, zone: TimeZone::UTC, notes: Vec::new() }
}

/// The pieces of all lines as places in an SVG document.
fn pieces(svg: &str) -> Vec<Vec<(f64, f64)>> {
    let attribute = |line: &str, name: &str| {
        let rest = line.split_once(&format!(" {name}=\"")).unwrap().1;
        rest.split_once('"').unwrap().0.to_owned()
    };
    let point = |text: &str| {
        let (x, y) = text.split_once(' ').unwrap();
        (x.parse().unwrap(), y.parse().unwrap())
    };
    let piece = |line: &str| match line.starts_with("<circle") {
        true => vec![point(&format!("{} {}", attribute(line, "cx"), attribute(line, "cy")))],
        false => attribute(line, "d").split(['M', 'L']).skip(1).map(point).collect(),
    };
    let data = svg.lines().filter(|line| line.contains("class=\"data\""));
    data.map(piece).collect()
}

/// Values and times of places, by the marks of the axis that the document shows.
fn read_back(svg: &str, chart: &Chart) -> Vec<Vec<(f64, f64)>> {
    let number = |text: &str| text.parse::<f64>().ok();
    let labels: Vec<(f64, f64)> = svg
        .lines()
        .filter(|line| line.contains("text-anchor=\"end\""))
        .map(|line| {
            let y = line.split_once(" y=\"").unwrap().1.split_once('"').unwrap().0;
            let label = line.split_once('>').unwrap().1.split_once('<').unwrap().0;
            // Labels stand 4 pixels below their mark.
            (number(y).unwrap() - 4.0, number(label).unwrap())
        })
        .collect();
    let (low, high) = (labels[0], labels[labels.len() - 1]);
    let frame = frame::Frame::new(chart, SIZE);
    let value = |y: f64| low.1 + (y - low.0) / (high.0 - low.0) * (high.1 - low.1);
    let length = (chart.span_ns.1 - chart.span_ns.0) as f64;
    let time = |x: f64| (x - frame.left) / (frame.right - frame.left) * length;
    let point = |(x, y): &(f64, f64)| (time(*x) / SECOND_NS as f64, value(*y));
    pieces(svg).iter().map(|piece| piece.iter().map(point).collect()).collect()
}

#[test]
fn a_path_reads_back_to_the_values_it_was_drawn_from() {
    let points: Vec<(i64, f64)> =
        (0..120).map(|n| (n * SECOND_NS, (n as f64 / 10.0).sin() * 40.0)).collect();
    let chart = chart_of(&[("wave", &points)], Scale::Linear);
    let found = read_back(&chart.svg(SIZE), &chart);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].len(), points.len());
    for ((time, value), (time_ns, expected)) in found[0].iter().zip(&points) {
        assert!((time - (time_ns / SECOND_NS) as f64).abs() < 0.1, "{time} {time_ns}");
        assert!((value - expected).abs() < 0.3, "{value} {expected}");
    }
}

#[test]
fn gaps_and_values_that_are_no_numbers_break_the_line() {
    let at = |second: i64, value: f64| (second * SECOND_NS, value);
    let points = [
        at(0, 1.0),
        at(1, 2.0),
        at(2, f64::NAN),
        at(3, 3.0),
        at(4, 4.0),
        at(50, 5.0),
        at(100, 1.0),
        at(101, f64::INFINITY),
        at(102, 2.0),
        at(103, 2.5),
    ];
    let chart = chart_of(&[("broken", &points)], Scale::Linear);
    let lengths: Vec<usize> = pieces(&chart.svg(SIZE)).iter().map(Vec::len).collect();
    assert_eq!(lengths, [2, 2, 1, 1, 2]);
    assert_eq!((chart.lines[0].points, chart.lines[0].infinite), (10, 1));
    let text = chart.text(40, 12, Style::Plain);
    assert!(text.chars().any(|c| ('\u{2801}'..='\u{28ff}').contains(&c)), "{text}");
}

#[test]
fn logarithms_leave_out_what_has_none() {
    let at = |second: i64, value: f64| (second * SECOND_NS, value);
    let points = [at(0, 1.0), at(1, 10.0), at(2, 0.0), at(3, 1_000.0), at(4, -5.0), at(5, 100.0)];
    let chart = chart_of(&[("powers", &points)], Scale::Logarithmic);
    let svg = chart.svg(SIZE);
    let found = pieces(&svg);
    assert_eq!(found.iter().map(Vec::len).collect::<Vec<_>>(), [2, 1, 1]);
    let (one, ten, thousand, hundred) =
        (found[0][0].1, found[0][1].1, found[1][0].1, found[2][0].1);
    assert!((one - ten - (hundred - thousand)).abs() < 0.1, "equal ratios are equally far apart");
    for label in ["1", "10", "100", "1000"] {
        assert!(svg.contains(&format!(">{label}</text>")), "{label}");
    }
}

/// A name, points, and how many pieces they make.
type Case<'a> = (&'a str, &'a [(i64, f64)], usize);

#[test]
fn every_shape_of_data_is_drawn_or_said_to_be_none() {
    let at = |second: i64, value: f64| (second * SECOND_NS, value);
    let nothing: &[(i64, f64)] = &[];
    let cases: [Case<'_>; 10] = [
        ("empty", nothing, 0),
        ("one", &[at(5, 7.0)], 1),
        ("constant", &[at(0, 3.0), at(1, 3.0), at(2, 3.0)], 1),
        ("zero", &[at(0, 0.0), at(1, 0.0)], 1),
        ("nan", &[at(0, f64::NAN), at(1, f64::NAN)], 0),
        ("infinite", &[at(0, f64::INFINITY), at(1, f64::NEG_INFINITY)], 0),
        ("huge", &[at(0, f64::MIN), at(1, f64::MAX)], 1),
        ("tiny", &[at(0, 5e-324), at(1, 1e-323)], 1),
        ("near", &[at(0, 1e15), at(1, 1e15 + 1.0)], 1),
        ("ends", &[(i64::MIN, 1.0), (i64::MIN + 1, 2.0)], 1),
    ];
    for (name, points, count) in cases {
        for scale in [Scale::Linear, Scale::Logarithmic] {
            let chart = chart_of(&[(name, points)], scale);
            let svg = chart.svg(SIZE);
            assert!(!svg.contains("NaN") && !svg.contains("inf\""), "{name}: {svg}");
            let expected = if chart.bounds().is_some() { count } else { 0 };
            assert_eq!(pieces(&svg).len(), expected, "{name} {scale:?}");
            assert_eq!(svg.contains("nothing to draw"), expected == 0, "{name}");
            let text = chart.text(50, 14, Style::Plain);
            assert_eq!(text.contains("nothing to draw"), expected == 0, "{name}: {text}");
            for size in [SIZE, Size::MIN] {
                tiny_skia::Pixmap::decode_png(&chart.png(size).unwrap()).unwrap();
            }
        }
    }
    let chart = chart_of(&[("wide", &[(i64::MIN, 1.0), (0, 3.0), (i64::MAX, 2.0)])], Scale::Linear);
    assert_eq!(pieces(&chart.svg(SIZE)).iter().map(Vec::len).sum::<usize>(), 3);
}

#[test]
fn a_picture_shows_lines_axes_and_letters() {
    let points: Vec<(i64, f64)> = (0..50).map(|n| (n * SECOND_NS, n as f64)).collect();
    let chart = chart_of(&[("rising", &points)], Scale::Linear);
    let picture = tiny_skia::Pixmap::decode_png(&chart.png(SIZE).unwrap()).unwrap();
    assert_eq!((picture.width(), picture.height()), (SIZE.width, SIZE.height));
    let count = |(red, green, blue): (u8, u8, u8)| {
        let is = |pixel: &&tiny_skia::PremultipliedColorU8| {
            (pixel.red(), pixel.green(), pixel.blue()) == (red, green, blue)
        };
        picture.pixels().iter().filter(is).count()
    };
    assert!(count(COLORS[0]) > 200, "the line: {}", count(COLORS[0]));
    assert_eq!(count(COLORS[1]), 0);
    assert!(count((51, 51, 51)) > 900, "axes and letters: {}", count((51, 51, 51)));
    let without = Chart { title: String::new(), ..chart.clone() };
    assert_ne!(without.png(SIZE).unwrap(), chart.png(SIZE).unwrap(), "the title is drawn");
    // The line rises: its pixels on the left are further down than those on the right.
    let rows = |from: u32, to: u32| -> Vec<u32> {
        let at = |x: u32, y: u32| picture.pixel(x, y).unwrap();
        let is = |x: u32, y: u32| (at(x, y).red(), at(x, y).green(), at(x, y).blue()) == COLORS[0];
        // Above the legend, which has the same colour.
        (0..300).filter(|y| (from..to).any(|x| is(x, *y))).collect()
    };
    assert!(rows(60, 120).first() > rows(500, 560).last());
}

#[test]
fn hostile_names_are_text() {
    let name = "</text><script>alert('x')</script>&\"\u{0}\u{1b}[2J\n";
    let mut chart = chart_of(&[(name, &[(0, 1.0), (SECOND_NS, 2.0)])], Scale::Linear);
    chart.title = name.repeat(50);
    chart.notes.push(name.to_owned());
    let svg = chart.svg(SIZE);
    assert!(!svg.contains("<script") && !svg.contains('\u{1b}') && !svg.contains('\u{0}'));
    assert!(svg.contains("&lt;script&gt;"));
    assert_eq!(svg.matches("<text").count(), svg.matches("</text>").count());
    let text = chart.text(60, 20, Style::Plain);
    assert!(!text.contains('\u{1b}') && !text.contains('\u{0}'), "{text:?}");
    assert!(text.lines().all(|line| line.chars().count() <= 60));
    chart.png(SIZE).unwrap();
}

#[test]
fn terminals_show_the_shape() {
    let points: Vec<(i64, f64)> = (0..100).map(|n| (n * SECOND_NS, n as f64)).collect();
    let chart = chart_of(&[("up", &points)], Scale::Linear);
    let text = chart.text(60, 16, Style::Plain);
    let rows: Vec<&str> = text.lines().filter(|line| line.contains(['│', '┤'])).collect();
    let starts: Vec<usize> = rows
        .iter()
        .filter_map(|row| row.chars().position(|c| ('\u{2801}'..='\u{28ff}').contains(&c)))
        .collect();
    assert!(starts.len() > 5 && starts.is_sorted_by(|a, b| a >= b), "{text}");
    assert!(text.contains("1970-01-01 00:00:00 to 00:01:39 UTC"), "{text}");
    let colors = chart.text(60, 16, Style::Colors);
    assert!(colors.contains("\u{1b}[38;2;0;114;178m"));
    let many: Vec<(&str, &[(i64, f64)])> = (0..20).map(|_| ("same", &points[..])).collect();
    assert!(chart_of(&many, Scale::Linear).text(60, 40, Style::Plain).contains("and 8 more"));
}

#[test]
fn times_are_marked_by_the_clock_of_the_zone() {
    let time = |text: &str| {
        i64::try_from(text.parse::<jiff::Timestamp>().unwrap().as_nanosecond()).unwrap()
    };
    let berlin = TimeZone::get("Europe/Berlin").unwrap();
    let labels = |from: &str, to: &str, count: usize| -> Vec<String> {
        let ticks = ticks::of_times((time(from), time(to)), &berlin, count);
        assert!(ticks.is_sorted_by(|a, b| a.at < b.at), "{ticks:?}");
        ticks.into_iter().map(|tick| tick.label).collect()
    };
    // The night in which an hour is left out.
    assert_eq!(
        labels("2026-03-28T21:00:00Z", "2026-03-29T06:00:00Z", 6),
        ["22:00", "03-29", "03:00", "04:00", "06:00", "08:00"]
    );
    assert_eq!(labels("2026-01-01T08:00:07Z", "2026-01-01T08:00:12Z", 6)[0], "09:00:07");
    assert_eq!(labels("2026-01-05T00:00:00Z", "2026-01-12T00:00:00Z", 8).len(), 7);
    assert_eq!(labels("2020-06-01T00:00:00Z", "2026-06-01T00:00:00Z", 6)[0], "2022");
    assert_eq!(
        labels("2026-01-01T08:00:00.1Z", "2026-01-01T08:00:00.5Z", 4),
        ["09:00:00.1", "09:00:00.2", "09:00:00.3", "09:00:00.4", "09:00:00.5"]
    );
    let all = ticks::of_times((i64::MIN, i64::MAX), &berlin, 8);
    assert!((2..=16).contains(&all.len()), "{all:?}");
}

proptest! {
    #[test]
    fn whatever_is_drawn_stays_in_its_frame(
        points in prop::collection::vec((any::<i64>(), any::<f64>()), 0..60),
        logarithmic in any::<bool>(),
    ) {
        let mut points = points;
        points.sort_by_key(|(time_ns, _)| *time_ns);
        let scale = if logarithmic { Scale::Logarithmic } else { Scale::Linear };
        let chart = chart_of(&[("any", &points)], scale);
        for (x, y) in pieces(&chart.svg(SIZE)).into_iter().flatten() {
            prop_assert!((0.0..=600.0).contains(&x) && (0.0..=400.0).contains(&y), "{x} {y}");
        }
        prop_assert!(!chart.text(40, 12, Style::Plain).is_empty());
    }

    /// The line through the kept points covers what the line through all points does: in every
    /// column the least and the greatest value are among them, and both ends.
    #[test]
    fn columns_keep_their_extremes(values in prop::collection::vec(-1e6..1e6_f64, 1..2_000)) {
        let span_ns = (0, values.len() as i64 - 1);
        let columns = 16_u32;
        let mut builder = LineBuilder::new("all", span_ns, columns, Gap::Never);
        values.iter().enumerate().for_each(|(at, value)| builder.push(at as i64, *value));
        let line = builder.finish();
        prop_assert_eq!(line.pieces.len(), 1);
        let kept = &line.pieces[0];
        prop_assert!(kept.len() <= 4 * columns as usize);
        prop_assert!(kept.is_sorted_by_key(|(time_ns, _)| *time_ns));
        for column in 0..u64::from(columns) {
            let of = |at: u64| at * u64::from(columns) / values.len() as u64 == column;
            let all = values.iter().enumerate().filter(|(at, _)| of(*at as u64));
            let all: Vec<f64> = all.map(|(_, value)| *value).collect();
            let some: Vec<f64> =
                kept.iter().filter(|(at, _)| of(*at as u64)).map(|(_, value)| *value).collect();
            let ends = |values: &[f64]| {
                let least = values.iter().copied().reduce(f64::min);
                let greatest = values.iter().copied().reduce(f64::max);
                (least, greatest, values.first().copied(), values.last().copied())
            };
            prop_assert_eq!(ends(&all), ends(&some));
        }
    }
}
