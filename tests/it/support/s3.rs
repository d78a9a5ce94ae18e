//! `SeaweedFS` as the S3 server: one process on loopback, four identities.

use std::fs;
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_s3::error::DisplayErrorContext;
use aws_sdk_s3::primitives::ByteStream;
use brimful_aws::access::http_client;
use serde_json::json;

use super::supervised::{Supervised, start_with_free_ports, temp_dir};
use super::{block_on, command_lines, free_ports, hermetic_env};

const REGION: &str = "us-east-1";

/// From start to ready it takes 2 to 5 s; the rest is for a busy one.
const START: Duration = Duration::from_mins(1);

/// Whose keys to use.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Identity {
    /// May do everything.
    Full,
    /// May list and read every bucket: what Brimful should run as.
    ReadOnly,
    /// May write every bucket, and read none.
    WriteOnly,
    /// May do nothing on any bucket that tests make.
    Stranger,
}

impl Identity {
    /// Access key and secret key.
    pub(crate) const fn keys(self) -> (&'static str, &'static str) {
        match self {
            Self::Full => ("TESTFULL", "secret-of-full"),
            Self::ReadOnly => ("TESTREADONLY", "secret-of-read-only"),
            Self::WriteOnly => ("TESTWRITEONLY", "secret-of-write-only"),
            Self::Stranger => ("TESTSTRANGER", "secret-of-stranger"),
        }
    }
}

/// A running S3 server; dropping it ends it.
pub(crate) struct S3 {
    endpoint: String,
    client: Client,
    _server: Supervised,
}

impl S3 {
    /// The server that all tests of this process share, started at the first call. Each test makes a bucket of
    /// its own.
    pub(crate) fn shared() -> &'static Self {
        static SHARED: OnceLock<Result<S3, String>> = OnceLock::new();
        let shared = SHARED.get_or_init(|| start_with_free_ports(Self::launch));
        shared.as_ref().unwrap_or_else(|error| panic!("{error}"))
    }

    /// A server of the test's own, to take away while something reads from it.
    pub(crate) fn start() -> Self {
        start_with_free_ports(Self::launch).unwrap_or_else(|error| panic!("{error}"))
    }

    fn launch() -> Result<Self, String> {
        let dir = temp_dir("s3")?;
        let ports: [u16; 8] = free_ports();
        let rights = [
            (Identity::Full, vec!["Admin", "Read", "Write", "List", "Tagging"]),
            (Identity::ReadOnly, vec!["Read", "List"]),
            (Identity::WriteOnly, vec!["Write"]),
            (Identity::Stranger, vec!["Read:bucket-of-nobody"]),
        ];
        let identities = rights.map(|(identity, actions)| {
            let (access, secret) = identity.keys();
            json!({"name": access, "credentials": [{"accessKey": access, "secretKey": secret}], "actions": actions})
        });
        fs::write(
            dir.join("identities.json"),
            json!({ "identities": identities }).to_string(),
        )
        .map_err(|error| format!("{}: {error}", dir.display()))?;
        // It opens these beside its ports and leaves them behind.
        let litter = [
            ("master", ports[1]),
            ("volume", ports[3]),
            ("filer", ports[5]),
            ("s3", ports[7]),
        ]
        .map(|(part, port)| format!("/tmp/seaweedfs-{part}-grpc-{port}.sock"));
        let env = [
            ("NO_PROXY", "127.0.0.1"),
            // One volume per bucket is enough, and quicker made than seven.
            ("WEED_MASTER_VOLUME_GROWTH_COPY_1", "1"),
        ];
        let server = Supervised::start(
            &dir,
            &litter,
            &env,
            vec![("weed", command_lines::seaweedfs(ports))],
        )?;
        let endpoint = format!("http://127.0.0.1:{}", ports[6]);
        let client = connect(&endpoint, Identity::Full, RetryConfig::standard());
        // Without the pauses between retries: asked often, it is known to be ready sooner.
        let probe = connect(&endpoint, Identity::Full, RetryConfig::disabled());
        server.wait_for("SeaweedFS", START, || {
            // A write, since the volume server joins after the S3 port answers.
            block_on(async {
                let _ = probe.create_bucket().bucket("ready").send().await;
                let put = probe
                    .put_object()
                    .bucket("ready")
                    .key("x")
                    .body(ByteStream::from_static(b"x"));
                put.send()
                    .await
                    .map(drop)
                    .map_err(|error| DisplayErrorContext(error).to_string())
            })
        })?;
        Ok(Self {
            endpoint,
            client,
            _server: server,
        })
    }

    /// `http://127.0.0.1:PORT`.
    pub(crate) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Variables for the binary, as the identity that may only read.
    pub(crate) fn env(&self) -> Vec<(String, String)> {
        self.env_as(Identity::ReadOnly)
    }

    /// Variables for the binary, as `identity`.
    pub(crate) fn env_as(&self, identity: Identity) -> Vec<(String, String)> {
        let (access, secret) = identity.keys();
        let mut env = hermetic_env();
        let own = [
            ("AWS_ENDPOINT_URL_S3", self.endpoint.as_str()),
            ("AWS_ACCESS_KEY_ID", access),
            ("AWS_SECRET_ACCESS_KEY", secret),
            ("AWS_REGION", REGION),
        ];
        env.extend(own.map(|(name, value)| (name.to_owned(), value.to_owned())));
        env
    }

    /// The client of the identity that may do everything.
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// A client of `identity`.
    pub(crate) fn client_as(&self, identity: Identity) -> Client {
        connect(&self.endpoint, identity, RetryConfig::standard())
    }

    /// Makes a bucket that isn't there yet.
    pub(crate) fn create_bucket(&self, bucket: &str) {
        block_on(self.client.create_bucket().bucket(bucket).send())
            .unwrap_or_else(|error| panic!("create bucket {bucket}: {}", DisplayErrorContext(error)));
    }

    /// Writes an object and gives its `ETag`.
    pub(crate) fn put(&self, bucket: &str, key: &str, body: impl Into<Vec<u8>>) -> String {
        let body = ByteStream::from(body.into());
        let put = block_on(self.client.put_object().bucket(bucket).key(key).body(body).send())
            .unwrap_or_else(|error| panic!("put s3://{bucket}/{key}: {}", DisplayErrorContext(error)));
        put.e_tag()
            .expect("S3 names the ETag of what it stored")
            .to_owned()
    }

    /// Reads an object, if it is there.
    pub(crate) fn get(&self, bucket: &str, key: &str) -> Option<Vec<u8>> {
        let get = self.client.get_object().bucket(bucket).key(key);
        block_on(async {
            let found = get.send().await.ok()?;
            Some(found.body.collect().await.ok()?.to_vec())
        })
    }

    /// The keys in a bucket, by name.
    pub(crate) fn list(&self, bucket: &str) -> Vec<String> {
        let listed = block_on(self.client.list_objects_v2().bucket(bucket).send())
            .unwrap_or_else(|error| panic!("list {bucket}: {}", DisplayErrorContext(error)));
        let keys = listed.contents().iter().filter_map(|object| object.key());
        keys.map(str::to_owned).collect()
    }

    /// Deletes an object.
    pub(crate) fn delete(&self, bucket: &str, key: &str) {
        block_on(self.client.delete_object().bucket(bucket).key(key).send())
            .unwrap_or_else(|error| panic!("delete s3://{bucket}/{key}: {}", DisplayErrorContext(error)));
    }

    /// Writes every file below `local` to `prefix` (`a/b`, or nothing), by name, and gives the keys.
    pub(crate) fn put_dir(&self, local: &Path, bucket: &str, prefix: &str) -> Vec<String> {
        let mut entries: Vec<_> = fs::read_dir(local)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .unwrap_or_else(|error| panic!("{}: {error}", local.display()));
        entries.sort_by_key(fs::DirEntry::file_name);
        let mut keys = Vec::new();
        for entry in entries {
            let name = entry
                .file_name()
                .into_string()
                .expect("fixtures have UTF-8 names");
            let key = if prefix.is_empty() {
                name
            } else {
                format!("{}/{name}", prefix.trim_end_matches('/'))
            };
            let path = entry.path();
            if path.is_dir() {
                keys.extend(self.put_dir(&path, bucket, &key));
            } else {
                let body = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
                self.put(bucket, &key, body);
                keys.push(key);
            }
        }
        keys
    }
}

fn connect(endpoint: &str, identity: Identity, retries: RetryConfig) -> Client {
    let (access, secret) = identity.keys();
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .http_client(http_client())
        .endpoint_url(endpoint)
        .retry_config(retries)
        .region(Region::from_static(REGION))
        .credentials_provider(Credentials::new(access, secret, None, None, "tests"))
        // Buckets as host names would need a name server.
        .force_path_style(true);
    Client::from_conf(config.build())
}
