#!/bin/sh
# A replicated GlusterFS volume on this machine, seen through two mounts. Linux, as root:
#
#   glusterfs.sh start DIR           a volume of two bricks, mounted at DIR/a and at DIR/b
#   glusterfs.sh stop DIR            end it, however far it came, and remove all that is in DIR
#   glusterfs.sh kill-brick DIR 1|2  SIGKILL the process of that brick
#   glusterfs.sh heal-brick DIR      start it again, wait until both bricks hold the same
#
# Packages (Debian's names): glusterfs-server glusterfs-client iproute2 util-linux.
# Its processes have a network of their own, with nothing in it but the loopback, and DIR in the
# place of /var/lib/glusterd, /var/log/glusterfs and /run: no port of this machine is opened, no
# file outside DIR is written, and another glusterd is neither needed nor disturbed.

set -u

ADDRESS=127.0.0.2 # the loopback; gluster refuses to make a brick of 127.0.0.1
STATUS_CANNOT=77

say() {
    echo "glusterfs.sh: $*" >&2
}

cannot() {
    say "$*"
    exit $STATUS_CANNOT
}

fail() {
    say "$*"
    exit 1
}

# Call "$@" every 0.1 s until it succeeds, for $1 seconds at most.
wait_for() {
    tries=$(($1 * 10))
    shift
    until "$@"; do
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || return 1
        sleep 0.1
    done
}

# The processes of ours that live: those called gluster* in our network (not a dead one's entry).
processes() {
    network=$(cat "$DIR/network" 2>/dev/null)
    [ -n "$network" ] || return 0
    for process in /proc/[0-9]*; do
        [ "$(readlink "$process/ns/net" 2>/dev/null)" = "$network" ] || continue
        case "$(cat "$process/comm" 2>/dev/null)" in
            gluster*) echo "${process#/proc/}" ;;
        esac
    done
}

is_gone() {
    ! readlink "/proc/$1/exe" >/dev/null 2>&1
}

none_left() {
    for process in $(processes); do
        kill -9 "$process" 2>/dev/null
    done
    [ -z "$(processes)" ]
}

# Run a command where glusterd runs.
inside() {
    nsenter -t "$(cat "$DIR/glusterd.pid")" --mount --net "$@"
}

volume() {
    inside gluster --mode=script volume "$@" >>"$DIR/log/commands" 2>&1
}

is_mounted() {
    mountpoint -q "$DIR/$1"
}

both_bricks_run() {
    [ "$(inside gluster volume status vol0 detail 2>/dev/null | grep -c '^Online *: Y')" = 2 ]
}

both_mounts_see_both() {
    for mount in a b; do
        for client in vol0-client-0 vol0-client-1; do
            grep -q '^connected = 1' "$DIR/$mount/.meta/graphs/active/$client/private" || return 1
        done
    done
}

is_healed() {
    inside gluster volume heal vol0 info >"$DIR/log/heal" 2>&1
    [ "$(grep -c '^Number of entries: 0$' "$DIR/log/heal")" = 2 ] && return
    volume heal vol0
    return 1
}

start() {
    [ "$(uname)" = Linux ] || cannot "GlusterFS needs Linux"
    [ "$(id -u)" = 0 ] || cannot "only root can mount"
    [ -r /dev/fuse ] || cannot "there is no /dev/fuse"
    for command in glusterd gluster glusterfs glusterfsd unshare nsenter ip mountpoint; do
        command -v "$command" >/dev/null ||
            cannot "there is no $command; apt-get install glusterfs-server glusterfs-client iproute2"
    done
    unshare --mount --net ip link set lo up ||
        cannot "this machine allows no network of one's own (unshare --net)"
    mkdir -p "$DIR" || cannot "cannot make $DIR"
    [ -z "$(ls -A "$DIR")" ] || fail "$DIR is not empty"

    : >"$DIR/network"
    mkdir -p "$DIR/lib" "$DIR/log" "$DIR/run/gluster" "$DIR/brick1" "$DIR/brick2" "$DIR/a" "$DIR/b"
    cp -a /var/lib/glusterd/groups /var/lib/glusterd/hooks "$DIR/lib" 2>/dev/null
    # shellcheck disable=SC2016
    unshare --mount --net sh -ec '
        ip link set lo up
        readlink /proc/self/ns/net >"$1/network"
        mkdir -p /var/lib/glusterd /var/log/glusterfs
        mount --bind "$1/lib" /var/lib/glusterd
        mount --bind "$1/log" /var/log/glusterfs
        mount --bind "$1/run" /run
        exec glusterd --pid-file "$1/glusterd.pid" -L WARNING
    ' sh "$DIR" || fail "glusterd does not start; see $DIR/log"
    wait_for 10 inside gluster volume list >/dev/null 2>&1 || fail "glusterd does not answer"
    volume create vol0 replica 2 "$ADDRESS:$DIR/brick1" "$ADDRESS:$DIR/brick2" force &&
        volume start vol0 || fail "no volume: $(tail -n 1 "$DIR/log/commands")"
    wait_for 20 both_bricks_run || fail "the bricks do not run; see $DIR/log"
    for mount in a b; do
        nsenter --net="/proc/$(cat "$DIR/glusterd.pid")/ns/net" \
            glusterfs --volfile-server="$ADDRESS" --volfile-id=vol0 -L WARNING \
            -l "$DIR/log/$mount.log" -p "$DIR/$mount.pid" "$DIR/$mount" &&
            wait_for 10 is_mounted "$mount" || fail "cannot mount; see $DIR/log/$mount.log"
    done
    wait_for 20 both_mounts_see_both || fail "a mount does not reach a brick; see $DIR/log"
}

stop() {
    [ -d "$DIR" ] && [ -n "$(ls -A "$DIR")" ] || return 0
    [ -f "$DIR/network" ] || fail "$DIR was not made by this; nothing is removed"
    for mount in a b; do
        if is_mounted "$mount" || ! stat "$DIR/$mount" >/dev/null 2>&1; then
            umount "$DIR/$mount" 2>/dev/null || umount -l "$DIR/$mount" 2>/dev/null
        fi
    done
    wait_for 10 none_left || fail "cannot end the processes $(processes | tr '\n' ' ')"
    ! is_mounted a && ! is_mounted b || fail "cannot unmount $DIR/a and $DIR/b"
    find "$DIR" -xdev -mindepth 1 -delete
}

kill_brick() {
    file=$(echo "$DIR/run/gluster/vols/vol0/"*"-brick$1.pid")
    pid=$(cat "$file") && kill -9 "$pid" && wait_for 5 is_gone "$pid" ||
        fail "brick $1 cannot be killed: does it run?"
    rm "$file" # or glusterd takes an entry that nobody has waited for yet for the brick alive
}

heal_brick() {
    volume start vol0 force || fail "no brick starts: $(tail -n 1 "$DIR/log/commands")"
    wait_for 20 both_bricks_run || fail "the bricks do not run; see $DIR/log"
    wait_for 20 both_mounts_see_both || fail "a mount does not reach a brick; see $DIR/log"
    volume heal vol0
    wait_for 60 is_healed || fail "the bricks do not become alike; see $DIR/log/heal"
}

usage() {
    fail "usage: glusterfs.sh start DIR | stop DIR | kill-brick DIR 1|2 | heal-brick DIR"
}

[ $# -ge 2 ] || usage
DIR=$(realpath -m "$2")
case "$1 $#" in
    "start 2") start ;;
    "stop 2") stop ;;
    "kill-brick 3") kill_brick "$3" ;;
    "heal-brick 2") heal_brick ;;
    *) usage ;;
esac
