//! Several blocks as one source of series.

use model::TimeRange;

use crate::block::Block;
use crate::block::reader::BlockSource;
use crate::block::writer::fit_chunks;
use crate::chunk_source::{ChunkSource, SourceChunk, SourceSeries};
use crate::error::TsdbError;

/// Walks over the series of several blocks in label order; chunks of a series in more than one block
/// are handed out together.
#[derive(Debug)]
pub struct MergedSource {
    blocks: Vec<Block>,
    sources: Vec<BlockSource>,
    /// The next series of each source.
    heads: Vec<Option<SourceSeries>>,
    started: bool,
}

impl MergedSource {
    /// A walk over `blocks`; of samples at the same time that of the earlier block wins.
    pub fn new(blocks: &[Block]) -> Result<Self, TsdbError> {
        let sources = blocks.iter().map(Block::source).collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            blocks: blocks.to_vec(),
            heads: Vec::with_capacity(sources.len()),
            sources,
            started: false,
        })
    }
}

impl ChunkSource for MergedSource {
    fn symbols(&mut self, visit: &mut dyn FnMut(&str) -> Result<(), TsdbError>) -> Result<(), TsdbError> {
        let counts: Vec<u32> = self.blocks.iter().map(|block| block.index().symbol_count()).collect();
        let mut next = vec![0_u32; self.blocks.len()];
        loop {
            let mut lowest: Option<&str> = None;
            for ((block, &at), &count) in self.blocks.iter().zip(&next).zip(&counts) {
                if at < count {
                    let symbol = block.index().nth_symbol(at)?;
                    lowest = Some(lowest.map_or(symbol, |low| low.min(symbol)));
                }
            }
            let Some(lowest) = lowest else { return Ok(()) };
            visit(lowest)?;
            for ((block, at), &count) in self.blocks.iter().zip(&mut next).zip(&counts) {
                if *at < count && block.index().nth_symbol(*at)? == lowest {
                    *at += 1;
                }
            }
        }
    }

    fn next_series(&mut self) -> Result<Option<SourceSeries>, TsdbError> {
        if !self.started {
            self.started = true;
            for source in &mut self.sources {
                self.heads.push(source.next_series()?);
            }
        }
        let Some(lowest) = self.heads.iter().flatten().map(|series| &series.labels).min().cloned() else {
            return Ok(None);
        };
        let mut members = Vec::new();
        for (head, source) in self.heads.iter_mut().zip(&mut self.sources) {
            if head.as_ref().is_some_and(|series| series.labels == lowest) {
                members.extend(std::mem::replace(head, source.next_series()?));
            }
        }
        if members.len() == 1 {
            return Ok(members.pop());
        }
        let mut chunks = Vec::new();
        for mut member in members {
            if member.deleted.is_empty() {
                chunks.append(&mut member.chunks);
            } else {
                // What is deleted in one block may well be kept in another.
                chunks.extend(fit_chunks(member, TimeRange::ALL)?.into_iter().map(SourceChunk::from));
            }
        }
        chunks.sort_by_key(|chunk| chunk.min_ms);
        Ok(Some(SourceSeries { labels: lowest, chunks, deleted: Vec::new() }))
    }
}
