#!/usr/bin/env bash
# Unpacks the C library, its headers and libgomp of an older Debian, so that what is linked against them runs on older
# systems too: gcc --sysroot=DIR. Nothing is installed, and apt keeps no memory of it.
set -euo pipefail

usage() {
    cat <<'END'
usage: tools/sysroot.sh DIR [ARCHITECTURE [SUITE [PACKAGE ...]]]

DIR           a new folder
ARCHITECTURE  as dpkg names it: amd64, arm64 (default: this machine's)
SUITE         a Debian release; bullseye, the default, has glibc 2.31, and its libgomp needs no symbol beyond GLIBC_2.17
PACKAGE       what else to unpack, without what it depends on

The packages come from where this machine's apt has Debian's, with the suite replaced.
END
}
case "${1-}" in
-h | --help) usage && exit ;;
"" | -*) usage >&2 && exit 2 ;;
esac
for tool in apt-get dpkg dpkg-deb; do
    command -v "$tool" >/dev/null || { echo "sysroot.sh: $tool is needed: this works on Debian and its kin" >&2; exit 1; }
done

folder=$1 arch=${2:-$(dpkg --print-architecture)} suite=${3:-bullseye}
packages=(libc6 libc6-dev linux-libc-dev libgomp1 "${@:4}")
[ ! -e "$folder" ] || { echo "sysroot.sh: $folder is there already" >&2; exit 1; }
# shellcheck disable=SC2016 # $(…) and ${…} in quotes are apt's and dpkg's
here=$(apt-get indextargets --format '$(ORIGIN)|$(LABEL)|$(COMPONENT)|$(REPO_URI)' 'Identifier: Packages' |
    awk -F '|' '(($1 == "Debian" && $2 == "Debian") || $4 ~ "/debian/$") && $3 == "main" && !seen++ { print $4 }')
[ -n "$here" ] || { echo "sysroot.sh: apt knows no source of Debian's packages" >&2; exit 1; }

state=$(mktemp -d)
trap 'rm -rf "$state"' EXIT
mkdir -p "$state"/{lists,cache}/partial "$state/debs"
keys=
for ring in /usr/share/keyrings/debian-archive-keyring.{gpg,pgp}; do
    [ ! -e "$ring" ] || keys=" signed-by=$ring"
done
echo "deb [arch=$arch$keys] $here $suite main" >"$state/sources.list"
apt() {
    apt-get -q -o APT::Architectures::="$arch" -o APT::Sandbox::User=root -o Acquire::Languages=none \
        -o Dir::Etc::SourceList="$state/sources.list" -o Dir::Etc::SourceParts=/dev/null -o Dir::State="$state" \
        -o Dir::State::Lists="$state/lists" -o Dir::State::Status=/dev/null -o Dir::Cache="$state/cache" "$@" \
        >"$state/log" 2>&1 || { cat "$state/log" >&2; exit 1; }
}
apt update
(cd "$state/debs" && apt download "${packages[@]/%/:$arch}")

mkdir -p "$folder"
for package in "$state"/debs/*.deb; do
    dpkg-deb -x "$package" "$folder"
done
# A link to /lib/… means the one in here.
find "$folder" -type l -lname '/*' | while read -r link; do
    ln -sfnr "$folder$(readlink "$link")" "$link"
done
# shellcheck disable=SC2016
echo "$folder: Debian $suite, $arch, $(dpkg-deb -W --showformat='${Package} ${Version}' "$state"/debs/libc6_*.deb)"
