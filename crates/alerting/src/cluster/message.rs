//! The messages members exchange, byte by byte: the protocol of hashicorp/memberlist in its version 2, which
//! Alertmanager speaks, so that it and this program can be members of one cluster.

mod stream;

use std::net::{IpAddr, SocketAddr};

use super::lzw::{LzwError, unpack};
use super::msgpack::{MapReader, MsgpackError, put_bool, put_bytes, put_map, put_uint};

pub use stream::{MemberRecord, StreamMessage};

const PING: u8 = 0;
const INDIRECT_PING: u8 = 1;
const ACK: u8 = 2;
const SUSPECT: u8 = 3;
const ALIVE: u8 = 4;
const DEAD: u8 = 5;
const PUSH_PULL: u8 = 6;
const COMPOUND: u8 = 7;
const USER: u8 = 8;
const COMPRESSED: u8 = 9;
const NACK: u8 = 11;
const CHECKED: u8 = 12;
const ERROR: u8 = 13;
const LABEL: u8 = 244;

/// The longest label of a cluster, in bytes.
pub const MAX_LABEL_BYTES: usize = 255;
/// The most bytes of a packet. Members must not be asked to put fragments together.
pub const MAX_PACKET_BYTES: usize = 1400;
/// The most bytes of state or of a message on a stream.
pub const MAX_STREAM_BYTES: usize = 20 << 20;
/// The most members a push-pull may tell of.
const MAX_MEMBERS: u64 = 10_000;
/// The most bytes a packed message may become.
const MAX_UNPACKED_BYTES: usize = 2 * MAX_STREAM_BYTES;
/// Levels of messages in messages.
const DEEPEST: u8 = 4;

/// Versions of the protocol, and of what is built on it: lowest, highest and current of each.
pub const VERSIONS: [u8; 6] = [1, 5, 2, 0, 0, 0];

/// Why bytes are no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// More bytes are needed, so many at least.
    #[error("the message is cut off")]
    Short(usize),
    /// It is not encoded as it must be.
    #[error("{0}")]
    Encoding(MsgpackError),
    /// It cannot be unpacked.
    #[error(transparent)]
    Packed(#[from] LzwError),
    /// The kind of message is not known here, or has no place there.
    #[error("message of type {0}")]
    Kind(u8),
    /// The check sum is wrong.
    #[error("wrong check sum")]
    Checksum,
    /// It is for another cluster.
    #[error("the label is of another cluster")]
    Label,
    /// It is longer than is allowed.
    #[error("the message is too large")]
    Large,
    /// It makes no sense.
    #[error("{0}")]
    Invalid(&'static str),
}

impl From<MsgpackError> for MessageError {
    fn from(error: MsgpackError) -> Self {
        match error {
            MsgpackError::Short(missing) => Self::Short(missing),
            other => Self::Encoding(other),
        }
    }
}

/// A ping, which the member of that name answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ping {
    /// To be answered with.
    pub sequence: u32,
    /// The member it is for.
    pub node: String,
    /// Whom to answer, if not the sender of the packet.
    pub answer_to: Option<SocketAddr>,
    /// The name of the member who asks.
    pub from: String,
}

/// What is said about a member: that it is suspected, or dead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The life of the member it is about.
    pub incarnation: u32,
    /// The member.
    pub node: String,
    /// Who says so. A member that says it of itself has left.
    pub from: String,
}

/// What a member says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alive {
    /// Grows with each thing it says.
    pub incarnation: u32,
    /// Its name.
    pub node: String,
    /// Where it is.
    pub address: SocketAddr,
    /// What else it says.
    pub meta: Vec<u8>,
    /// Versions of the protocol.
    pub versions: Vec<u8>,
}

/// In what state a member is held to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MemberState {
    /// It answers.
    Alive,
    /// It does not answer.
    Suspect,
    /// It has not answered for long.
    Dead,
    /// It said that it goes.
    Left,
}

/// A message of a packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// Asks for an [`Message::Ack`].
    Ping(Ping),
    /// Asks to ping another, and to answer in its place; by a [`Message::Nack`] when it does not, if so wished.
    IndirectPing {
        /// The ping, answered as it says.
        ping: Ping,
        /// Whom to ping.
        target: SocketAddr,
        /// Whether to say that there was no answer.
        nack: bool,
    },
    /// Answers a ping.
    Ack(u32),
    /// Answers an indirect ping that was not answered.
    Nack(u32),
    /// A member does not answer.
    Suspect(Claim),
    /// A member lives.
    Alive(Alive),
    /// A member is dead, or has left.
    Dead(Claim),
    /// What is built on the protocol.
    User(Vec<u8>),
}

fn put_address(out: &mut Vec<u8>, name: &str, address: IpAddr) {
    match address.to_canonical() {
        IpAddr::V4(address) => put_bytes(out, name, &address.octets()),
        IpAddr::V6(address) => put_bytes(out, name, &address.octets()),
    }
}

fn take_address(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from),
        16 => <[u8; 16]>::try_from(bytes).ok().map(|octets| IpAddr::from(octets).to_canonical()),
        _ => None,
    }
}

impl Message {
    /// The bytes of the message.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64);
        match self {
            Self::Ping(ping) => {
                out.push(PING);
                put_map(&mut out, if ping.answer_to.is_some() { 5 } else { 2 });
                ping.put(&mut out);
            }
            Self::IndirectPing { ping, target, nack } => {
                out.push(INDIRECT_PING);
                put_map(&mut out, if ping.answer_to.is_some() { 8 } else { 5 });
                ping.put(&mut out);
                put_address(&mut out, "Target", target.ip());
                put_uint(&mut out, "Port", u64::from(target.port()));
                put_bool(&mut out, "Nack", *nack);
            }
            Self::Ack(sequence) => {
                out.push(ACK);
                put_map(&mut out, 2);
                put_uint(&mut out, "SeqNo", u64::from(*sequence));
                put_bytes(&mut out, "Payload", &[]);
            }
            Self::Nack(sequence) => {
                out.push(NACK);
                put_map(&mut out, 1);
                put_uint(&mut out, "SeqNo", u64::from(*sequence));
            }
            Self::Suspect(claim) => claim.put(SUSPECT, &mut out),
            Self::Dead(claim) => claim.put(DEAD, &mut out),
            Self::Alive(alive) => {
                out.push(ALIVE);
                put_map(&mut out, 6);
                put_uint(&mut out, "Incarnation", u64::from(alive.incarnation));
                put_bytes(&mut out, "Node", alive.node.as_bytes());
                put_address(&mut out, "Addr", alive.address.ip());
                put_uint(&mut out, "Port", u64::from(alive.address.port()));
                put_bytes(&mut out, "Meta", &alive.meta);
                put_bytes(&mut out, "Vsn", &alive.versions);
            }
            Self::User(bytes) => {
                out.push(USER);
                out.extend_from_slice(bytes);
            }
        }
        out
    }

    fn decode(kind: u8, body: &[u8]) -> Result<Self, MessageError> {
        let fields = match kind {
            USER => return Ok(Self::User(body.to_vec())),
            PING | INDIRECT_PING | ACK | NACK | SUSPECT | ALIVE | DEAD => {
                Fields::take(&mut MapReader::new(body))?
            }
            other => return Err(MessageError::Kind(other)),
        };
        Ok(match kind {
            PING => Self::Ping(fields.ping()),
            INDIRECT_PING => Self::IndirectPing {
                ping: fields.ping(),
                target: fields.place(fields.target)?,
                nack: fields.nack,
            },
            ACK => Self::Ack(fields.sequence),
            NACK => Self::Nack(fields.sequence),
            SUSPECT => Self::Suspect(fields.claim()),
            DEAD => Self::Dead(fields.claim()),
            _ => Self::Alive(Alive {
                incarnation: fields.incarnation,
                address: fields.place(fields.address)?,
                meta: fields.meta.to_vec(),
                versions: fields.versions.to_vec(),
                node: fields.node,
            }),
        })
    }
}

impl Ping {
    fn put(&self, out: &mut Vec<u8>) {
        put_uint(out, "SeqNo", u64::from(self.sequence));
        put_bytes(out, "Node", self.node.as_bytes());
        if let Some(address) = self.answer_to {
            put_address(out, "SourceAddr", address.ip());
            put_uint(out, "SourcePort", u64::from(address.port()));
            put_bytes(out, "SourceNode", self.from.as_bytes());
        }
    }
}

impl Claim {
    fn put(&self, kind: u8, out: &mut Vec<u8>) {
        out.push(kind);
        put_map(out, 3);
        put_uint(out, "Incarnation", u64::from(self.incarnation));
        put_bytes(out, "Node", self.node.as_bytes());
        put_bytes(out, "From", self.from.as_bytes());
    }
}

/// The fields of any message. Their names are the same in all of them.
#[derive(Default)]
struct Fields<'a> {
    sequence: u32,
    node: String,
    from: String,
    incarnation: u32,
    address: &'a [u8],
    target: &'a [u8],
    port: u16,
    meta: &'a [u8],
    versions: &'a [u8],
    nack: bool,
    source_address: &'a [u8],
    source_port: u16,
    state: u8,
    nodes: u64,
    user_bytes: u64,
    join: bool,
    algorithm: u8,
    packed: &'a [u8],
    error: String,
}

impl<'a> Fields<'a> {
    fn take(reader: &mut MapReader<'a>) -> Result<Self, MessageError> {
        let mut fields = Self::default();
        for _ in 0..reader.map()? {
            match reader.bytes()? {
                b"SeqNo" => fields.sequence = reader.number()?,
                b"Node" | b"Name" => fields.node = reader.text()?,
                b"From" | b"SourceNode" => fields.from = reader.text()?,
                b"Incarnation" => fields.incarnation = reader.number()?,
                b"Addr" => fields.address = reader.bytes()?,
                b"Target" => fields.target = reader.bytes()?,
                b"Port" => fields.port = reader.number()?,
                b"Meta" => fields.meta = reader.bytes()?,
                b"Vsn" => fields.versions = reader.bytes()?,
                b"Nack" => fields.nack = reader.bool()?,
                b"SourceAddr" => fields.source_address = reader.bytes()?,
                b"SourcePort" => fields.source_port = reader.number()?,
                b"State" => fields.state = reader.number()?,
                b"Nodes" => fields.nodes = reader.uint()?,
                b"UserStateLen" | b"UserMsgLen" => fields.user_bytes = reader.uint()?,
                b"Join" => fields.join = reader.bool()?,
                b"Algo" => fields.algorithm = reader.number()?,
                b"Buf" => fields.packed = reader.bytes()?,
                b"Error" => fields.error = reader.text()?,
                _ => reader.skip()?,
            }
        }
        Ok(fields)
    }

    fn place(&self, address: &[u8]) -> Result<SocketAddr, MessageError> {
        let address = take_address(address).ok_or(MessageError::Invalid("no address of a member"))?;
        Ok(SocketAddr::new(address, self.port))
    }

    fn ping(&self) -> Ping {
        let answer_to = take_address(self.source_address)
            .filter(|_| self.source_port != 0)
            .map(|address| SocketAddr::new(address, self.source_port));
        let from = if answer_to.is_some() { self.from.clone() } else { String::new() };
        Ping { sequence: self.sequence, node: self.node.clone(), answer_to, from }
    }

    fn claim(&self) -> Claim {
        Claim { incarnation: self.incarnation, node: self.node.clone(), from: self.from.clone() }
    }
}

/// What goes before everything a cluster with a label sends.
pub fn label_header(label: &str) -> Vec<u8> {
    match label.len() {
        0 => Vec::new(),
        len => [&[LABEL, len.min(MAX_LABEL_BYTES) as u8], label.as_bytes()].concat(),
    }
}

/// Puts messages into packets that are no longer than is allowed, as far as that depends on their number.
pub fn packets(messages: &[Vec<u8>], label: &str) -> Vec<Vec<u8>> {
    let header = label_header(label);
    let (mut packets, mut batch, mut bytes) = (Vec::new(), Vec::new(), 0);
    let mut finish = |batch: &mut Vec<&Vec<u8>>| {
        let mut packet = header.clone();
        if let [only] = batch.as_slice() {
            packet.extend_from_slice(only);
        } else {
            packet.extend_from_slice(&[COMPOUND, batch.len() as u8]);
            batch.iter().for_each(|message| packet.extend_from_slice(&(message.len() as u16).to_be_bytes()));
            batch.iter().for_each(|message| packet.extend_from_slice(message));
        }
        packets.push(packet);
        batch.clear();
    };
    for message in messages {
        if !batch.is_empty() && (bytes + message.len() + 2 > room(label) || batch.len() == 255) {
            finish(&mut batch);
            bytes = 0;
        }
        bytes += message.len() + 2;
        batch.push(message);
    }
    if !batch.is_empty() {
        finish(&mut batch);
    }
    packets
}

/// How many bytes of messages, two more for each, a packet has room for.
pub fn room(label: &str) -> usize {
    MAX_PACKET_BYTES - 2 - label_header(label).len()
}

/// The messages of a packet. What cannot be read among them is left out; the first reason is given.
pub fn open_packet(packet: &[u8], label: &str) -> (Vec<Message>, Option<MessageError>) {
    let (mut messages, mut error) = (Vec::new(), None);
    let result = unlabelled(packet, label).and_then(|body| open(body, DEEPEST, &mut messages, &mut error));
    (messages, result.err().or(error))
}

fn unlabelled<'a>(bytes: &'a [u8], label: &str) -> Result<&'a [u8], MessageError> {
    let (found, rest) = match bytes {
        [LABEL] => return Err(MessageError::Short(1)),
        [LABEL, 0, ..] => return Err(MessageError::Label),
        [LABEL, len, rest @ ..] => {
            let len = usize::from(*len);
            let missing = len.saturating_sub(rest.len());
            rest.split_at_checked(len).ok_or(MessageError::Short(missing))?
        }
        _ => (&[][..], bytes),
    };
    if found == label.as_bytes() { Ok(rest) } else { Err(MessageError::Label) }
}

fn open(
    bytes: &[u8],
    depth: u8,
    messages: &mut Vec<Message>,
    error: &mut Option<MessageError>,
) -> Result<(), MessageError> {
    let Some(depth) = depth.checked_sub(1) else { return Err(MessageError::Invalid("nested too deeply")) };
    match bytes {
        [] => Err(MessageError::Short(1)),
        [CHECKED, a, b, c, d, rest @ ..] => {
            if crc32(rest) != u32::from_be_bytes([*a, *b, *c, *d]) {
                return Err(MessageError::Checksum);
            }
            open(rest, depth, messages, error)
        }
        [COMPRESSED, rest @ ..] => open(&unpacked(rest)?.0, depth, messages, error),
        [COMPOUND, count, rest @ ..] => {
            let count = usize::from(*count);
            let (lengths, mut rest) = rest.split_at_checked(2 * count).ok_or(MessageError::Short(1))?;
            for length in lengths.chunks_exact(2) {
                let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
                let (part, after) = rest.split_at_checked(length).ok_or(MessageError::Short(1))?;
                rest = after;
                if let Err(problem) = open(part, depth, messages, error) {
                    error.get_or_insert(problem);
                }
            }
            Ok(())
        }
        [kind, body @ ..] => {
            messages.push(Message::decode(*kind, body)?);
            Ok(())
        }
    }
}

/// A packed message unpacked, and how many bytes it took.
fn unpacked(body: &[u8]) -> Result<(Vec<u8>, usize), MessageError> {
    let mut reader = MapReader::new(body);
    let fields = Fields::take(&mut reader)?;
    if fields.algorithm != 0 {
        return Err(MessageError::Invalid("packed in an unknown way"));
    }
    Ok((unpack(fields.packed, MAX_UNPACKED_BYTES)?, reader.position()))
}

/// The check sum of packets, of ISO 3309.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| (sum >> 1) ^ (0xedb8_8320 & (sum & 1).wrapping_neg()))
    })
}

#[cfg(test)]
mod tests;
