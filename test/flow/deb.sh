#!/bin/sh
# The Debian packages of a build: what is in them, and that a program and nginx can use it. TAP on standard output.
#
# DEPUTY_BUILD: the build folder.
set -u
cd "$(dirname "$0")/../.." || exit 1
build=${DEPUTY_BUILD:?}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
. test/lib/tap.sh
skipped() { # name, why
    number=$((number + 1))
    echo "ok $number - $1 # SKIP $2"
}
file() { # package
    echo "$work/$1"_*.deb
}
field() { # package, field
    # shellcheck disable=SC2046
    dpkg-deb -f $(file "$1") "$2"
}

echo 1..7
if ! command -v dpkg-shlibdeps >/dev/null || ! command -v scdoc >/dev/null; then
    for one in 1 2 3 4 5 6 7; do skipped "packages, $one" 'dpkg-dev or scdoc is not installed'; done
    exit 0
fi

tools/deb "$build" "$work" >"$work/list" 2>"$work/out"
code=$?
for name in deputy libdeputy0 libdeputy-dev; do
    [ "$(field $name Package)" = $name ] || code=1
done
result $code 'packages are made'

mkdir "$work/tree"
code=0
while read -r package; do
    dpkg-deb -c "$package" | awk '$1 !~ /^d/ { print $6 }' >>"$work/paths"
    dpkg-deb -x "$package" "$work/tree" || code=1
done <"$work/list"
sort "$work/paths" | uniq -d >"$work/out"
[ -s "$work/out" ] && code=1
result $code 'no file is in two of them'

code=0
for path in bin/deputyd bin/deputy share/man/man8/deputyd.8.gz share/man/man3/libdeputy.3.gz share/doc/libdeputy0/copyright include/deputy/deputy.h; do
    [ -f "$work/tree/usr/$path" ] || { echo "no $path" >>"$work/out"; code=1; }
done
find "$work/tree" -perm /022 ! -type l | grep . >>"$work/out" && code=1
"$work/tree/usr/bin/deputy" --help >>"$work/out" 2>&1 || code=1
result $code 'everything is in its place, nobody else may write it, and it runs'

version=$(field deputy Version)
field libdeputy-dev Depends >"$work/out"
grep -qx "libdeputy0 (= $version)" "$work/out" && field libdeputy0 Depends | grep -q 'libc6 (>= ' && field deputy Depends | grep -q 'libmicrohttpd'
result $? 'they name what they need'

# As a program of somebody else is built.
triplet=$(dpkg-architecture -qDEB_HOST_MULTIARCH)
lib=$work/tree/usr/lib/$triplet
case ${DEPUTY_SANITIZER:-} in
san) sanitize='-fsanitize=address,undefined' ;;
tsan) sanitize='-fsanitize=thread' ;;
*) sanitize= ;;
esac
examples=$work/tree/usr/share/doc/libdeputy-dev/examples
flags=$(PKG_CONFIG_LIBDIR=$lib/pkgconfig PKG_CONFIG_SYSROOT_DIR=$work/tree pkg-config --cflags --libs libdeputy 2>"$work/out")
# shellcheck disable=SC2086
cc $sanitize -D_GNU_SOURCE -o "$work/server" "$examples/tls-server.c" "$examples/http.c" $flags -lssl -lcrypto >>"$work/out" 2>&1 &&
    LD_LIBRARY_PATH=$lib ldd "$work/server" | tee -a "$work/out" | grep -q "libdeputy.so.0 => $lib/libdeputy.so.0"
result $? 'a program is built with libdeputy-dev and finds libdeputy0'
LD_LIBRARY_PATH=$lib "$work/server" >"$work/out" 2>&1
[ $? = 2 ] && grep -q '^tls-server PORT' "$work/out"
result $? 'it starts'

name='nginx loads the module of the package'
module=$work/tree/usr/lib/nginx/modules/ngx_http_deputy_module.so
nginx=$(command -v nginx || echo /usr/sbin/nginx)
if [ ! -f "$module" ] || [ ! -x "$nginx" ]; then
    skipped "$name" 'nginx or nginx-dev is not installed'
elif [ "${DEPUTY_SANITIZER:-}" = tsan ]; then
    skipped "$name" 'nginx is not built with TSan'
else
    sed "s|modules/|$work/tree/usr/lib/nginx/modules/|" "$work/tree/usr/share/nginx/modules-available/mod-http-deputy.conf" >"$work/nginx.conf"
    printf 'pid %s/pid; error_log stderr; events { } http { access_log off; deputy_zone z:8m; }\n' "$work" >>"$work/nginx.conf"
    preload=$(ldd "$module" | awk '/lib[at]san\.so/ { print $3 }')
    LD_PRELOAD=$preload ASAN_OPTIONS=detect_leaks=0 "$nginx" -t -c "$work/nginx.conf" -p "$work" >"$work/out" 2>&1 &&
        field libnginx-mod-http-deputy Depends | grep -q '^nginx-abi-'
    result $? "$name"
fi
exit $failed
