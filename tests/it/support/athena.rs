//! ministack as Athena, Glue and S3, on loopback: queries really run, in `DuckDB`, over the files of tables.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use arrow_schema::DataType;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_s3::config::{Credentials, SharedCredentialsProvider};
use brimful_aws::access::http_client;
use brimful_cur::athena::AthenaTable;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Value, json};

use super::ministack;
use super::supervised::{Supervised, start_with_free_ports};

/// A running Athena; dropping it ends it.
pub(crate) struct Athena {
    port: u16,
    _server: Supervised,
}

impl Athena {
    /// The server that all tests of this process share, started at the first call. Every test has a database of its own.
    pub(crate) fn shared() -> &'static Self {
        static SHARED: OnceLock<Result<Athena, String>> = OnceLock::new();
        let shared = SHARED.get_or_init(|| start_with_free_ports(Self::launch));
        shared.as_ref().unwrap_or_else(|error| panic!("{error}"))
    }

    fn launch() -> Result<Self, String> {
        let (port, server) = ministack::launch("athena,glue,s3")?;
        Ok(Self {
            port,
            _server: server,
        })
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The variable that makes the SDK ask this server.
    pub(crate) fn env(&self) -> Vec<(String, String)> {
        vec![("AWS_ENDPOINT_URL_ATHENA".to_owned(), self.endpoint())]
    }

    /// A table of that name, in a database and a bucket of that name, over the parquet files below a folder, and partitioned
    /// as their paths are.
    pub(crate) fn table(&self, name: &str, root: &Path, wanted: impl Fn(&str) -> bool) -> AthenaTable {
        self.database(name);
        let files = parquet_files(root);
        let (mut columns, mut keys) = (Vec::new(), Vec::new());
        for path in &files {
            let key = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
            if !wanted(&key) {
                continue;
            }
            // Catalogs lower the names of partitions.
            let key = key.replace("BILLING_PERIOD=", "billing_period=");
            let folders = key.split('/').filter_map(|folder| folder.split_once('='));
            keys = folders
                .map(|(key, _)| json!({"Name": key, "Type": "string"}))
                .collect();
            for column in columns_of(path) {
                if !columns.contains(&column) {
                    columns.push(column);
                }
            }
            self.put(name, &format!("data/{key}"), &fs::read(path).unwrap());
        }
        assert!(!columns.is_empty(), "no files in {}", root.display());
        self.create_table(name, name, "data", &columns, &keys);
        AthenaTable {
            catalog: "AwsDataCatalog".to_owned(),
            database: name.to_owned(),
            table: name.to_owned(),
            region: None,
            workgroup: "primary".to_owned(),
            output: Some(format!("s3://{name}/results/")),
            most_bytes: 1_000_000_000,
            files: None,
        }
    }

    /// What a legacy report says of itself.
    pub(crate) fn status(&self, name: &str, status: &[u8]) {
        self.put(name, "status/status.parquet", status);
        let columns = [json!({"Name": "status", "Type": "string"})];
        self.create_table(name, "cost_and_usage_data_status", "status", &columns, &[]);
    }

    fn database(&self, name: &str) {
        self.request("PUT", &format!("/{name}"), "", b"");
        self.glue("CreateDatabase", &json!({"DatabaseInput": {"Name": name}}));
    }

    fn create_table(&self, database: &str, table: &str, folder: &str, columns: &[Value], keys: &[Value]) {
        // Glue keeps one table of a name.
        let table = json!({
            "Name": table, "TableType": "EXTERNAL_TABLE", "PartitionKeys": keys,
            "Parameters": {"classification": "parquet"},
            "StorageDescriptor": {"Columns": columns, "Location": format!("s3://{database}/{folder}/")},
        });
        self.glue(
            "CreateTable",
            &json!({"DatabaseName": database, "TableInput": table}),
        );
    }

    /// Puts an object.
    pub(crate) fn put(&self, bucket: &str, key: &str, bytes: &[u8]) {
        self.request("PUT", &format!("/{bucket}/{key}"), "", bytes);
    }

    fn glue(&self, action: &str, document: &Value) {
        let head = format!("X-Amz-Target: AWSGlue.{action}\r\nContent-Type: application/x-amz-json-1.1\r\n");
        self.request("POST", "/", &head, document.to_string().as_bytes());
    }

    fn request(&self, method: &str, path: &str, head: &str, body: &[u8]) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        let credential = "Authorization: AWS4-HMAC-SHA256 Credential=dummy/20261101/us-east-1";
        let service = if method == "PUT" { "s3" } else { "glue" };
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n{credential}/{service}/aws4_request\r\n{head}Content-Length: {}\r\n\r\n",
            body.len()
        )
        .unwrap();
        stream.write_all(body).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{method} {path}: {answer}");
    }
}

/// Settings for an endpoint, without a look at the environment.
pub(crate) fn settings(endpoint: &str) -> SdkConfig {
    let credentials = Credentials::new("dummy", "dummy", None, None, "test");
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .http_client(http_client())
        .region(Region::new("us-east-1"))
        .endpoint_url(endpoint)
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .build()
}

fn parquet_files(root: &Path) -> Vec<PathBuf> {
    let (mut found, mut folders) = (Vec::new(), vec![root.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|kind| kind == "parquet") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// The columns of a file, as a crawler writes them.
fn columns_of(path: &Path) -> Vec<Value> {
    let file = fs::File::open(path).unwrap();
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
    let fields = builder.schema().fields().iter();
    fields
        .map(|field| {
            let kind = match field.data_type() {
                DataType::Utf8 => "string",
                DataType::Float64 => "double",
                DataType::Timestamp(..) => "timestamp",
                DataType::Map(..) => "map<string,string>",
                DataType::Int64 => "bigint",
                other => panic!("{}: {other}", field.name()),
            };
            json!({"Name": field.name(), "Type": kind})
        })
        .collect()
}
