//! Any bytes as the DATA of a ubus message.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = usp_agent::backend::ubus::blobmsg::decode(bytes);
});
