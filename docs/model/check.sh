#!/usr/bin/env bash
# Checks join.pml with spin: bash docs/model/check.sh [spare]
# First the model as it is, where spin must find no error in any state, then each negative model, where it must find an attack,
# which is shown. With "spare": defences that another one stands behind, so that no attack may be found. Needs spin and a C compiler.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

readonly small='-DONE_INITIATOR -DONE_JOINER' initiators=-DONE_JOINER joiners=-DONE_INITIATOR
readonly negatives=(
  "-DNO_INITIATOR_CERT $small"
  "-DNO_JOINER_CERT $small"
  "-DNO_CERTS_IN_CI -DNO_CERTS_IN_KEYS $small"
  "-DNO_EQUAL_CERTS $small"
  "-DNO_IDENTITY $small"
  "-DNO_PROOF_FIRST -DBUDGET=1 $initiators"
  "-DNO_RESERVATION -DBUDGET=1 $initiators"
  "-DNO_JOINER_COUNT -DBUDGET=1 $joiners"
  "-DNO_FRESH_INITIATOR $initiators"
  "-DNO_FRESH_JOINER $joiners"
  "-DNO_SEQUENCE $small"
  "-DNO_BODY $small"
  "-DNO_FREEZE -DNO_SET_DIGEST $small"
  "-DNO_DIRECTION -DNO_REQUEST_MAC $small"
)
readonly spare=(NO_CERTS_IN_CI NO_CERTS_IN_KEYS NO_NONCES NO_DIRECTION NO_REQUEST_MAC NO_FREEZE NO_SET_DIGEST NO_DONE_DIGEST)

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp join.pml "$work"
cd "$work"

# explore OPTIMISATION SEARCH FLAGS: sets errors and states.
explore() {
  rm -f join.pml.trail
  # shellcheck disable=SC2086 # several flags
  spin $3 -a join.pml >spin.log || { cat spin.log && exit 1; }
  "${CC:-gcc}" "$1" "$2" -w -DSAFETY -DCOLLAPSE -DMEMLIM=3000 -o pan pan.c
  ./pan -E -n -m10000 >pan.log || { cat pan.log && exit 1; }
  ! grep -q 'out of memory\|max search depth too small\|not completed' pan.log || [[ -f join.pml.trail ]] || { cat pan.log && exit 1; }
  errors=$(sed -n 's/.*errors: \([0-9]*\).*/\1/p' pan.log)
  states=$(sed -n 's/ *\([0-9.e+]*\) states, stored.*/\1/p' pan.log)
  states=$(printf '%.0f' "$states")
  [[ -n $errors ]] && ((states > 0)) || { cat pan.log && exit 1; }
}

holds() {
  explore -O2 -DSAFETY "$1"
  ((errors == 0)) || { show "$1" && echo "FAIL: an attack on the model" && exit 1; }
  all=$((all + states))
  echo "holds in all $states states: ${1:-the model}"
}

show() { # the steps of the attack, and the claim that fails
  # shellcheck disable=SC2086 # several flags
  spin $1 -T -t join.pml | sed -n '/^[IJ][12] on /s/^/  /p; s/^spin: text of failed assertion: /  fails: /p' || true
}

all=0 attacks=0
if [[ ${1-} == spare ]]; then
  for flag in "${spare[@]}"; do
    holds "-D$flag $initiators"
    holds "-D$flag $joiners"
  done
  exit
fi
holds ''
holds "-DBUDGET=1"
explore -O0 -DBFS "-DHONEST $small"
((errors == 1)) || { echo 'FAIL: no honest join succeeds' && exit 1; }
echo 'an honest join succeeds:' && show "-DHONEST $small" | grep -v fails:
for flags in "${negatives[@]}"; do
  explore -O0 -DBFS "$flags"
  ((errors == 1)) || { echo "FAIL: no attack with $flags" && exit 1; }
  attacks=$((attacks + 1))
  echo "attack: $flags" && show "$flags"
done
echo "spin: $all states without an attack, $attacks negative models attacked"
