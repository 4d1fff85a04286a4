//! Cases of the line protocol's documentation and of InfluxDB's parser.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;

use crate::ingest::tests::support::{Kept, error, options, read, read_into};
use crate::ingest::{IngestOptions, RecordSink};
use chronolith_engine::{Kind, Metric};

fn lines(text: &str) -> Vec<String> {
    let options = IngestOptions { clock: || 7, ..options(&["--format", "line"]) };
    let outcome = read("-", text, &options);
    assert_eq!(outcome.rejections(), [""; 0], "{text}");
    outcome.sink.lines()
}

fn rejection(text: &str) -> String {
    let outcome = read("f", text, &options(&["--format", "line"]));
    assert_eq!(outcome.summary.rows_rejected, 1, "{text}: {:?}", outcome.rejections());
    assert_eq!(outcome.summary.accepted, 0, "a bad field rejects its line: {text}");
    outcome.rejections().remove(0)
}

#[test]
fn lines_are_read_as_influxdb_reads_them() {
    for (text, expected) in [
        ("cpu value=1 5", r"/value{class=cpu} 5 1.0"),
        ("cpu value=1", r"/value{class=cpu} 7 1.0"),
        ("cpu,host=a,region=eu usage=64.2 -5", r"a/usage{class=cpu,region=eu} -5 64.2"),
        ("cpu,vehicle=v,host=h,device=d x=1 5", r"d/x{class=cpu,host=h,vehicle=v} 5 1.0"),
        ("cpu,class=x v=1 5", r"/v{_class=x,class=cpu} 5 1.0"),
        (
            "m i=42i,u=18446744073709551615u 5",
            "/i{class=m} 5 42i\n/u{class=m} 5 18446744073709551615u",
        ),
        ("m i=-9223372036854775808i 5", "/i{class=m} 5 -9223372036854775808i"),
        ("m a=t,b=T,c=true,d=True,e=TRUE 5", "true"),
        ("m a=f,b=F,c=false,d=False,e=FALSE 5", "false"),
        ("m v=-1.5e-3 5", "/v{class=m} 5 -0.0015"),
        ("m v=1.,w=.5,x=-0 5", "/v{class=m} 5 1.0\n/w{class=m} 5 0.5\n/x{class=m} 5 -0.0"),
        ("m v=0.1234567890123456789 5", "/v{class=m} 5 0.12345678901234568"),
        ("m v=123456789012345678901234567890 5", "/v{class=m} 5 1.2345678901234568e29"),
        (r#"m s="a b,c=d" 5"#, r#"/s{class=m} 5 "a b,c=d""#),
        (r#"m s="say \"hi\" \\ \n" 5"#, r#"/s{class=m} 5 "say \"hi\" \\ \\n""#),
        ("m s=\"two\nlines\" 5", r#"/s{class=m} 5 "two\nlines""#),
        (r#"m s="" 5"#, r#"/s{class=m} 5 """#),
        (
            r"wea\,ther\ x,loc\ a\=b=c\,d te\=m\ p=1 5",
            r"/te=m p{class=wea,ther x,loc a=b=c,d} 5 1.0",
        ),
        (r"m\n,t=a\b v=1 5", r"/v{class=m\n,t=a\b} 5 1.0"),
        ("m v=1 9223372036854775807", "/v{class=m} 9223372036854775807 1.0"),
        ("m v=1 -9223372036854775808", "/v{class=m} -9223372036854775808 1.0"),
        ("  m   v=1   5  \r\n", "/v{class=m} 5 1.0"),
        ("# comment\n\n\r\nm v=1 5\n#m v=2 6", "/v{class=m} 5 1.0"),
        ("temperature,ort=Zürich grad=\"°C\" 5", "/grad{class=temperature,ort=Zürich} 5 \"°C\""),
    ] {
        match expected {
            "true" | "false" => {
                let read = lines(text);
                assert_eq!(read.len(), 5, "{text}");
                assert!(read.iter().all(|line| line.ends_with(expected)), "{read:?}");
            }
            _ => assert_eq!(lines(text).join("\n"), expected, "{text}"),
        }
    }
}

#[test]
fn a_bad_line_is_rejected_with_its_column() {
    for (text, at, problem) in [
        ("cpu", "f:1:1:", "no fields"),
        (",host=a v=1 5", "f:1:1:", "measurement is missing"),
        ("cpu,host v=1 5", "f:1:5:", "a tag needs"),
        ("cpu,host= v=1 5", "f:1:10:", "a tag has no value"),
        ("cpu,=a v=1 5", "f:1:5:", "a tag needs"),
        ("cpu,a=1,a=2 v=1 5", "f:1:9:", "given twice"),
        ("cpu,a=1=2 v=1 5", "f:1:8:", "two ="),
        ("cpu v 5", "f:1:5:", "a field needs"),
        ("cpu =1 5", "f:1:5:", "no key"),
        ("cpu v= 5", "f:1:7:", "no value"),
        ("cpu v=1,w= 5", "f:1:11:", "no value"),
        ("cpu v=abc 5", "f:1:7:", "not a number"),
        ("cpu v=NaN 5", "f:1:7:", "no NaN"),
        ("cpu v=Inf 5", "f:1:7:", "no NaN and no infinity"),
        ("cpu v=-Inf 5", "f:1:7:", "not a number"),
        ("cpu v=+1 5", "f:1:7:", "not a number"),
        ("cpu v=1e400 5", "f:1:7:", "range of f64"),
        ("cpu v=9223372036854775808i 5", "f:1:7:", "range of i64"),
        ("cpu v=-1u 5", "f:1:7:", "range of i64 (suffix i) or u64"),
        ("cpu v=1.5i 5", "f:1:7:", "not a number"),
        ("cpu v=tRUE 5", "f:1:7:", "not a number"),
        ("cpu v=0x10 5", "f:1:7:", "not a number"),
        ("cpu v=1,,w=2 5", "f:1:9:", "a field needs"),
        ("cpu v=1 5x", "f:1:10:", "something follows"),
        ("cpu v=1 x", "f:1:9:", "not a time"),
        ("cpu v=1 1.5", "f:1:10:", "something follows"),
        ("cpu v=1 9223372036854775808", "f:1:9:", "not a time"),
        ("cpu v=\"open 5", "f:1:7:", "not closed"),
        ("cpu v=\"a\"b 5", "f:1:10:", "follows the closing quote"),
        ("cpu v=1 w=2 5", "f:1:9:", "not a time"),
    ] {
        let line = rejection(text);
        assert!(line.starts_with(at) && line.contains(problem), "{text}: {line}");
    }
}

#[test]
fn what_is_no_utf8_is_rejected_and_the_rest_goes_on() {
    for bad in [&b"m\xff v=1 5\n"[..], b"m v\xff=1 5\n", b"m v=\"\xff\" 5\n"] {
        let mut bytes = bad.to_vec();
        bytes.extend_from_slice(b"m v=2 6\n");
        let options = options(&["--format", "line"]);
        let outcome = read_into(Kept::default(), "f", &bytes[..], &options).unwrap();
        outcome.check();
        assert_eq!(outcome.sink.lines(), ["/v{class=m} 6 2.0"]);
        assert!(outcome.rejections()[0].contains("UTF-8"), "{:?}", outcome.rejections());
    }
}

#[test]
fn a_stray_quote_costs_its_line_and_not_the_file() {
    let text = "m v=\"oops 1\nm v=1 2\nm s=\"x\ny\" 3\nm v=\"a\"b 4\nm v=5 5\n";
    let outcome = read("f", text, &options(&["--format", "line"]));
    assert_eq!(
        outcome.sink.lines(),
        ["/v{class=m} 2 1.0", "/s{class=m} 3 \"x\\ny\"", "/v{class=m} 5 5.0"]
    );
    let rejections = outcome.rejections();
    assert_eq!(rejections.len(), 2, "{rejections:?}");
    assert!(rejections[0].starts_with("f:1:"), "{rejections:?}");
    assert!(rejections[1].starts_with("f:5:8: "), "{rejections:?}");
}

#[test]
fn precision_and_device_are_as_the_options_say() {
    let of = |args: &[&str], text: &str| read("f.lp", text, &options(args)).sink.lines();
    assert_eq!(of(&["--time-format", "ms"], "m v=1 5"), ["/v{class=m} 5000000 1.0"]);
    assert_eq!(of(&["--time-format", "s"], "m v=1 5"), ["/v{class=m} 5000000000 1.0"]);
    assert_eq!(
        of(&["--time-format", "auto"], "m v=1 1465839830"),
        ["/v{class=m} 1465839830000000000 1.0"]
    );
    assert_eq!(of(&["--device", "d"], "m,host=h v=1 5"), ["d/v{class=m,host=h} 5 1.0"]);
    assert_eq!(of(&["--device-tag", "t"], "m,host=h,t=x v=1 5"), ["x/v{class=m,host=h} 5 1.0"]);
    assert_eq!(
        of(&["--tag", "site=a"], "m,site=b v=1 5\nn v=1 5"),
        ["/v{class=m,site=b} 5 1.0", "/v{class=n,site=a} 5 1.0"]
    );
    assert!(error("f.lp", "m v=1 5", &options(&["--type", "v=i64"])).contains("--type"));
    assert!(error("f.lp", "m v=1 5", &options(&["--time-format", "rfc3339"])).contains("ns, us"));
}

#[test]
fn a_time_that_nanoseconds_cannot_hold_is_rejected() {
    let outcome = read("f.lp", "m v=1 9223372037\nm v=2 1", &options(&["--time-format", "s"]));
    assert_eq!(outcome.sink.lines(), ["/v{class=m} 1000000000 2.0"]);
    assert!(outcome.rejections()[0].contains("1677 to 2262"));
}

#[test]
fn a_metric_of_another_kind_rejects_the_line_that_has_it() {
    let text = "m v=1i,w=1 5\nm w=2,v=1.5 6\nm v=2i 7\nm w=3,v=\"x\" 8\n";
    let outcome = read("f.lp", text, &options(&[]));
    assert_eq!(outcome.sink.lines(), ["/v{class=m} 5 1i", "/w{class=m} 5 1.0", "/v{class=m} 7 2i"]);
    let rejections = outcome.rejections();
    assert!(rejections[0].starts_with("f.lp:2:7:"), "{rejections:?}");
    assert!(rejections[0].contains("/v{class=m} holds i64 values and takes no f64"));
}

#[test]
fn the_sink_is_asked_once_for_each_metric() {
    #[derive(Default)]
    struct Counting(BTreeMap<Metric, u32>);
    impl RecordSink for Counting {
        fn metric(
            &mut self,
            metric: &Metric,
            _: Kind,
            _: &str,
        ) -> Result<crate::ingest::SinkMetric, crate::ingest::Refusal> {
            *self.0.entry(metric.clone()).or_default() += 1;
            Ok(crate::ingest::SinkMetric(self.0.len() as u32))
        }
        fn record(
            &mut self,
            _: crate::ingest::SinkMetric,
            _: i64,
            _: chronolith_engine::ValueRef<'_>,
        ) -> Result<(), crate::ingest::Refusal> {
            Ok(())
        }
        fn end_row(&mut self) -> Result<(), crate::ingest::IngestError> {
            Ok(())
        }
    }
    let mut text = String::new();
    for turn in 0..200 {
        for vehicle in 0..50 {
            let vehicle = (vehicle * 7 + turn) % 50;
            let (a, b) = if (turn + vehicle) % 3 == 0 { ("x", "y") } else { ("y", "x") };
            text += &format!("m,device=v{vehicle} {a}=1,{b}=2 {turn}\n");
        }
    }
    let mut sink = Counting::default();
    let mut report = crate::ingest::Report::default();
    let summary = crate::ingest::ingest_reader(
        text.as_bytes(),
        "f.lp",
        &IngestOptions::default(),
        &mut sink,
        &mut report,
        &mut |_| {},
    )
    .unwrap();
    assert_eq!(summary.accepted, 20_000);
    assert_eq!(sink.0.len(), 100);
    assert!(sink.0.values().all(|times| *times == 1));
}

/// Each tag is compared with those before it: a body that was one series of millions of tags kept a
/// writer's thread for hours.
#[test]
fn a_series_has_so_many_tags_and_no_more() {
    let series = |count: usize| {
        let tags: String = (0..count).map(|number| format!(",t{number}=v")).collect();
        format!("m{tags} v=1 5")
    };
    assert_eq!(lines(&series(256)).len(), 1);
    let told = rejection(&series(257));
    assert!(told.contains("at most 256 tags"), "{told}");
    assert!(rejection(&series(500_000)).contains("at most 256 tags"));
}
