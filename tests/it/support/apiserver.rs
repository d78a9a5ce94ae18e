//! A real kube-apiserver on etcd, with RBAC and Karpenter's CRDs; no controllers, no kubelet.

use std::fs;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use kube::Client;
use kube::api::{GetParams, ListParams, Request};
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::{Value, json};

use super::kind::NAMESPACE;
use super::supervised::{Supervised, start_with_free_ports, temp_dir};
use super::tools::{self, API, Set, WITH_SCHEDULER};
use super::{block_on, command_lines, free_ports};

/// Token of a member of `system:masters`.
const ADMIN_TOKEN: &str = "admin-of-the-tests";

/// From start to ready it takes 3 to 6 s; the rest is for a busy one.
const START: Duration = Duration::from_mins(2);

/// A running kube-apiserver; dropping it ends it.
pub(crate) struct ApiServer {
    dir: PathBuf,
    url: String,
    client: Client,
    _servers: Supervised,
}

/// The shared server, for one test at a time.
pub(crate) struct Exclusive {
    server: &'static ApiServer,
    _turn: MutexGuard<'static, ()>,
}

impl Deref for Exclusive {
    type Target = ApiServer;

    fn deref(&self) -> &ApiServer {
        self.server
    }
}

impl ApiServer {
    /// The server that all tests of this process share, started at the first call. For tests that don't mind
    /// others' objects; most want [`ApiServer::exclusive`].
    pub(crate) fn shared() -> &'static Self {
        // The outcome is kept, not only the server: else every test would wait for the same failure.
        static SHARED: OnceLock<Result<ApiServer, String>> = OnceLock::new();
        SHARED
            .get_or_init(|| Self::try_start("crds", API))
            .as_ref()
            .unwrap_or_else(|error| panic!("{error}"))
    }

    /// The shared server with nothing of other tests on it (see [`ApiServer::wipe`]), until the guard is dropped.
    pub(crate) fn exclusive() -> Exclusive {
        static TURN: Mutex<()> = Mutex::new(());
        // A test that failed while it had its turn says nothing about the next one.
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let server = Self::shared();
        server.wipe();
        Exclusive { server, _turn: turn }
    }

    /// A server of the test's own, with the CRDs of Karpenter 1.x.
    pub(crate) fn start() -> Self {
        Self::try_start("crds", API).unwrap_or_else(|error| panic!("{error}"))
    }

    /// A server of the test's own that a kube-scheduler can work with.
    pub(crate) fn start_for_scheduler() -> Self {
        Self::try_start("crds", WITH_SCHEDULER).unwrap_or_else(|error| panic!("{error}"))
    }

    /// A server of the test's own that serves only `karpenter.sh/v1beta1`, as clusters before Karpenter 1.0 do.
    pub(crate) fn start_v1beta1() -> Self {
        Self::try_start("crds-v1beta1", API).unwrap_or_else(|error| panic!("{error}"))
    }

    /// A server of the test's own with the CRDs of Karpenter 1.0, the oldest that serves `karpenter.sh/v1`.
    pub(crate) fn start_oldest() -> Self {
        Self::try_start("crds-v1.0", API).unwrap_or_else(|error| panic!("{error}"))
    }

    fn try_start(crds: &str, set: Set) -> Result<Self, String> {
        let server = start_with_free_ports(|| Self::launch(set))?;
        server.install_crds(&tools::path(crds))?;
        if crds != "crds-v1beta1" {
            server.wait_for_schema()?;
        }
        Ok(server)
    }

    fn launch(set: Set) -> Result<Self, String> {
        let dir = temp_dir("apiserver")?;
        let [port] = free_ports();
        fs::write(
            dir.join("tokens.csv"),
            format!("{ADMIN_TOKEN},admin,admin,system:masters\n"),
        )
        .map_err(|error| format!("{}: {error}", dir.display()))?;
        let commands = vec![
            ("etcd", command_lines::etcd(&dir, set)),
            ("kube-apiserver", command_lines::kube_apiserver(&dir, port, set)),
        ];
        // A proxy of the machine's must not see what goes to loopback.
        let servers = Supervised::start(&dir, &[], &[("NO_PROXY", "127.0.0.1")], commands)?;
        let url = format!("https://127.0.0.1:{port}");
        let client = servers.wait_for("kube-apiserver", START, || {
            // Made anew at each try: the server writes its certificate while it starts.
            let config = kubeconfig(&url, &dir.join("certs/apiserver.crt"), ADMIN_TOKEN);
            block_on(async {
                let client = client(config).await?;
                ready(&client).await?;
                Ok(client)
            })
        })?;
        Ok(Self {
            dir,
            url,
            client,
            _servers: servers,
        })
    }

    /// `https://127.0.0.1:PORT`.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The certificate authority's file.
    pub(crate) fn ca_path(&self) -> PathBuf {
        self.dir.join("certs/apiserver.crt")
    }

    /// The administrator's client.
    pub(crate) fn client(&self) -> Client {
        self.client.clone()
    }

    /// A client that is who `token` says.
    pub(crate) fn client_for_token(&self, token: &str) -> Client {
        let config = kubeconfig(&self.url, &self.ca_path(), token);
        block_on(client(config)).unwrap_or_else(|error| panic!("{error}"))
    }

    /// A client that passes for `user` and may do anything, as far as RBAC is asked.
    pub(crate) fn client_unlimited_as(&self, user: &str) -> Client {
        let mut config = kubeconfig(&self.url, &self.ca_path(), ADMIN_TOKEN);
        config["users"][0]["user"]["as"] = json!(user);
        config["users"][0]["user"]["as-groups"] = json!(["system:masters"]);
        block_on(client(config)).unwrap_or_else(|error| panic!("{error}"))
    }

    /// A kubeconfig file of the administrator.
    pub(crate) fn admin_kubeconfig(&self) -> PathBuf {
        self.kubeconfig_for_token(ADMIN_TOKEN)
    }

    /// A kubeconfig file of whoever `token` says; context, cluster and user are called `tests`.
    pub(crate) fn kubeconfig_for_token(&self, token: &str) -> PathBuf {
        let name: String = token
            .chars()
            .rev()
            .filter(char::is_ascii_alphanumeric)
            .take(40)
            .collect();
        let path = self.dir.join(format!("kubeconfig-{name}.yaml"));
        let config = kubeconfig(&self.url, &self.ca_path(), token);
        fs::write(&path, config.to_string()).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        path
    }

    /// The server publishes the schema of `karpenter.sh/v1` a moment after it serves the objects.
    fn wait_for_schema(&self) -> Result<(), String> {
        let document = || {
            let request = Request::new("/openapi/v3/apis/karpenter.sh").get("v1", &GetParams::default());
            block_on(self.client.request_text(request.ok()?)).ok()
        };
        let deadline = std::time::Instant::now() + START;
        while !document().is_some_and(|text| text.contains("\"NodePool\"")) {
            if std::time::Instant::now() > deadline {
                return Err(format!(
                    "the API server doesn't publish its schema after {START:?}"
                ));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// Installs the CRDs in the files of a folder, and waits until they are served.
    pub(crate) fn install_crds(&self, dir: &Path) -> Result<(), String> {
        let files = fs::read_dir(dir).map_err(|error| format!("{}: {error}", dir.display()))?;
        let mut crds = Vec::new();
        for file in files.flatten() {
            let yaml = fs::read_to_string(file.path())
                .map_err(|error| format!("{}: {error}", file.path().display()))?;
            crds.extend(self.apply(&yaml));
        }
        let mut pending: Vec<String> = crds.iter().flat_map(paths_of).collect();
        let deadline = std::time::Instant::now() + START;
        loop {
            pending.retain(|path| !self.is_served(path));
            let Some(path) = pending.first() else {
                return Ok(());
            };
            if std::time::Instant::now() > deadline {
                return Err(format!("the API server doesn't serve {path} after {START:?}"));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Whether a collection can be listed and is in its group's discovery, by which kinds are found.
    ///
    /// A CRD is `Established` before either, by seconds on a busy machine.
    fn is_served(&self, path: &str) -> bool {
        let (group_version, plural) = path.rsplit_once('/').expect("a collection's path");
        let get = |path: &str| {
            let request = Request::new(path).list(&ListParams::default().limit(1));
            let request = request.map_err(kube::Error::BuildRequest);
            block_on(async { self.client.request::<Value>(request?).await })
        };
        let listed = |discovery: &Value| {
            let resources = discovery["resources"].as_array();
            resources.is_some_and(|all| all.iter().any(|one| one["name"] == plural))
        };
        get(group_version).is_ok_and(|discovery| listed(&discovery)) && get(path).is_ok()
    }
}

/// The collections of a CRD that the server has to serve: `/apis/karpenter.sh/v1/nodepools`.
fn paths_of(crd: &Value) -> Vec<String> {
    let spec = &crd["spec"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (group, plural) = (text(&spec["group"]), text(&spec["names"]["plural"]));
    let versions = spec["versions"].as_array().into_iter().flatten();
    let served = versions.filter(|version| version["served"] == true);
    served
        .map(|version| format!("/apis/{group}/{}/{plural}", text(&version["name"])))
        .collect()
}

/// A kubeconfig as JSON, which is YAML too.
fn kubeconfig(url: &str, ca: &Path, token: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "tests",
        "clusters": [{"name": "tests", "cluster": {"server": url, "certificate-authority": ca}}],
        "users": [{"name": "tests", "user": {"token": token}}],
        "contexts": [{"name": "tests", "context": {"cluster": "tests", "user": "tests", "namespace": "default"}}],
    })
}

async fn client(config: Value) -> Result<Client, String> {
    let config: Kubeconfig = serde_json::from_value(config).map_err(|error| error.to_string())?;
    let config = kube::Config::from_custom_kubeconfig(config, &KubeConfigOptions::default()).await;
    let mut config = config.map_err(|error| error.to_string())?;
    // Taken from the environment; loopback is not behind it.
    config.proxy_url = None;
    Client::try_from(config).map_err(|error| error.to_string())
}

/// Ready means: it says so, and the namespace `default`, which it makes itself after that, is there.
async fn ready(client: &Client) -> Result<(), String> {
    let request = Request::new("")
        .get("readyz", &GetParams::default())
        .map_err(|error| error.to_string())?;
    client
        .request_text(request)
        .await
        .map_err(|error| error.to_string())?;
    NAMESPACE
        .api(client, "default")
        .get("default")
        .await
        .map(drop)
        .map_err(|error| error.to_string())
}
