//! Messages of streams: all that a member knows, and what is too large for packets.

use super::super::msgpack::{MapReader, put_bool, put_bytes, put_map, put_uint};
use super::{
    ACK, Alive, COMPRESSED, ERROR, Fields, MAX_MEMBERS, MAX_STREAM_BYTES, MemberState, Message, MessageError,
    PING, PUSH_PULL, Ping, USER, label_header, put_address, unlabelled, unpacked,
};

/// What one member knows of another, as a push-pull tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberRecord {
    /// Its name, place, life and what else it says.
    pub alive: Alive,
    /// The state it is held to be in.
    pub state: MemberState,
}

/// What a stream carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StreamMessage {
    /// All one member knows. It is answered with all the other one knows.
    PushPull {
        /// Whether a member joins by this.
        join: bool,
        /// The members it knows.
        members: Vec<MemberRecord>,
        /// All state of what is built on the protocol.
        state: Vec<u8>,
    },
    /// A ping over a stream.
    Ping(Ping),
    /// The answer to it.
    Ack(u32),
    /// What is built on the protocol.
    User(Vec<u8>),
    /// The other side could not read what it was sent.
    Error(String),
}

impl StreamMessage {
    /// The bytes of the message, after the label.
    pub fn encode(&self, label: &str) -> Vec<u8> {
        let mut out = label_header(label);
        match self {
            Self::Ping(ping) => out.extend_from_slice(&Message::Ping(ping.clone()).encode()),
            Self::Ack(sequence) => out.extend_from_slice(&Message::Ack(*sequence).encode()),
            Self::Error(error) => {
                out.push(ERROR);
                put_map(&mut out, 1);
                put_bytes(&mut out, "Error", error.as_bytes());
            }
            Self::User(bytes) => {
                out.push(USER);
                put_map(&mut out, 1);
                put_uint(&mut out, "UserMsgLen", bytes.len() as u64);
                out.extend_from_slice(bytes);
            }
            Self::PushPull { join, members, state } => {
                out.push(PUSH_PULL);
                put_map(&mut out, 3);
                put_uint(&mut out, "Nodes", members.len() as u64);
                put_uint(&mut out, "UserStateLen", state.len() as u64);
                put_bool(&mut out, "Join", *join);
                members.iter().for_each(|member| member.put(&mut out));
                out.extend_from_slice(state);
            }
        }
        out
    }

    /// The message that `bytes` begin with. [`MessageError::Short`] says that more is to be read.
    pub fn decode(bytes: &[u8], label: &str) -> Result<Self, MessageError> {
        if bytes.is_empty() {
            return Err(MessageError::Short(1));
        }
        let bytes = unlabelled(bytes, label)?;
        match bytes {
            [] => Err(MessageError::Short(1)),
            [COMPRESSED, body @ ..] => {
                let (plain, _) = unpacked(body)?;
                match plain.as_slice() {
                    [] | [COMPRESSED, ..] => Err(MessageError::Invalid("packed more than once")),
                    // All of it is there; what is missing now stays missing.
                    [kind, rest @ ..] => Self::decode_plain(*kind, rest).map_err(|error| match error {
                        MessageError::Short(_) => MessageError::Invalid("the packed message is cut off"),
                        other => other,
                    }),
                }
            }
            [kind, body @ ..] => Self::decode_plain(*kind, body),
        }
    }

    fn decode_plain(kind: u8, body: &[u8]) -> Result<Self, MessageError> {
        let mut reader = MapReader::new(body);
        match kind {
            PING | ACK => match Message::decode(kind, body)? {
                Message::Ping(ping) => Ok(Self::Ping(ping)),
                Message::Ack(sequence) => Ok(Self::Ack(sequence)),
                _ => Err(MessageError::Kind(kind)),
            },
            ERROR => Ok(Self::Error(Fields::take(&mut reader)?.error)),
            USER => {
                let len = Fields::take(&mut reader)?.user_bytes;
                Ok(Self::User(trailing(body, &reader, len)?.to_vec()))
            }
            PUSH_PULL => {
                let head = Fields::take(&mut reader)?;
                if head.nodes > MAX_MEMBERS {
                    return Err(MessageError::Large);
                }
                let members = (0..head.nodes)
                    .map(|_| MemberRecord::take(&mut reader))
                    .collect::<Result<Vec<_>, _>>()?;
                let state = trailing(body, &reader, head.user_bytes)?.to_vec();
                Ok(Self::PushPull {
                    join: head.join,
                    members: members.into_iter().flatten().collect(),
                    state,
                })
            }
            other => Err(MessageError::Kind(other)),
        }
    }
}

/// The `len` bytes behind what was read.
fn trailing<'a>(body: &'a [u8], reader: &MapReader<'_>, len: u64) -> Result<&'a [u8], MessageError> {
    let len = usize::try_from(len).ok().filter(|len| *len <= MAX_STREAM_BYTES).ok_or(MessageError::Large)?;
    let rest = &body[reader.position()..];
    rest.get(..len).ok_or(MessageError::Short(len - rest.len().min(len)))
}

impl MemberRecord {
    fn put(&self, out: &mut Vec<u8>) {
        put_map(out, 7);
        put_bytes(out, "Name", self.alive.node.as_bytes());
        put_address(out, "Addr", self.alive.address.ip());
        put_uint(out, "Port", u64::from(self.alive.address.port()));
        put_bytes(out, "Meta", &self.alive.meta);
        put_uint(out, "Incarnation", u64::from(self.alive.incarnation));
        put_uint(out, "State", self.state as u64);
        put_bytes(out, "Vsn", &self.alive.versions);
    }

    /// A record; `None` for one of a member without a place.
    fn take(reader: &mut MapReader<'_>) -> Result<Option<Self>, MessageError> {
        let fields = Fields::take(reader)?;
        let state = match fields.state {
            0 => MemberState::Alive,
            1 => MemberState::Suspect,
            2 => MemberState::Dead,
            3 => MemberState::Left,
            _ => return Err(MessageError::Invalid("unknown state of a member")),
        };
        let Ok(address) = fields.place(fields.address) else { return Ok(None) };
        let alive = Alive {
            incarnation: fields.incarnation,
            address,
            meta: fields.meta.to_vec(),
            versions: fields.versions.to_vec(),
            node: fields.node,
        };
        Ok(Some(Self { alive, state }))
    }
}
