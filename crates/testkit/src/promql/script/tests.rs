use super::*;

fn load(text: &str) -> Load {
    let mut commands = parse(text).unwrap();
    match commands.remove(0).action {
        Action::Load(load) => load,
        other => panic!("{other:?}"),
    }
}

#[test]
fn samples_stand_at_multiples_of_the_interval() {
    let load = load("load 30s\n  x 1 _ 3\n  y 5x1\n");
    let times = |i: usize| load.series[i].samples.iter().map(|s| (s.t_ms, s.value)).collect::<Vec<_>>();
    assert_eq!(times(0), [(0, 1.0), (60_000, 3.0)]);
    assert_eq!(times(1), [(0, 5.0), (30_000, 5.0)]);
}

#[test]
fn start_timestamps_come_on_a_line_of_their_own() {
    let load = load("load 1m\n  x{a=\"b\"}@st -1s _ -2s+1sx1 \n  x{a=\"b\"} 1 2 3 4\n");
    let starts: Vec<i64> = load.series[0].samples.iter().map(|s| s.start_ms).collect();
    assert_eq!(starts, [-1000, 0, 118_000, 179_000]);
    for (text, message) in [
        ("load 1m\n  x@st 0s\n", "@st line has no following sample line"),
        ("load 1m\n  x@st 0s\n  y 1\n", "@st metric does not match the following sample line metric"),
        ("load 1m\n  x@st 0s\n  x 1 2\n", "@st line has 1 values but sample line has 2"),
        (
            "load 1m\n  x@st 0s+1s\n  x 1\n",
            "invalid @st sequence: \"0s+1s\": expected 'x<count>' after step duration",
        ),
    ] {
        assert_eq!(parse(text).unwrap_err().message, message);
    }
}

#[test]
fn classic_histograms_become_custom_buckets_on_request() {
    let text = "load_with_nhcb 1m\n  h_bucket{le=\"1\"} 2\n  h_bucket{le=\"5\"} 5\n  h_bucket{le=\"+Inf\"} 6\n  h_sum 9\n";
    let load = load(text);
    let derived = load.series.last().unwrap();
    assert_eq!(derived.labels.to_string(), "{__name__=\"h\"}");
    let histogram = derived.samples[0].histogram.as_ref().unwrap();
    assert_eq!(histogram.custom_bounds(), [1.0, 5.0]);
    assert_eq!(histogram.positive_buckets, [2.0, 3.0, 1.0]);
    assert_eq!((histogram.count, histogram.sum), (6.0, 9.0));
    let decreasing = "load_with_nhcb 1m\n  h_bucket{le=\"1\"} 2\n  h_bucket{le=\"+Inf\"} 1\n";
    assert_eq!(parse(decreasing).unwrap_err().message, "count is not cumulative: 1 < 2");
}
