//! The same promises, of Google Cloud Storage as it is documented.

use base::SystemClock;
use testkit::gcs::GcsServer;

use super::{counts_together, keeps_the_promises, takes_what_is_larger_than_a_part};
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
    takes_what_is_larger_than_a_part(&bucket);
    assert!(matches!(open("gs://nowhere").get("x", 10), Err(BlobError::NotFound(_))));
}
