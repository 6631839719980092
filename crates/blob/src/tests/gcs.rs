//! The same promises, of Google Cloud Storage as it is documented.

use base::SystemClock;
use bytes::Bytes;
use testkit::gcs::GcsServer;

use super::{counts_together, keeps_the_promises};
use crate::{BlobError, Bucket, RemoteBucket, RemoteOptions};

#[test]
fn a_bucket_of_google_keeps_the_promises() {
    let server = GcsServer::default();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let setting = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let account = format!(
        r#"{{"gcs_base_url": "{}", "disable_oauth": true, "client_email": "", "private_key": "", "private_key_id": ""}}"#,
        server.endpoint()
    );
    let open = |url: &str| {
        let options = RemoteOptions {
            settings: vec![setting("service_account_key", &account), setting("allow_http", "true")],
            from_environment: false,
            ..RemoteOptions::new(url)
        };
        RemoteBucket::open(&options, SystemClock::shared(), runtime.handle().clone()).unwrap()
    };
    let bucket = open("gs://logs/some/prefix");
    keeps_the_promises(&bucket);
    counts_together(&bucket);

    // Larger than a part.
    let large = Bytes::from((0..20_000_000_u32).map(|i| (i / 7) as u8).collect::<Vec<u8>>());
    let mut upload = bucket.upload("large").unwrap();
    large.chunks(3_000_001).for_each(|part| upload.write(large.slice_ref(part)).unwrap());
    upload.finish().unwrap();
    assert_eq!(
        bucket.open("large").unwrap().read(9_999_990..10_000_010).unwrap(),
        large[9_999_990..10_000_010]
    );
    assert!(matches!(open("gs://nowhere").get("x", 10), Err(BlobError::NotFound(_))));
}
