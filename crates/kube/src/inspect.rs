//! What `doctor` asks a cluster beyond what a run needs. Nothing is written: reviews are answered, not stored.

use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};
use kube::Api;
use kube::api::PostParams;
use kube::core::Request;
use kube::core::params::ListParams;
use serde_json::Value;

use super::call::Call;
use super::{Cluster, Resource, code, patience};
use brimful_karpenter::api::NodePoolSchema;
use brimful_karpenter::cluster::{Overlays, Served};
use brimful_karpenter::rights::Right;
use brimful_types::{Error, Result};

const NODE_OVERLAYS: Resource = Resource::new(
    "karpenter.sh",
    "nodeoverlays",
    "/apis/karpenter.sh/v1alpha1/nodeoverlays",
);

/// EKS Auto Mode's API group.
const AUTO_MODE: &str = "eks.amazonaws.com";

/// The labels of Karpenter's own chart.
const KARPENTER: &str = "app.kubernetes.io/name=karpenter";

impl Cluster {
    /// Where the API server is.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Who the API server takes the caller for.
    ///
    /// # Errors
    /// A Kubernetes error.
    pub async fn user(&self) -> Result<String> {
        let api: Api<SelfSubjectReview> = Api::all(self.client.clone());
        let (params, review) = (PostParams::default(), SelfSubjectReview::default());
        let answer = patience::read(|| api.create(&params, &review)).await;
        let call = Call::new("create", "authentication.k8s.io", "selfsubjectreviews");
        let review = answer.map_err(|error| self.failed(&call, error))?;
        let user = review.status.and_then(|status| status.user_info);
        Ok(user.and_then(|user| user.username).unwrap_or_default())
    }

    /// True if the caller has this right; on one object where `name` says so.
    ///
    /// # Errors
    /// A Kubernetes error.
    pub async fn may(&self, right: &Right, home: &str, name: Option<&str>) -> Result<bool> {
        let owned = |text: &str| Some(text.to_owned());
        let review = SelfSubjectAccessReview {
            spec: SelfSubjectAccessReviewSpec {
                resource_attributes: Some(ResourceAttributes {
                    verb: owned(right.verb),
                    group: owned(right.group),
                    resource: owned(right.resource),
                    namespace: right.namespace(home).map(str::to_owned),
                    name: name.or(right.name).map(str::to_owned),
                    ..ResourceAttributes::default()
                }),
                ..SelfSubjectAccessReviewSpec::default()
            },
            ..SelfSubjectAccessReview::default()
        };
        let api: Api<SelfSubjectAccessReview> = Api::all(self.client.clone());
        let params = PostParams::default();
        let answer = patience::read(|| api.create(&params, &review)).await;
        let call = Call::new("create", "authorization.k8s.io", "selfsubjectaccessreviews");
        let review = answer.map_err(|error| self.failed(&call, error))?;
        Ok(review.status.is_some_and(|status| status.allowed))
    }

    /// Which APIs are served.
    ///
    /// # Errors
    /// A Kubernetes error.
    pub async fn served(&self) -> Result<Served> {
        let groups = patience::read(|| self.client.list_api_groups()).await;
        let groups = groups.map_err(|error| self.failed(&Call::new("list", "", "API groups"), error))?;
        let versions = |name: &str| {
            let group = groups.groups.iter().find(|group| group.name == name);
            let versions = group.into_iter().flat_map(|group| &group.versions);
            versions
                .map(|version| version.version.clone())
                .collect::<Vec<_>>()
        };
        Ok(Served {
            karpenter: versions("karpenter.sh"),
            auto_mode: self.serves_node_classes(&versions(AUTO_MODE)).await,
        })
    }

    /// True where a version of EKS Auto Mode's group has `NodeClass`es; the node monitoring agent has the group, too.
    async fn serves_node_classes(&self, versions: &[String]) -> bool {
        for version in versions {
            let group = format!("{AUTO_MODE}/{version}");
            let resources = patience::read(|| self.client.list_api_group_resources(&group)).await;
            let served =
                resources.is_ok_and(|list| list.resources.iter().any(|one| one.name == "nodeclasses"));
            if served {
                return true;
            }
        }
        false
    }

    /// The schema of `NodePool`s; `None` where the server does not say.
    pub async fn schema(&self) -> Option<NodePoolSchema> {
        match self.get("/openapi/v3/apis/karpenter.sh", "v1").await {
            Ok(document) => NodePoolSchema::from_openapi(&document),
            Err(error) => {
                tracing::debug!(%error, "cannot read the schema of NodePools");
                None
            }
        }
    }

    /// Refuses an API whose weights are not those that Brimful knows. A server that does not say is not held back:
    /// it still validates every patch.
    ///
    /// # Errors
    /// A Kubernetes error with the reason.
    pub async fn check_schema(&self) -> Result<()> {
        match self.schema().await.as_ref().and_then(NodePoolSchema::refusal) {
            None => Ok(()),
            Some(refusal) => Err(Error::kubernetes(format!("{refusal}: nothing is changed"))
                .hint("this Karpenter is outside the tested range (`brimful doctor`): use a newer Brimful")),
        }
    }

    /// The version of the running Karpenter by its Deployment: the chart's label, else the image's tag. `None` where
    /// there is none, or the caller may not see it.
    pub async fn karpenter_version(&self) -> Option<String> {
        let params = ListParams::default().labels(KARPENTER);
        let request = Request::new("/apis/apps/v1/deployments").list(&params).ok()?;
        let list = patience::read(|| self.answer(request.clone())).await.ok()?;
        list["items"].as_array()?.iter().find_map(deployed_version)
    }

    /// `NodeOverlay`s that change prices.
    ///
    /// # Errors
    /// A Kubernetes error.
    pub async fn price_overlays(&self) -> Result<Overlays> {
        let items = match self.list(&NODE_OVERLAYS, |overlay| Ok(overlay.clone())).await {
            Ok(items) => items?,
            Err(error) => match code(&error) {
                Some(404) => return Ok(Overlays::NotServed),
                Some(403) => return Ok(Overlays::Forbidden),
                _ => return Err(self.failed(&NODE_OVERLAYS.call("list"), error)),
            },
        };
        let prices = |overlay: &&Value| {
            ["price", "priceAdjustment"]
                .iter()
                .any(|key| overlay["spec"].get(key).is_some())
        };
        let names = items
            .iter()
            .filter(prices)
            .filter_map(|overlay| overlay["metadata"]["name"].as_str());
        let mut names: Vec<String> = names.map(str::to_owned).collect();
        names.sort();
        Ok(Overlays::Pricing(names))
    }
}

fn deployed_version(deployment: &Value) -> Option<String> {
    let label = deployment["metadata"]["labels"]
        .get("app.kubernetes.io/version")
        .and_then(Value::as_str);
    let image = deployment
        .pointer("/spec/template/spec/containers/0/image")
        .and_then(Value::as_str);
    // registry:port/name:tag@digest
    let tag = image.and_then(|image| image.split('@').next()?.rsplit('/').next()?.split_once(':'));
    label.or(tag.map(|(_, tag)| tag)).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_version_is_the_charts_label_or_the_images_tag() {
        let image = |image: &str| json!({"metadata": {"labels": {}}, "spec": {"template": {"spec": {"containers": [{"image": image}]}}}});
        assert_eq!(
            deployed_version(&image("registry:5000/karpenter/controller:1.6.2@sha256:ab")).as_deref(),
            Some("1.6.2")
        );
        assert_eq!(
            deployed_version(&image("registry:5000/karpenter/controller@sha256:ab")),
            None
        );
        let mut labelled = image("x/controller:custom");
        labelled["metadata"]["labels"]["app.kubernetes.io/version"] = json!("1.15.0");
        assert_eq!(deployed_version(&labelled).as_deref(), Some("1.15.0"));
    }
}
