# What the demonstrations have in common; to be sourced, by bash, at their beginning.
#
# Reads the options that the demonstration was called with, prepares this machine, and
# leaves one in a temporary directory with `fakeproc` in PATH. Of that directory nothing
# is left behind, and what is mounted below it is unmounted. Knows how a step is shown:
# say, run, refused, go. A pause lasts $pause seconds, on a terminal.
# shellcheck shell=bash
set -euo pipefail

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
program=${0##*/}
pause=${pause:-3}
readonly root program

# --- how it is called -----------------------------------------------------------

setup=yes pauses=
[[ ! -t 0 || ! -t 1 ]] || pauses=yes
for argument; do
    case $argument in
    --no-setup) setup= ;;
    --fast) pauses= ;;
    *)
        echo "usage: scripts/$program ${usage:-}[--fast] [--no-setup]" >&2
        exit 2
        ;;
    esac
done

# shellcheck disable=SC2034 # not every demonstration marks a difference
sentence='' prompt='' error='' differs='' plain=''
if [[ -t 1 && ! ${NO_COLOR:-} && ${TERM:-dumb} != dumb ]]; then
    # shellcheck disable=SC2034
    sentence=$'\e[36m' prompt=$'\e[1m' error=$'\e[31m' differs=$'\e[33m' plain=$'\e[0m'
fi

fail() {
    printf '%s: %s\n' "$program" "$*" >&2
    exit 1
}

if [[ $setup ]]; then
    "$root/scripts/setup" --for demo || exit 1
    PATH=$root/.venv/bin:$PATH
    echo
fi
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
command -v fakeproc >/dev/null || fail "there is no fakeproc in PATH; call it without --no-setup"

# --- what is left behind: nothing -------------------------------------------------

directory=

clean_up() {
    local status=$? mounted
    trap '' INT TERM HUP PIPE
    printf %s "$plain"
    [[ $directory ]] || exit "$status"
    cd /
    while IFS=$'\t' read -r mounted _; do
        [[ $mounted != "$directory"/* ]] ||
            setsid --wait fakeproc umount "$mounted" </dev/null &>/dev/null || status=1
    done < <(setsid --wait fakeproc list </dev/null 2>/dev/null)
    rm -rf --one-file-system -- "$directory" || status=1
    exit "$status"
}
trap clean_up EXIT
for signal in INT TERM HUP; do
    # shellcheck disable=SC2064 # the number is meant to be that of now
    trap "exit $((128 + $(kill -l "$signal")))" "$signal"
done

directory=$(realpath -- "$(mktemp -d -t "fakeproc-$program.XXXXXX")")
mkdir -m 700 -- "$directory/run"
cd -- "$directory" || exit

# The same words on every machine; a registry of mounts of its own.
export LC_ALL=C XDG_RUNTIME_DIR=$directory/run
unset BASH_ENV GREP_COLOR GREP_COLORS POSIXLY_CORRECT

# --- how a step is shown -----------------------------------------------------------

said=

# Says, in a few sentences, what to look at next.
say() {
    if [[ $said ]]; then
        [[ ! $pauses ]] || read -rsn 1 -t "$pause" || true
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
