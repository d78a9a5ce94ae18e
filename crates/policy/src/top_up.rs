//! What tops a pool up that fills: Spot nodes whose pods move over to it.

/// What a pool that lacks nodes is topped up by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TopUp {
    /// This node moves now.
    Moves(Move),
    /// None does in this run, and why.
    Waits(String),
}

/// A Spot node that is given up, so that its pods move.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Move {
    /// Its `NodeClaim`, which is deleted.
    pub claim: String,
    /// That claim's `metadata.uid`, so that no other of its name is.
    pub uid: Option<String>,
    /// Its Node.
    pub node: String,
    /// Its `NodePool`.
    pub from: String,
    /// Its instance type.
    pub instance_type: String,
    /// Its vCPU.
    pub vcpu: u32,
    /// Pods that must go, those of `DaemonSets` left out.
    pub pods: usize,
}

impl Move {
    /// In words: `NodeClaim spot-x7k2p of spot moves over (m5.xlarge, 4 vCPU, 6 pods)`.
    #[must_use]
    pub fn describe(&self) -> String {
        let pods = if self.pods == 1 {
            "1 pod".to_owned()
        } else {
            format!("{} pods", self.pods)
        };
        format!(
            "NodeClaim {} of {} moves over ({}, {} vCPU, {pods})",
            self.claim, self.from, self.instance_type, self.vcpu
        )
    }
}
