//! How the servers are started: on loopback only, nothing on a fixed port, nothing reported to anybody.

use std::ffi::OsString;
use std::path::Path;

use super::tools::{self, Set, WITH_SCHEDULER};

/// etcd, storing and listening in `dir`, which it runs in.
pub(crate) fn etcd(dir: &Path, set: Set) -> Vec<OsString> {
    // Over a socket in the folder: no port to be taken by someone else, nothing another user could reach.
    let client = format!("unix://{}", dir.join("etcd.sock").display());
    let peer = format!("unix://{}", dir.join("peer.sock").display());
    let mut line = vec![tools::kubernetes_binary("etcd", set).into_os_string()];
    line.extend([
        "--data-dir=etcd".into(),
        "--unsafe-no-fsync".into(),
        "--log-level=warn".into(),
    ]);
    for (flag, url) in [
        ("listen-client-urls", &client),
        ("advertise-client-urls", &client),
        ("listen-peer-urls", &peer),
        ("initial-advertise-peer-urls", &peer),
    ] {
        line.push(format!("--{flag}={url}").into());
    }
    line.push(format!("--initial-cluster=default={peer}").into());
    line
}

/// A kube-apiserver on that etcd, running in the same folder.
pub(crate) fn kube_apiserver(dir: &Path, port: u16, set: Set) -> Vec<OsString> {
    let sa_key = tools::path("sa.key");
    let mut line = vec![tools::kubernetes_binary("kube-apiserver", set).into_os_string()];
    line.extend([
        format!("--etcd-servers=unix://{}", dir.join("etcd.sock").display()).into(),
        format!("--secure-port={port}").into(),
        "--bind-address=127.0.0.1".into(),
        // Loopback can't be an endpoint of the Service `kubernetes`, which nobody uses here.
        "--endpoint-reconciler-type=none".into(),
        "--cert-dir=certs".into(),
        "--authorization-mode=RBAC".into(),
        "--token-auth-file=tokens.csv".into(),
        "--service-account-issuer=https://kubernetes.default.svc".into(),
        format!("--service-account-key-file={}", sa_key.display()).into(),
        format!("--service-account-signing-key-file={}", sa_key.display()).into(),
        "--service-cluster-ip-range=10.0.0.0/24".into(),
        // Without a controller that makes default ServiceAccounts, this one would refuse every pod.
        "--disable-admission-plugins=ServiceAccount".into(),
    ]);
    line
}

/// kube-scheduler, as whom the kubeconfig says.
pub(crate) fn kube_scheduler(kubeconfig: &Path) -> Vec<OsString> {
    vec![
        tools::kubernetes_binary("kube-scheduler", WITH_SCHEDULER).into_os_string(),
        format!("--kubeconfig={}", kubeconfig.display()).into(),
        "--leader-elect=false".into(),
        "--secure-port=0".into(),
    ]
}

/// `SeaweedFS` as master, volume server, filer and S3 server in one, each with its own gRPC port.
pub(crate) fn seaweedfs(ports: [u16; 8]) -> Vec<OsString> {
    let [
        master,
        master_grpc,
        volume,
        volume_grpc,
        filer,
        filer_grpc,
        s3,
        s3_grpc,
    ] = ports;
    let line = format!(
        // Paths are relative to the folder that the server runs in.
        "-logtostderr server -dir=. -ip=127.0.0.1 -ip.bind=127.0.0.1 -master.telemetry=false \
         -master.port={master} -master.port.grpc={master_grpc} -volume.port={volume} \
         -volume.port.grpc={volume_grpc} -filer -filer.port={filer} -filer.port.grpc={filer_grpc} \
         -s3 -s3.port={s3} -s3.port.grpc={s3_grpc} -s3.config=identities.json \
         -filer.localSocket=filer.sock -s3.localSocket=s3.sock \
         -s3.port.iceberg=0 -s3.port.lance=0 -s3.iam=false -iam=false -s3.autoCreateBucket=false \
         -volume.max=1000 -master.volumeSizeLimitMB=256"
    );
    std::iter::once(tools::path("venv/bin/weed").into_os_string())
        .chain(line.split_whitespace().map(OsString::from))
        .collect()
}

/// ministack, whose settings are environment variables.
pub(crate) fn ministack() -> Vec<OsString> {
    let python = tools::python().into_os_string();
    vec![python, "-m".into(), "ministack".into()]
}

/// Prometheus with the configuration in the folder that it runs in, where it keeps its data, too.
pub(crate) fn prometheus(address: &str) -> Vec<OsString> {
    vec![
        tools::path("bin/prometheus").into_os_string(),
        "--config.file=prometheus.yml".into(),
        "--storage.tsdb.path=data".into(),
        format!("--web.listen-address={address}").into(),
        "--web.enable-otlp-receiver".into(),
        "--log.level=warn".into(),
    ]
}

/// A Pushgateway, which keeps everything in memory.
pub(crate) fn pushgateway(address: &str) -> Vec<OsString> {
    vec![
        tools::path("bin/pushgateway").into_os_string(),
        format!("--web.listen-address={address}").into(),
        "--log.level=warn".into(),
    ]
}
