#!/bin/sh
# What of libdeputy others see: the names of the shared object, and what an installation holds. TAP on standard output.
#
# DEPUTY_BUILD: the build folder.
set -u
root=$(cd "$(dirname "$0")/../.." && pwd)
build=${DEPUTY_BUILD:?}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
. "$root/test/lib/tap.sh"

echo 1..8

# Every name that leaves is declared in a public header, every function that is declared leaves, each with the version.
nm -D --defined-only --with-symbol-versions "$build/libdeputy.so" | awk '$2 == "T" { print $3 }' | sort >"$work/names"
sed 's/@@.*//' "$work/names" >"$work/bare"
cat "$root"/include/deputy/*.h | tr '\n' ' ' | grep -oE 'DEPUTY_API [^;]*;' | grep -oE 'deputy_[a-z_]+\(' | tr -d '(' | sort -u >"$work/declared"
diff "$work/declared" "$work/bare" >"$work/out" 2>&1 && [ -s "$work/bare" ]
result $? 'the shared object shows what the headers declare, and nothing else'
grep -v '@@DEPUTY_0\.1$' "$work/names" >"$work/out"
[ ! -s "$work/out" ]
result $? 'every name has a version'
nm -D --defined-only "$build/libdeputy.so" | awk '$2 != "T" && $2 != "A" && $3 !~ /^__|^_/ { print }' >"$work/out"
[ ! -s "$work/out" ]
result $? 'no data leaves'

DESTDIR=$work/tree meson install -C "$build" --no-rebuild --quiet >"$work/out" 2>&1
found=0
for file in include/deputy/guard.h include/deputy/idempotency.h include/deputy/result.h include/deputy/deputy.h; do
    [ -f "$work/tree/usr/local/$file" ] || found=1
done
for name in libdeputy.so.0 pkgconfig/libdeputy.pc; do
    find "$work/tree/usr/local" -path "*lib/*$name" | grep -q . || found=1
done
find "$work/tree" -name 'libdeputy*.a' | grep -q . && found=1
find "$work/tree" >>"$work/out"
result $found 'an installation has headers, shared object and pkg-config file, and no archive'

# The pkg-config file leads to a program that links, in C and in C++.
pc=$(dirname "$(find "$work/tree" -name libdeputy.pc)")
PKG_CONFIG_PATH=$pc pkg-config --define-variable=prefix="$work/tree/usr/local" --cflags --libs libdeputy >"$work/flags" 2>"$work/out"
case ${DEPUTY_SANITIZER:-} in
san) sanitize='-fsanitize=address,undefined' ;;
tsan) sanitize='-fsanitize=thread' ;;
*) sanitize= ;;
esac
cat >"$work/one.c" <<'END'
#include <deputy/deputy.h>
#include <stdio.h>
int main(void)
{
    struct deputy_config *config = deputy_config_new();
    struct deputy_guard *guard = NULL;
    enum deputy_result result = deputy_guard_new(config, &guard);

    printf("%s: %d, %s\n", deputy_version(), (int)result, deputy_config_fault(config));
    deputy_config_free(config);
    return 0;
}
END
cp "$work/one.c" "$work/one.cc"
for language in c cc; do
    case $language in c) compiler='gcc -std=c11' ;; cc) compiler='g++ -std=c++11' ;; esac
    # shellcheck disable=SC2046,SC2086
    $compiler $sanitize -Wall -Wextra -Werror -o "$work/one_$language" "$work/one.$language" $(cat "$work/flags") >"$work/out" 2>&1 &&
        LD_LIBRARY_PATH=$(dirname "$pc") "$work/one_$language" >"$work/out" 2>&1 && grep -q '^[0-9.]*: 2, resource: ' "$work/out"
    result $? "a program of somebody else's in $language is compiled, linked and run"
done

# O10: who drops an answer that decides is told so by the compiler; the programs above are the twin that compiles.
cat "$root"/include/deputy/*.h | tr '\n' ' ' | grep -oE 'DEPUTY_API DEPUTY_MUST [^;]*;' | grep -oE 'deputy_[a-z_]+\(' | tr -d '(' >"$work/must"
dropped=0
for name in deputy_guard_new deputy_guard_check deputy_config_set deputy_config_set_secret deputy_config_add_rule deputy_guard_start \
    deputy_ledger_open deputy_write_begin; do
    grep -qx "$name" "$work/must" || { echo "$name may be dropped" && dropped=1; }
done >"$work/out"
cat >"$work/drop.c" <<'END'
#include <deputy/deputy.h>
void drop(struct deputy_guard *guard, const struct deputy_request *request, struct deputy_verdict **verdict);
void drop(struct deputy_guard *guard, const struct deputy_request *request, struct deputy_verdict **verdict)
{
    deputy_guard_check(guard, request, verdict);
}
END
# shellcheck disable=SC2046
gcc -std=c11 -Werror -c -o "$work/drop.o" "$work/drop.c" $(cat "$work/flags") >>"$work/out" 2>&1 && dropped=1
grep -q 'unused-result' "$work/out" || dropped=1
result $dropped 'O10 an answer that decides cannot be dropped without a warning'

# The manual page names every setting, and every function is named in it or in the headers that it points to.
grep -oE 'DEP_SETTING\([A-Z_]+, "[a-z-]+"' "$root/src/lib/setting.def" | sed 's/.*"\(.*\)"/\1/' | while read -r name; do
    grep -q "\*$name\*" "$root/man/libdeputy.3.scd" || echo "$name is not in the manual page"
done >"$work/out"
[ ! -s "$work/out" ] && [ "$(grep -c '^DEP_SETTING(' "$root/src/lib/setting.def")" -gt 10 ]
result $? 'the manual page has every setting'
exit $failed
