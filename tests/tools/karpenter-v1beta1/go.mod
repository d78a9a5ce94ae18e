// Pins the last Karpenter line before the v1 API, for its v1beta1 CRDs only: nothing of it is built
// (tests/tools/setup.sh).
module brimful.dev/tests/karpenter-v1beta1

go 1.26.0

require sigs.k8s.io/karpenter v0.37.0
