# shellcheck shell=bash
# Sourced by the run-* scripts: how a suite reports. Its last line is
#   <name>: N ok, N not ok in N s
# and scripts/test adds these up. A suite without a single test is a failure.
suite_begin() {
    suite_name=$1 suite_ok=0 suite_bad=0 suite_start=$SECONDS
}

suite_end() {
    if [ "$suite_ok" -eq 0 ] && [ "$suite_bad" -eq 0 ]; then
        echo "$suite_name: no test ran" >&2
        suite_bad=1
    fi
    echo "$suite_name: $suite_ok ok, $suite_bad not ok in $((SECONDS - suite_start)) s"
    [ "$suite_bad" -eq 0 ]
}

# Packages of the tests that node runs; says nothing when all is there.
node_packages() {
    [ tests/e2e/node_modules/.package-lock.json -nt tests/e2e/package-lock.json ] ||
        (cd tests/e2e && npm ci --no-audit --no-fund --silent)
}
