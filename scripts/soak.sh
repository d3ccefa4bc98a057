#!/usr/bin/env bash
# The long runs: the crash tests of `make test`, larger, one after the other, with a summary at the end. Fails when any of them does.
# Sizes, each a variable:
#   ATELIER_SOAK_KILLS  kill -9 of server and PostgreSQL by turns, under load   (1000, some 15 minutes)
#   ATELIER_SOAK_RACES  races of 2-64 clients for the last credits             (10000)
#   ATELIER_SOAK_PAIRS  a change, then a read at its position, on two nodes    (100000)
#   ATELIER_SOAK_CUTS   orders whose answer is cut off                         (10000)
#   ATELIER_SOAK_SIGN_INS  sign-ins with a known and with an unknown address, whose medians are compared  (500)
#   ATELIER_SOAK_APPENDS  appends of each of 64 writers on a few streams, backends ended meanwhile  (150)
#   ATELIER_CRASH_RUNS  lives of a paid generation that end at random steps     (1000)
#   ATELIER_SEED        repeats the random choices of a run; each test prints its own
set -uo pipefail
cd "$(dirname "$0")/.."
export ATELIER_SOAK_KILLS="${ATELIER_SOAK_KILLS:-1000}" ATELIER_SOAK_RACES="${ATELIER_SOAK_RACES:-10000}"
export ATELIER_SOAK_PAIRS="${ATELIER_SOAK_PAIRS:-100000}" ATELIER_SOAK_CUTS="${ATELIER_SOAK_CUTS:-10000}"
export ATELIER_SOAK_SIGN_INS="${ATELIER_SOAK_SIGN_INS:-500}"
export ATELIER_SOAK_APPENDS="${ATELIER_SOAK_APPENDS:-150}" ATELIER_CRASH_RUNS="${ATELIER_CRASH_RUNS:-1000}"
mkdir -p target/soak
log=target/soak/log program=target/soak/atelier-tests
: >"$log"
# A copy, so that what is built meanwhile does not change what is tested.
built=$(cargo test -p atelier-tests --test atelier --no-run 2>&1 | tee /dev/stderr | sed -n 's/^ *Executable .*(\(.*\))$/\1/p')
[ -n "$built" ] && cp "$built" "$program" || exit 1
failed=()
run() {
  "$program" --exact "$1" --nocapture 2>&1 | tee -a "$log" \
    | grep -E --line-buffered '^soak: |ATELIER_SEED=|panicked|test result'
  # A name that no longer exists would run nothing and pass.
  [ "${PIPESTATUS[0]}" -eq 0 ] && tail -n 5 "$log" | grep -q '1 passed'
}
for test in \
  log::faults::p1_p6_p8_64_writers_on_few_streams_with_kills_aborts_and_delays \
  processes::crash::random::l10_l22_a33_random_deaths_in_a_row_lose_and_double_nothing \
  crash::lossy_commits::g1_commits_that_are_not_flushed_are_lost_and_the_checker_says_so \
  crash::kills::g1_g3_g5_what_was_acknowledged_outlives_kill_after_kill \
  crash::cut_replies::g2_an_order_whose_answer_never_came_ends_in_exactly_one_effect \
  crash::races::g3_l06_l10_a_race_is_won_as_often_as_the_balance_pays_for \
  accounts::timing::s4_a_known_and_an_unknown_address_take_the_same_answer_and_the_same_time \
  crash::read_your_writes::g13_what_was_written_on_one_node_is_read_on_any_at_its_position
do
  echo "== $test"
  from=$SECONDS
  if run "$test"; then
    verdict=ok
  else
    verdict=FAILED
    failed+=("$test")
  fi
  echo "soak: $verdict in $((SECONDS - from)) s: ${test##*::}" >>"$log"
done
echo
echo "== the soak, $SECONDS s; everything it said is in $log"
sed -n 's/^soak: //p' "$log" | grep -v '^  '
if [ ${#failed[@]} -gt 0 ]; then
  echo "FAILED: ${failed[*]}"
  exit 1
fi
echo "nothing acknowledged was lost, nothing was done twice, no balance was below zero, no read was stale"
