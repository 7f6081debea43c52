#!/bin/sh
# Grade a class in a container: instructor/container/grade.sh SUBMISSIONS [arguments of grade]
#
# ENGINE  docker or podman; the first one that is there
# COURSE  the course folder; assignments
# MEMORY  of the container; 9g, two submissions of 4 GiB each
# HOURS   after which it is ended; 6
# BUILD   arguments of the build, "--build-arg BASE=..." say
# DRY     1: print the command and run nothing
set -eu
here=$(cd "$(dirname "$0")/../.." && pwd)
fail() { echo "grade-container: $1" >&2; exit 2; }
[ $# -ge 1 ] || fail "name the folder or the zip of the submissions"
[ -e "$1" ] || fail "there is no $1; needed is the folder or the zip of the submissions"
handed_in=$(realpath "$1")
shift
course=${COURSE:-$here/assignments}
[ -f "$course/nbgrader_config.py" ] ||
    fail "$course is no course folder; make assignment writes one"
course=$(cd "$course" && pwd)
engine=${ENGINE:-$(command -v docker || command -v podman || true)}
[ -n "$engine" ] ||
    fail "neither docker nor podman is installed; make grade works without, read 'What cannot be prevented' in instructor/grading.md first"

# The files that are written belong to whoever runs this.
who="--user $(id -u):$(id -g)"
case $engine in
*podman) [ "$(id -u)" = 0 ] || who="--userns keep-id $who" ;;
esac
run="$engine run --rm --network none --read-only --cap-drop ALL
    --security-opt no-new-privileges --security-opt label=disable
    --memory ${MEMORY:-9g} --pids-limit 512 --tmpfs /tmp:rw,exec,size=1g $who"
run="timeout -k 60 ${HOURS:-6}h $run"
name=$(basename "$handed_in")
set -- -v "$handed_in:/handed_in/$name:ro" -v "$course:/course/assignments" \
    vae-course-grade "/handed_in/$name" "$@"
if [ "${DRY:-}" = 1 ]; then
    # shellcheck disable=SC2086
    printf '%s ' $run; printf '"%s" ' "$@"; echo
    exit
fi
# shellcheck disable=SC2086
"$engine" build -q ${BUILD:-} -t vae-course-grade \
    -f "$here/instructor/container/Containerfile" "$here"
# shellcheck disable=SC2086
exec $run "$@"
