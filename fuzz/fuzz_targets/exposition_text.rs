#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::MediaType;
use wire::exposition::hostile::drive_all_options;

fuzz_target!(|body: &[u8]| drive_all_options(body, MediaType::Text));
