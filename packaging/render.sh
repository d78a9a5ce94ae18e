#!/usr/bin/env bash
# render.sh VERSION CHECKSUMS HOMEPAGE OUT: writes the krew manifest (OUT/krew.yaml) and the Homebrew formula
# (OUT/brimful.rb) of a release, from the templates beside this file and what `sha256sum` said of its archives.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
version=${1:?} checksums=${2:?} homepage=${3:?} out=${4:?}
script="s#@VERSION@#$version#g; s#@HOMEPAGE@#$homepage#g"
for platform in linux_amd64 linux_arm64 darwin_amd64 darwin_arm64; do
  archive=brimful_${version}_$platform.tar.gz
  sum=$(awk -v name="$archive" '$2 == name || $2 == "*" name { print $1 }' "$checksums")
  if [[ ! $sum =~ ^[0-9a-f]{64}$ ]]; then
    echo "$checksums has no checksum of $archive" >&2
    exit 1
  fi
  script+="; s#@SHA256_$platform@#$sum#g"
done
sed "$script" "$here/krew.yaml.in" >"$out/krew.yaml"
sed "$script" "$here/brimful.rb.in" >"$out/brimful.rb"
