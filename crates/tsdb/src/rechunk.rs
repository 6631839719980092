//! Samples on their way out as encoded chunks: stored ones as they are where that is possible.

use chunkenc::{ChunkError, Encoding, RawSample, SeriesEncoder};
use model::{RawChunk, TimeRange};

/// Appends those samples of a chunk that lie in one of `kept`, which ascend. A chunk that lies wholly in one
/// is passed on as it is; `span` tells where its samples lie.
pub fn push_kept(
    (encoding, bytes): (Encoding, &[u8]),
    span: TimeRange,
    kept: impl IntoIterator<Item = TimeRange>,
    out: &mut Vec<RawChunk>,
) -> Result<(), ChunkError> {
    for kept in kept {
        if !kept.overlaps(&span) {
            continue;
        }
        if kept.contains(span.start_ms) && kept.contains(span.end_ms) {
            let (min_ms, max_ms) = (span.start_ms, span.end_ms);
            out.push(RawChunk { encoding: encoding.as_byte(), min_ms, max_ms, data: bytes.to_vec() });
            return Ok(());
        }
        let mut encoder = SeriesEncoder::new();
        chunkenc::for_each(bytes, encoding, |sample| {
            if kept.contains(sample.t_ms) { encoder.append_raw(&sample) } else { Ok(()) }
        })?;
        push_encoded(&mut encoder, out);
    }
    Ok(())
}

/// Appends the chunks of an encoder.
pub fn push_encoded(encoder: &mut SeriesEncoder, out: &mut Vec<RawChunk>) {
    out.extend(encoder.finish().into_iter().map(|chunk| RawChunk {
        encoding: chunk.encoding.as_byte(),
        min_ms: chunk.min_ms,
        max_ms: chunk.max_ms,
        data: chunk.bytes,
    }));
}

/// Puts chunks in order of time and joins those that overlap. Of samples at the same time that of the chunk
/// listed first stays.
pub fn join(chunks: Vec<RawChunk>) -> Result<Vec<RawChunk>, ChunkError> {
    if chunks.windows(2).all(|pair| pair[0].max_ms < pair[1].min_ms) {
        return Ok(chunks);
    }
    let mut listed: Vec<(usize, RawChunk)> = chunks.into_iter().enumerate().collect();
    listed.sort_by_key(|(_, chunk)| chunk.min_ms);
    let mut joined = Vec::with_capacity(listed.len());
    let mut rest = listed.as_mut_slice();
    while let Some((_, first)) = rest.first() {
        let mut end_ms = first.max_ms;
        let mut run = 1;
        while let Some((_, next)) = rest.get(run).filter(|(_, next)| next.min_ms <= end_ms) {
            end_ms = end_ms.max(next.max_ms);
            run += 1;
        }
        let (group, after) = rest.split_at_mut(run);
        rest = after;
        match group {
            [(_, alone)] => joined.push(std::mem::take(alone)),
            group => {
                group.sort_by_key(|(place, _)| *place);
                join_group(group, &mut joined)?;
            }
        }
    }
    Ok(joined)
}

fn join_group(group: &[(usize, RawChunk)], out: &mut Vec<RawChunk>) -> Result<(), ChunkError> {
    let mut samples: Vec<RawSample> = Vec::new();
    for (_, chunk) in group {
        chunkenc::for_each(&chunk.data, Encoding::from_byte(chunk.encoding)?, |sample| {
            samples.push(sample);
            Ok::<_, ChunkError>(())
        })?;
    }
    // Stable: what was listed first stays first among equals, and `dedup` keeps the first.
    samples.sort_by_key(|sample| sample.t_ms);
    samples.dedup_by_key(|sample| sample.t_ms);
    let mut encoder = SeriesEncoder::new();
    samples.iter().try_for_each(|sample| encoder.append_raw(sample))?;
    push_encoded(&mut encoder, out);
    Ok(())
}

#[cfg(test)]
mod tests {
    use chunkenc::RawValue;

    use super::*;

    fn chunk(samples: &[(i64, f64)]) -> RawChunk {
        let mut encoder = SeriesEncoder::new();
        for &(t_ms, value) in samples {
            encoder.append(0, t_ms, model::SampleValue::Float(value)).unwrap();
        }
        let mut out = Vec::new();
        push_encoded(&mut encoder, &mut out);
        out.remove(0)
    }

    fn samples(chunks: &[RawChunk]) -> Vec<(i64, f64)> {
        let mut all = Vec::new();
        for chunk in chunks {
            let encoding = Encoding::from_byte(chunk.encoding).unwrap();
            chunkenc::for_each(&chunk.data, encoding, |sample| {
                let RawValue::Float(value) = sample.value else { panic!("a histogram") };
                all.push((sample.t_ms, value));
                Ok::<_, ChunkError>(())
            })
            .unwrap();
        }
        all
    }

    #[test]
    fn whole_chunks_pass_as_they_are_and_others_are_cut() {
        let stored = chunk(&[(10, 1.0), (20, 2.0), (30, 3.0)]);
        let encoded = (Encoding::Xor, &stored.data[..]);
        let span = TimeRange::new(10, 30);
        let mut out = Vec::new();
        push_kept(encoded, span, [TimeRange::new(0, 30)], &mut out).unwrap();
        assert_eq!(out, std::slice::from_ref(&stored));
        out.clear();
        push_kept(encoded, span, [TimeRange::new(0, 10), TimeRange::new(25, 99)], &mut out).unwrap();
        assert_eq!(samples(&out), [(10, 1.0), (30, 3.0)]);
        assert_eq!((out[1].min_ms, out[1].max_ms), (30, 30));
    }

    #[test]
    fn overlapping_chunks_are_joined_and_the_first_listed_wins() {
        let lone = chunk(&[(100, 9.0)]);
        let listed =
            vec![lone.clone(), chunk(&[(10, 1.0), (30, 1.0)]), chunk(&[(5, 2.0), (10, 2.0), (20, 2.0)])];
        let joined = join(listed).unwrap();
        assert_eq!(joined.len(), 2);
        assert_eq!(joined[1], lone);
        assert_eq!(samples(&joined), [(5, 2.0), (10, 1.0), (20, 2.0), (30, 1.0), (100, 9.0)]);
    }
}
