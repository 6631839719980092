use super::*;

fn place() -> SocketAddr {
    "10.1.2.3:9094".parse().unwrap()
}

fn alive(name: &str) -> Alive {
    Alive {
        incarnation: 300,
        node: name.to_owned(),
        address: place(),
        meta: b"m".to_vec(),
        versions: VERSIONS.to_vec(),
    }
}

fn samples() -> Vec<Message> {
    let ping = Ping { sequence: 70_000, node: "b".into(), answer_to: Some(place()), from: "a".into() };
    let claim = Claim { incarnation: 1, node: "b".into(), from: "a".into() };
    let v6 = Alive { address: "[2001:db8::1]:1".parse().unwrap(), ..alive("six") };
    vec![
        Message::Ping(Ping { answer_to: None, from: String::new(), ..ping.clone() }),
        Message::Ping(ping.clone()),
        Message::IndirectPing { ping, target: place(), nack: true },
        Message::Ack(5),
        Message::Nack(6),
        Message::Suspect(claim.clone()),
        Message::Dead(claim),
        Message::Alive(alive("a")),
        Message::Alive(v6),
        Message::User(vec![1; 500]),
    ]
}

#[test]
fn messages_survive_alone_and_together_with_and_without_label() {
    for label in ["", "blue"] {
        let encoded: Vec<Vec<u8>> = samples().iter().map(Message::encode).collect();
        let packets = packets(&[encoded.clone(), encoded].concat(), label);
        assert!(packets.len() > 1 && packets.iter().all(|packet| packet.len() <= MAX_PACKET_BYTES));
        let mut found = Vec::new();
        for packet in &packets {
            let (messages, error) = open_packet(packet, label);
            assert_eq!(error, None);
            found.extend(messages);
            assert_eq!(open_packet(packet, "green"), (vec![], Some(MessageError::Label)));
        }
        assert_eq!(found, [samples(), samples()].concat());
    }
}

#[test]
fn a_packet_is_laid_out_as_others_do() {
    let ack = Message::Ack(7).encode();
    assert_eq!(ack, b"\x02\x82\xa5SeqNo\x07\xa7Payload\xa0");
    let together = packets(&[ack.clone(), ack], "x");
    assert_eq!(together[0][..9], [244, 1, b'x', 7, 2, 0, 18, 0, 18]);
    // Payloads that are nothing, and signed numbers, as other versions write them.
    let (found, error) = open_packet(b"\x02\x82\xa5SeqNo\xd2\x00\x00\x00\x07\xa7Payload\xc0", "");
    assert_eq!((found, error), (vec![Message::Ack(7)], None));
}

#[test]
fn check_sums_are_checked() {
    let ack = Message::Ack(7).encode();
    let mut packet = vec![CHECKED];
    packet.extend_from_slice(&crc32(&ack).to_be_bytes());
    packet.extend_from_slice(&ack);
    assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    assert_eq!(open_packet(&packet, ""), (vec![Message::Ack(7)], None));
    packet[3] ^= 1;
    assert_eq!(open_packet(&packet, "").1, Some(MessageError::Checksum));
}

#[test]
fn streams_survive_in_pieces() {
    let member = |name: &str, state| MemberRecord { alive: alive(name), state };
    let messages = [
        StreamMessage::PushPull {
            join: true,
            members: vec![member("a", MemberState::Alive), member("b", MemberState::Left)],
            state: vec![9; 3000],
        },
        StreamMessage::Ping(Ping { sequence: 1, node: "a".into(), answer_to: None, from: String::new() }),
        StreamMessage::Ack(1),
        StreamMessage::User(vec![8; 70_000]),
        StreamMessage::Error("no".into()),
    ];
    for message in messages {
        for label in ["", "blue"] {
            let bytes = message.encode(label);
            assert_eq!(StreamMessage::decode(&bytes, label), Ok(message.clone()));
            assert_eq!(StreamMessage::decode(&bytes, "green"), Err(MessageError::Label));
            for len in (0..bytes.len()).step_by(1 + bytes.len() / 200) {
                match StreamMessage::decode(&bytes[..len], label) {
                    Err(MessageError::Short(missing)) => assert!(missing > 0 && len + missing <= bytes.len()),
                    other => panic!("{len} of {}: {other:?}", bytes.len()),
                }
            }
        }
    }
}

#[test]
fn what_claims_to_be_large_is_refused_before_it_is_read() {
    let mut out = vec![USER];
    put_map(&mut out, 1);
    put_uint(&mut out, "UserMsgLen", 1 << 40);
    assert_eq!(StreamMessage::decode(&out, ""), Err(MessageError::Large));
    let mut out = vec![PUSH_PULL];
    put_map(&mut out, 1);
    put_uint(&mut out, "Nodes", 1 << 40);
    assert_eq!(StreamMessage::decode(&out, ""), Err(MessageError::Large));
}

#[test]
fn no_bytes_make_it_panic() {
    let mut state = 1_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) as usize
    };
    let good: Vec<Vec<u8>> = samples().iter().map(Message::encode).collect();
    for _ in 0..20_000 {
        let mut bytes = packets(&good[..1 + next() % good.len()], "").remove(0);
        for _ in 0..1 + next() % 8 {
            let at = next() % bytes.len();
            bytes[at] = next() as u8;
        }
        bytes.truncate(1 + next() % bytes.len());
        let _ = open_packet(&bytes, "");
        let _ = StreamMessage::decode(&bytes, "");
    }
}
