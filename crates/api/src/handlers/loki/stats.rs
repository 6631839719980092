//! The statistics of answers, in the shape that clients of log stores know. What there is no such thing as here is 0.

use std::fmt::Write;

use logql::engine::CostSummary;

/// What an answer cost.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spent {
    pub cost: CostSummary,
    pub seconds: f64,
    /// How long it waited for its turn.
    pub queued_seconds: f64,
    pub entries: usize,
}

const CACHES: [&str; 10] = [
    "chunk",
    "index",
    "result",
    "statsResult",
    "volumeResult",
    "seriesResult",
    "labelResult",
    "instantMetricResult",
    "logResult",
    "taskResult",
];

const DATAOBJ: &str = r#"{"prePredicateDecompressedRows":0,"prePredicateDecompressedBytes":0,"prePredicateDecompressedStructuredMetadataBytes":0,"postPredicateRows":0,"postPredicateDecompressedBytes":0,"postPredicateStructuredMetadataBytes":0,"postFilterRows":0,"pagesScanned":0,"pagesDownloaded":0,"pagesDownloadedBytes":0,"pageBatches":0,"totalRowsAvailable":0,"totalPageDownloadTime":0,"wireBytesTransferred":0}"#;

/// Appends the statistics of an answer as an object.
pub(super) fn write(out: &mut String, spent: &Spent) {
    let Spent { cost, seconds, queued_seconds, entries } = *spent;
    let rate = |amount: u64| if seconds > 0.0 { (amount as f64 / seconds) as u64 } else { 0 };
    let _ = write!(
        out,
        r#"{{"summary":{{"bytesProcessedPerSecond":{},"linesProcessedPerSecond":{},"totalBytesProcessed":{},"totalLinesProcessed":{},"execTime":{seconds},"queueTime":{queued_seconds},"subqueries":0,"totalEntriesReturned":{entries},"splits":0,"shards":0,"totalPostFilterLines":{},"totalStructuredMetadataBytesProcessed":{}}},"querier":{{"store":"#,
        rate(cost.bytes_processed),
        rate(cost.lines_processed),
        cost.bytes_processed,
        cost.lines_processed,
        cost.lines_passed,
        cost.metadata_bytes,
    );
    write_store(out, &cost);
    let _ = write!(out, r#","querierExecTime":{seconds}}},"ingester":{{"store":"#);
    write_store(out, &CostSummary::default());
    out.push_str(r#","totalReached":0,"totalChunksMatched":0,"totalBatches":0,"totalLinesSent":0,"recvWaitTime":0},"cache":{"#);
    for (at, cache) in CACHES.iter().enumerate() {
        let separator = if at == 0 { "" } else { "," };
        let _ = write!(
            out,
            r#"{separator}"{cache}":{{"entriesFound":0,"entriesRequested":0,"entriesStored":0,"bytesReceived":0,"bytesSent":0,"requests":0,"downloadTime":0,"queryLengthServed":0}}"#
        );
    }
    let _ = write!(
        out,
        r#"}},"index":{{"totalChunks":{},"postFilterChunks":{},"totalStreams":0,"shardsDuration":0,"usedBloomFilters":false,"bloomFilterTime":0,"chunkRefsLookupTime":0}}}}"#,
        cost.groups_found, cost.groups_read
    );
}

fn write_store(out: &mut String, cost: &CostSummary) {
    let _ = write!(
        out,
        r#"{{"totalChunksRef":{},"totalChunksDownloaded":{},"chunksDownloadTime":0,"queryReferencedStructuredMetadata":false,"queryUsedV2Engine":false,"congestionControlLatency":0,"pipelineWrapperFilteredLines":0,"chunkRefsFetchTime":0,"chunk":{{"headChunkBytes":0,"headChunkLines":0,"headChunkStructuredMetadataBytes":0,"decompressedBytes":{},"decompressedLines":{},"decompressedStructuredMetadataBytes":{},"compressedBytes":0,"totalDuplicates":0,"postFilterLines":{}}},"dataobj":{DATAOBJ}}}"#,
        cost.groups_found,
        cost.groups_read,
        cost.bytes_processed,
        cost.lines_processed,
        cost.metadata_bytes,
        cost.lines_passed
    );
}
