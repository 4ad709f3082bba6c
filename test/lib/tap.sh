# TAP for shell suites, which write what a test said to $work/out. Sets $number and $failed.
number=0
failed=0

result() { # 0 or 1, name
    number=$((number + 1))
    if [ "$1" = 0 ]; then
        echo "ok $number - $2"
    else
        sed 's/^/# /' "$work/out" | head -n 20
        echo "not ok $number - $2"
        failed=1
    fi
}
