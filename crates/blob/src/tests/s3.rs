//! The same promises, of a real server that speaks S3.

use base::SystemClock;
use testkit::s3::S3Server;

use super::{counts_together, keeps_the_promises, takes_what_is_larger_than_a_part};
use crate::{BlobError, Bucket, RemoteBucket, RemoteOptions};

#[test]
fn an_s3_server_keeps_the_promises() {
    let Some(server) = S3Server::start("an_s3_server_keeps_the_promises") else { return };
    server.make_bucket("logs");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let endpoint = server.endpoint();
    let setting = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let open = |url: &str| {
        let options = RemoteOptions {
            settings: vec![
                setting("endpoint", &endpoint),
                setting("region", "us-east-1"),
                setting("allow_http", "true"),
                setting("access_key_id", "any"),
                setting("secret_access_key", "any"),
            ],
            from_environment: false,
            ..RemoteOptions::new(url)
        };
        RemoteBucket::open(&options, SystemClock::shared(), runtime.handle().clone()).unwrap()
    };
    let bucket = open("s3://logs/some/prefix");
    keeps_the_promises(&bucket);
    counts_together(&bucket);
    takes_what_is_larger_than_a_part(&bucket);
    assert_eq!(open("s3://logs").list("some/prefix/").unwrap().len(), 3);
    assert!(matches!(open("s3://nowhere").get("x", 10), Err(BlobError::NotFound(_))));
}
