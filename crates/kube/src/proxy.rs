//! Through which proxy an API server is reached, as kubectl would: the kubeconfig's own `proxy-url`, else `HTTPS_PROXY`
//! unless `NO_PROXY` names the server. kube compares `NO_PROXY` with the proxy instead of the server, hence this.

use http::Uri;
use hyper_util::client::proxy::matcher::Matcher;
use kube::config::Kubeconfig;

use brimful_types::{Error, Result};

/// The `proxy-url` of the cluster that a context (or the current one) means.
pub(super) fn configured(file: &Kubeconfig, context: Option<&str>) -> Option<String> {
    let name = context.or(file.current_context.as_deref())?;
    let context = file
        .contexts
        .iter()
        .find(|one| one.name == name)?
        .context
        .as_ref()?;
    let cluster = file.clusters.iter().find(|one| one.name == context.cluster)?;
    let url = cluster.cluster.as_ref()?.proxy_url.clone();
    url.filter(|url| !url.is_empty())
}

/// The proxy for `server`, if any; `own` is the kubeconfig's.
pub(super) fn choose(server: &Uri, own: Option<String>) -> Result<Option<Uri>> {
    let variable = match server.scheme_str() {
        Some("https") => "HTTPS_PROXY",
        _ => "HTTP_PROXY",
    };
    let (source, url) = match own {
        Some(url) => ("proxy-url of the kubeconfig", url),
        None => match setting(variable) {
            Some(url) if !is_exempt(server, &setting("NO_PROXY").unwrap_or_default()) => (variable, url),
            _ => return Ok(None),
        },
    };
    parse(source, &url).map(Some)
}

/// What a variable of the environment says, in capitals or not.
// As the AWS SDK's and every other client's proxy settings, these have no flag.
#[allow(clippy::disallowed_methods)]
fn setting(name: &str) -> Option<String> {
    let read = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    read(name).or_else(|| read(&name.to_ascii_lowercase()))
}

/// True if `NO_PROXY` names the server: by name or a domain that it is in, by address or network, or `*`.
fn is_exempt(server: &Uri, no_proxy: &str) -> bool {
    let port = server.port_u16().unwrap_or(443);
    let entries = no_proxy.split(',').map(str::trim).filter_map(|entry| {
        let entry = entry
            .strip_prefix('*')
            .filter(|rest| rest.starts_with('.'))
            .unwrap_or(entry);
        match entry.split_once(':') {
            // An address of IPv6 has more colons.
            Some((host, digits)) if !digits.contains(':') => {
                (digits.parse::<u16>() == Ok(port)).then(|| host.to_owned())
            }
            _ => Some(entry.to_owned()),
        }
    });
    let entries: Vec<String> = entries.collect();
    if no_proxy.split(',').any(|entry| entry.trim() == "*") {
        return true;
    }
    // Asked only whether it would step aside; any proxy will do.
    let matcher = Matcher::builder()
        .all("http://proxy.invalid")
        .no(entries.join(","))
        .build();
    matcher.intercept(server).is_none()
}

/// A proxy's address. It may hold a password, so no message repeats it.
fn parse(source: &str, url: &str) -> Result<Uri> {
    let wrong = |why: &str| {
        Error::kubernetes(format!("{source} {why}")).hint(
            "write http://[USER:PASSWORD@]HOST:PORT; the value is not shown, for it may hold a password",
        )
    };
    let url = if url.contains("://") {
        url.to_owned()
    } else {
        format!("http://{url}")
    };
    let uri: Uri = url.parse().map_err(|_| wrong("is not a URL"))?;
    match uri.scheme_str() {
        Some("http" | "https") if uri.host().is_some_and(|host| !host.is_empty()) => Ok(uri),
        Some("http" | "https") => Err(wrong("names no host")),
        _ => Err(wrong(
            "is of a kind that Brimful cannot use (http and https it can)",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_proxy_means_the_server_by_name_domain_address_network_or_port() {
        let named: Uri = "https://ABC.gr7.us-east-2.eks.amazonaws.com".parse().unwrap();
        let numbered: Uri = "https://10.100.0.1:6443".parse().unwrap();
        for (no_proxy, name, number) in [
            ("", false, false),
            ("*", true, true),
            ("eks.amazonaws.com", true, false),
            (".amazonaws.com, ", true, false),
            ("*.amazonaws.com,", true, false),
            ("amazonaws.co", false, false),
            ("10.100.0.0/16,::1", false, true),
            ("10.100.0.1:6443", false, true),
            ("10.100.0.1:443,localhost", false, false),
        ] {
            assert_eq!(is_exempt(&named, no_proxy), name, "{no_proxy}");
            assert_eq!(is_exempt(&numbered, no_proxy), number, "{no_proxy}");
        }
    }

    #[test]
    fn a_proxy_that_cannot_be_used_is_refused_without_its_password() {
        for url in [
            "socks5://me:s3cret@proxy:1080",
            "http://me:s3cret@:3128",
            "http://me:s3cret@ho st",
        ] {
            let error = parse("HTTPS_PROXY", url).unwrap_err();
            let told = format!("{error:#} {:?} {error:?}", error.next_step());
            assert!(!told.contains("s3cret") && told.contains("HTTPS_PROXY"), "{told}");
        }
        assert_eq!(parse("HTTPS_PROXY", "proxy:3128").unwrap(), "http://proxy:3128");
    }

    #[test]
    fn the_kubeconfigs_own_proxy_comes_first() {
        let file: Kubeconfig = serde_json::from_value(serde_json::json!({
            "current-context": "a",
            "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}],
            "clusters": [{"name": "a", "cluster": {"server": "https://10.0.0.1", "proxy-url": "http://proxy:3128"}}],
        }))
        .unwrap();
        assert_eq!(configured(&file, None).as_deref(), Some("http://proxy:3128"));
        assert_eq!(configured(&file, Some("b")), None);
        let server = "https://10.0.0.1".parse().unwrap();
        let chosen = choose(&server, configured(&file, Some("a"))).unwrap();
        assert_eq!(chosen.unwrap(), "http://proxy:3128");
    }
}
