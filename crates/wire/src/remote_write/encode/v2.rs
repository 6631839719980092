//! `io.prometheus.write.v2.Request`.

use std::collections::HashMap;

use super::{Batch, Item, Kind, Symbols, Table, type_number};
use crate::protobuf::{put_bytes, put_double, put_message, put_uint, put_varint, varint};

const SYMBOLS: u32 = 4;
const SERIES: u32 = 5;

/// Appends the request.
pub fn put_request(batch: &Batch, symbols: &impl Symbols, table: &mut Table, out: &mut Vec<u8>) {
    let mut local = Local::default();
    // References to the empty string are 0.
    put_bytes(out, SYMBOLS, b"");
    let mut count = 1;
    for &id in &batch.ids {
        if table.get(id).is_none() {
            let bytes = symbols.bytes(id);
            if bytes.is_empty() {
                table.set(id, 0);
                continue;
            }
            put_bytes(out, SYMBOLS, bytes);
            table.set(id, count);
            count += 1;
        }
    }
    for (_, _, payload) in batch.items().filter(|(item, ..)| item.kind == Kind::Exemplar) {
        local.add(payload, &mut count, out);
    }
    let mut attached: Vec<_> =
        batch.items().filter_map(|(item, _, payload)| Some((item.parent?, item, payload))).collect();
    attached.sort_by_key(|(parent, ..)| *parent);
    let mut attached = attached.into_iter().peekable();
    for (at, (item, ids, payload)) in
        batch.items().enumerate().filter(|(_, (item, ..))| item.parent.is_none())
    {
        put_message(out, SERIES, |out| {
            put_series(item, ids, payload, table, &local, out);
            while let Some((_, exemplar, payload)) = attached.next_if(|(parent, ..)| *parent as usize == at) {
                put_exemplar(exemplar, payload, &local, out);
            }
        });
    }
}

fn put_series(item: &Item, ids: &[u32], payload: &[u8], table: &Table, local: &Local<'_>, out: &mut Vec<u8>) {
    let reference = |id: u32| table.get(id).unwrap_or(0);
    let (labels, texts) = match item.metadata {
        Some(_) => ids.split_at(ids.len() - 2),
        None => (ids, &[][..]),
    };
    put_message(out, 1, |out| labels.iter().for_each(|&id| put_varint(out, u64::from(reference(id)))));
    match item.kind {
        Kind::Float => put_message(out, 2, |out| {
            put_double(out, 1, item.value);
            put_uint(out, 2, item.t_ms as u64);
            if item.start_ms != 0 {
                put_uint(out, 3, item.start_ms as u64);
            }
        }),
        Kind::Histogram => out.extend_from_slice(payload),
        Kind::Exemplar => put_exemplar(item, payload, local, out),
    }
    if let (Some(metric_type), &[help, unit]) = (item.metadata, texts) {
        put_message(out, 5, |out| {
            put_uint(out, 1, type_number(metric_type));
            put_uint(out, 3, u64::from(reference(help)));
            put_uint(out, 4, u64::from(reference(unit)));
        });
    }
}

fn put_exemplar(item: &Item, payload: &[u8], local: &Local<'_>, out: &mut Vec<u8>) {
    put_message(out, 4, |out| {
        put_message(out, 1, |out| {
            texts_of(payload).for_each(|text| put_varint(out, u64::from(local.reference(text))));
        });
        put_double(out, 2, item.value);
        put_uint(out, 3, item.t_ms as u64);
    });
}

/// References of the strings of exemplars: most of them never come again, so they are not interned.
#[derive(Debug, Default)]
struct Local<'a>(HashMap<&'a [u8], u32>);

impl<'a> Local<'a> {
    fn add(&mut self, payload: &'a [u8], count: &mut u32, out: &mut Vec<u8>) {
        for text in texts_of(payload) {
            self.0.entry(text).or_insert_with(|| {
                put_bytes(out, SYMBOLS, text);
                *count += 1;
                *count - 1
            });
        }
    }

    fn reference(&self, text: &[u8]) -> u32 {
        self.0.get(text).copied().unwrap_or(0)
    }
}

/// The strings [`Batch::push_exemplar`] put into a payload.
fn texts_of(payload: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut pos = 0;
    std::iter::from_fn(move || {
        let (len, start) = varint(payload, pos).ok()?;
        pos = start + len as usize;
        payload.get(start..pos)
    })
}
