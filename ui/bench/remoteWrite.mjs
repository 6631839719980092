// Samples of the past, sent as remote write sends them: protobuf, in snappy's framing without its compression.
import http from 'node:http';

function varint(value) {
  const bytes = [];
  let rest = BigInt(value);
  while (rest >= 128n) {
    bytes.push(Number(rest & 127n) | 128);
    rest >>= 7n;
  }
  bytes.push(Number(rest));
  return Buffer.from(bytes);
}

const field = (number, bytes) => Buffer.concat([varint((number << 3) | 2), varint(bytes.length), bytes]);

function label(name, value) {
  return field(1, Buffer.concat([field(1, Buffer.from(name)), field(2, Buffer.from(value))]));
}

function sample([timeMs, value]) {
  const double = Buffer.alloc(9);
  double[0] = (1 << 3) | 1;
  double.writeDoubleLE(value, 1);
  return field(2, Buffer.concat([double, varint(2 << 3), varint(timeMs)]));
}

const labelled = (labels) =>
  Object.keys(labels)
    .sort()
    .map((name) => label(name, labels[name]));

/** Like a sample, with labels of its own. */
function exemplar({ labels, timeMs, value }) {
  const [double, time] = [Buffer.alloc(9), Buffer.concat([varint(3 << 3), varint(timeMs)])];
  double[0] = (2 << 3) | 1;
  double.writeDoubleLE(value, 1);
  return field(3, Buffer.concat([...labelled(labels), double, time]));
}

/** Series are `{ labels, samples: [[timeMs, value]] }`; those with exemplars have `[{ labels, timeMs, value }]` of them. */
function writeRequest(series) {
  const written = series.map(({ labels, samples, exemplars = [] }) =>
    field(1, Buffer.concat([...labelled(labels), ...samples.map(sample), ...exemplars.map(exemplar)])),
  );
  return Buffer.concat(written);
}

/** The longest run of literal bytes that one tag stands for. */
const LITERAL_MAX = 60_000;

function snappy(bytes) {
  const parts = [varint(bytes.length)];
  for (let from = 0; from < bytes.length; from += LITERAL_MAX) {
    const piece = bytes.subarray(from, from + LITERAL_MAX);
    const tag = Buffer.alloc(3);
    tag[0] = 61 << 2;
    tag.writeUInt16LE(piece.length - 1, 1);
    parts.push(tag, piece);
  }
  return Buffer.concat(parts);
}

/** Asks as a program does, without the headers by which browsers are known. */
export function post(url, headers, body) {
  return new Promise((resolve, reject) => {
    const request = http.request(url, { method: 'POST', headers }, (answer) => {
      let text = '';
      answer.on('data', (chunk) => (text += chunk));
      answer.on('end', () =>
        answer.statusCode < 300 ? resolve(text) : reject(new Error(`${url}: ${answer.statusCode}: ${text}`)),
      );
    });
    request.on('error', reject);
    request.end(body);
  });
}

export function sendSeries(url, series) {
  const headers = {
    'Content-Type': 'application/x-protobuf',
    'Content-Encoding': 'snappy',
    'X-Prometheus-Remote-Write-Version': '0.1.0',
  };
  return post(`${url}/api/v1/write`, headers, snappy(writeRequest(series)));
}
