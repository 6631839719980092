//! The encodings of pages of log objects.
#![no_main]

use libfuzzer_sys::fuzz_target;
use logdb::codec::Input;
use logdb::parquet::{delta, levels};

fuzz_target!(|data: &[u8]| {
    let Some((&count, rest)) = data.split_first() else { return };
    let mut values = Vec::new();
    if delta::decode(&mut Input::new(rest), usize::from(count), &mut values).is_ok() {
        let mut encoded = Vec::new();
        delta::encode(&mut encoded, &values);
        let mut again = Vec::new();
        delta::decode(&mut Input::new(&encoded), values.len(), &mut again).expect("what is written is read");
        assert_eq!(values, again);
    }
    let _ = levels::decode_bits(&mut Input::new(rest), usize::from(count));
});
