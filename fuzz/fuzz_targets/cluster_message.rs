//! Packets and streams of the members of a cluster.
#![no_main]

use alerting::cluster::message::{StreamMessage, open_packet, packets};
use alerting::cluster::state;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let (messages, _) = open_packet(data, "");
    for message in messages {
        let packet = packets(&[message.encode()], "").remove(0);
        assert_eq!(open_packet(&packet, ""), (vec![message], None), "what is written is read");
    }
    if let Ok(message) = StreamMessage::decode(data, "") {
        assert_eq!(StreamMessage::decode(&message.encode("blue"), "blue"), Ok(message));
    }
    let _ = state::parts(data);
    let _ = state::letter(data);
});
