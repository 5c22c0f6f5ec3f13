# shellcheck shell=bash
# What the demonstrations have in common; they source it with their arguments and say
# before that what they are called (demo=...) and how long a pause is (pause=SECONDS).
#
# It reads the options, prepares this machine, goes into a temporary directory of which
# nothing is left behind, and knows how a step is shown: say, run, refused, go.
set -euo pipefail

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
readonly root

# --- how it is called -----------------------------------------------------------

setup=yes pauses=
[[ ! -t 0 || ! -t 1 ]] || pauses=yes
for argument; do
    case $argument in
    --no-setup) setup= ;;
    --fast) pauses= ;;
    *)
        echo "usage: scripts/${demo:?} [--fast] [--no-setup]" >&2
        exit 2
        ;;
    esac
done

sentence='' prompt='' error='' plain=''
if [[ -t 1 && ! ${NO_COLOR:-} && ${TERM:-dumb} != dumb ]]; then
    sentence=$'\e[36m' prompt=$'\e[1m' error=$'\e[31m' plain=$'\e[0m'
fi

fail() {
    printf '%s: %s\n' "$demo" "$*" >&2
    exit 1
}

if [[ $setup ]]; then
    "$root/scripts/setup" --for demo || exit 1
    PATH=$root/.venv/bin:$PATH
    echo
fi
command -v fakeproc >/dev/null || fail "there is no fakeproc in PATH; call it without --no-setup"

# --- what is left behind: nothing -------------------------------------------------

directory=

clean_up() {
    local status=$?
    trap '' INT TERM HUP PIPE
    printf %s "$plain"
    [[ $directory ]] || exit "$status"
    cd /
    if [[ -d $directory/guest ]]; then
        # Where it is unmounted already, this only says so.
        setsid --wait fakeproc umount "$directory/guest" </dev/null &>/dev/null || true
        rmdir -- "$directory/guest" || status=1
    fi
    rm -rf --one-file-system -- "$directory/run"
    rmdir -- "$directory" || status=1
    exit "$status"
}
trap clean_up EXIT
for signal in INT TERM HUP; do
    # shellcheck disable=SC2064 # the number is meant to be that of now
    trap "exit $((128 + $(kill -l "$signal")))" "$signal"
done

directory=$(mktemp -d -t "fakeproc-$demo.XXXXXX")
mkdir -- "$directory/run"
cd -- "$directory"

# The same words on every machine; a registry of mounts of its own.
export LC_ALL=C XDG_RUNTIME_DIR=$directory/run
unset BASH_ENV GREP_COLOR GREP_COLORS POSIXLY_CORRECT

# --- how a step is shown -----------------------------------------------------------

said=

# Says, in a few sentences, what to look at next.
say() {
    if [[ $said ]]; then
        [[ ! $pauses ]] || read -rsn 1 -t "${pause:?}" || true
        echo
    fi
    said=yes
    printf "$sentence# %s$plain\n" "$@"
}

typed() { printf '%s$ %s%s\n' "$prompt" "$1" "$plain"; }

# A shell has a session of its own, so that Ctrl-C does not end it halfway.
shell() { setsid --wait bash -c "$1" </dev/null 2>&1; }

run() {
    typed "$1"
    shell "$1" || fail "that was meant to work"
}

refused() {
    typed "$1"
    printf %s "$error"
    ! shell "$1" || fail "that was meant to be refused"
    printf %s "$plain"
}

go() {
    typed "cd $1"
    cd -- "$1"
}
