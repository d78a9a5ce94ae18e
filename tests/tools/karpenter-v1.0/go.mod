// Pins the first line of Karpenter with the v1 API, for its CRDs only: nothing of it is built
// (tests/tools/setup.sh).
module brimful.dev/tests/karpenter-v1.0

go 1.26.0

require sigs.k8s.io/karpenter v1.0.8
