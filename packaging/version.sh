#!/usr/bin/env bash
# version.sh X.Y.Z: fails unless Cargo.toml, the chart and the manifests all say so. The release workflow asks first.
set -euo pipefail
cd "$(dirname "$0")/.."
wanted=${1:?which version?}
bad=0
check() {
  if [[ $2 != "$wanted" ]]; then
    echo "$1 says ${2:-nothing}, not $wanted" >&2
    bad=1
  fi
}
field() { sed -n "s/^$2: *\"\{0,1\}\([^\"]*\)\"\{0,1\}\$/\1/p" "$1"; }
check Cargo.toml "$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"$/\1/p' Cargo.toml)"
check "charts/brimful/Chart.yaml (version)" "$(field charts/brimful/Chart.yaml version)"
check "charts/brimful/Chart.yaml (appVersion)" "$(field charts/brimful/Chart.yaml appVersion)"
check manifests/base/cronjob.yaml "$(sed -n 's/^ *image: brimful:\(.*\)$/\1/p' manifests/base/cronjob.yaml)"
exit "$bad"
