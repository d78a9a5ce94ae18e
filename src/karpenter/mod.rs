//! Karpenter and Kubernetes: what the API says, read into plain values, and the patches sent back.
