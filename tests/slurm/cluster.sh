#!/bin/bash
# A private Slurm cluster on this machine: munged, slurmctld, and a slurmd for each node. Linux.
#
#   cluster.sh up DIR [OPTION...]    start it; one that is well is left as it is
#       --nodes "n1:8:2 n2:4:0 ..."  name:CPUs:GPUs of each node (default: n1:8:2 n2:8:2 n3:8:2)
#       --node-timeout S             a silent node is down after 2 to 3 times as long (default: 10)
#       --grace S                    GraceTime of the partitions low and low_cancel (default: 20)
#       --max-array N                MaxArraySize (default: 1001)
#       --hide PATH:NODE             that node has an empty folder of its own at PATH; repeatable
#       --parent PID                 end the cluster once this process is gone
#   cluster.sh down DIR              end it with all its jobs; the logs stay
#   cluster.sh crash DIR NODE        power failure: kill slurmd and all job processes of the node
#   cluster.sh daemon DIR NODE       kill slurmd only; the jobs run on
#   cluster.sh hang DIR NODE         stop slurmd: nobody hears of the node, its jobs run on
#   cluster.sh start DIR NODE        start slurmd again, or continue a stopped one
#
# After "up", DIR/env.sh sets SLURM_CONF. Status 77: this machine cannot do it (stderr says why).
# Packages (Debian's names): slurmctld slurmd slurm-client munge; none of their services is used.
# Everything is below DIR (at most 70 characters: sockets), nothing under /etc or /var is touched,
# and several clusters run side by side. Root is needed only for host names and for --hide.
#
# Partitions: debug (the default), high (preempts the low ones), low (preempted: requeued), low0
# (the same without grace), low_cancel (preempted: cancelled), short (2 minutes at most), and cpu
# (the nodes without GPUs, if there are any). No accounting: sacct says that it is disabled.

set -u

STATUS_CANNOT=77

cannot() {
    echo "cluster.sh: $*" >&2
    exit $STATUS_CANNOT
}

fail() {
    echo "cluster.sh: $*" >&2
    exit 1
}

# Call "$@" every 0.05 s until it succeeds, for $1 seconds at most.
wait_for() {
    local tries=$(($1 * 20))
    shift
    until "$@" >/dev/null 2>&1; do
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || return 1
        sleep 0.05
    done
}

# The living processes of a node, or of the whole cluster: daemons by their working directory (that
# of their log), jobs by the environment which Slurm gives them, and all descendants.
processes() {
    local process
    {
        for process in $(grep -ls '^slurm' /proc/[0-9]*/comm); do
            [[ "$(readlink "${process%/comm}/cwd")/" != "$DIR/log/${1:+$1/}"* ]] || echo "$process"
        done
        grep -lszxF "SLURM_CONF=$SLURM_CONF" /proc/[0-9]*/environ |
            xargs -r grep -lszx "SLURMD_NODENAME=${1:-.*}"
        [ -n "${1:-}" ] ||
            grep -lszxF -e "--pid-file=$DIR/run/munged.pid" -e "--watch=$DIR" /proc/[0-9]*/cmdline
    } | cut -d/ -f3 | awk '
        NR == FNR { found[$1]; next }
        $3 !~ /^Z/ { parent[$1] = $2 }
        END {
            for (pid in parent)
                for (p = pid; p in parent; p = parent[p])
                    if (p in found) { print pid; break }
        }' - <(ps -eo pid=,ppid=,stat=) | grep -vx $$
}

# STOP comes first, or one that still lives tells the controller how another died.
none_left() {
    local pids
    pids=$(processes "$@")
    [ -n "$pids" ] || return 0
    kill -STOP $pids 2>/dev/null
    kill -KILL $pids 2>/dev/null
    return 1
}

# Print the process of a node's slurmd, if it runs.
slurmd_of() {
    local pid
    pid=$(cat "$DIR/run/slurmd.$1.pid" 2>/dev/null)
    [ -n "$pid" ] && [ "$(readlink "/proc/$pid/cwd")" = "$DIR/log/$1" ] && echo "$pid"
}

start_slurmd() {
    local paths
    mkdir -p "$DIR/spool/$1" "$DIR/log/$1"
    mapfile -t paths < <(sed -n "s/^$1 //p" "$DIR/hide")
    # shellcheck disable=SC2016
    if unshare --uts ${paths[0]+--mount} hostname "$1" 2>/dev/null; then
        unshare --uts ${paths[0]+--mount} bash -ec '
            hostname "$1"
            for path in "${@:2}"; do mount -t tmpfs tmpfs "$path"; done
            exec slurmd -N "$1"
        ' bash "$1" "${paths[@]}"
    elif [ ${#paths[@]} = 0 ]; then
        slurmd -N "$1"
    else
        cannot "this machine allows no mounts of one's own (unshare --mount), so --hide cannot be"
    fi
}

# Print the first of $1 free ports in a row, below those that the kernel hands out.
free_ports() {
    local first port
    while :; do
        first=$((20000 + RANDOM % 12000))
        for ((port = first; port < first + $1; port++)); do
            (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null && continue 2
        done
        echo $first && return
    done
}

configure() {
    local port user node name cpus gpus gpu without=
    port=$(free_ports $(($(wc -w <<<"$NODES") + 1)))
    user=$(id -un)
    : >"$DIR/etc/gres.conf"
    # slurmd loads this though nothing uses it; version 1, named outright, looks at no mount
    echo "CgroupPlugin=cgroup/v1" >"$DIR/etc/cgroup.conf"
    exec 3>"$SLURM_CONF"
    # Job ids must not be those of the last cluster: names of files are made of them.
    # cred_expire: a requeued job waits for it, 2 minutes if left alone.
    # batch_sched_delay and what follows: for tests, the defaults are slow.
    # preempt_send_user_signal: preemption sends a job's own --signal, too.
    # ReturnToService: a crashed node is back with its slurmd; one set down by hand stays down.
    # MinJobAge: jobs that have ended stay visible.
    # config_overrides: nodes may have more CPUs and memory than this machine.
    cat >&3 <<END
ClusterName=test
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort=$port
SlurmUser=$user
SlurmdUser=$user
AuthInfo=socket=$DIR/run/munge.sock,cred_expire=5
FirstJobId=$((1000 + RANDOM * 20))
MaxArraySize=$MAX_ARRAY
StateSaveLocation=$DIR/state
SlurmdSpoolDir=$DIR/spool/%n
SlurmctldPidFile=$DIR/run/slurmctld.pid
SlurmdPidFile=$DIR/run/slurmd.%n.pid
SlurmctldLogFile=$DIR/log/slurmctld.log
SlurmdLogFile=$DIR/log/%n/slurmd.log
ProctrackType=proctrack/linuxproc
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
DefMemPerCPU=100
SchedulerParameters=batch_sched_delay=0,sched_interval=1,bf_interval=1,bf_window=60
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SlurmctldParameters=preempt_send_user_signal
SlurmctldTimeout=30
SlurmdTimeout=$NODE_TIMEOUT
MessageTimeout=$((NODE_TIMEOUT > 10 ? 10 : NODE_TIMEOUT < 3 ? 2 : NODE_TIMEOUT - 1))
TCPTimeout=2
KillWait=2
ReturnToService=1
MinJobAge=86400
SlurmdParameters=config_overrides
GresTypes=gpu
END
    for node in $NODES; do
        IFS=: read -r name cpus gpus <<<"$node"
        port=$((port + 1)) gpus=${gpus:-0}
        echo "NodeName=$name NodeHostname=localhost NodeAddr=127.0.0.1 Port=$port CPUs=$cpus" \
            "RealMemory=$((cpus * 500)) $([ "$gpus" = 0 ] || echo "Gres=gpu:$gpus")" >&3
        [ "$gpus" != 0 ] || without+=,$name
        for ((gpu = 0; gpu < gpus; gpu++)); do
            ln -sf /dev/null "$DIR/dev/gpu$gpu" # it must be a device; nobody opens it
            echo "NodeName=$name Name=gpu File=$DIR/dev/gpu$gpu" >>"$DIR/etc/gres.conf"
        done
    done
    cat >&3 <<END
PartitionName=DEFAULT Nodes=ALL State=UP MaxTime=INFINITE DefaultTime=10 PreemptMode=OFF
PartitionName=debug Default=YES PriorityTier=10
PartitionName=high PriorityTier=20
PartitionName=low PriorityTier=1 PreemptMode=REQUEUE GraceTime=$GRACE
PartitionName=low0 PriorityTier=1 PreemptMode=REQUEUE GraceTime=0
PartitionName=low_cancel PriorityTier=1 PreemptMode=CANCEL GraceTime=$GRACE
PartitionName=short PriorityTier=10 MaxTime=2 DefaultTime=2
${without:+PartitionName=cpu PriorityTier=10 Nodes=${without#,}}
END
    exec 3>&-
}

all_nodes_are_well() {
    [ "$(timeout 10 sinfo -h -N -p debug -o %T | grep -cxE 'idle|mixed|allocated|completing')" = \
        "$(wc -w <<<"$NODES")" ]
}

up() {
    NODES="n1:8:2 n2:8:2 n3:8:2" NODE_TIMEOUT=10 GRACE=20 MAX_ARRAY=1001 PARENT=
    local hide=() command node path
    while [ $# -ge 2 ]; do
        case "$1" in
            --nodes) NODES=$2 ;;
            --node-timeout) NODE_TIMEOUT=$2 ;;
            --grace) GRACE=$2 ;;
            --max-array) MAX_ARRAY=$2 ;;
            --hide) hide+=("$2") ;;
            --parent) PARENT=$2 ;;
            *) fail "unknown option $1" ;;
        esac
        shift 2
    done
    [ $# = 0 ] || fail "$1 what?"
    [ ${#DIR} -le 70 ] || fail "$DIR is too long for the name of a socket: ${#DIR} > 70 characters"
    for command in munged munge slurmctld slurmd scontrol sinfo sbatch; do
        command -v "$command" >/dev/null ||
            cannot "there is no $command; apt-get install slurmctld slurmd slurm-client munge"
    done
    [ ! -f "$DIR/env.sh" ] || ! all_nodes_are_well || return 0
    [ -f "$DIR/hide" ] || [ -z "$(ls -A "$DIR" 2>/dev/null)" ] ||
        fail "$DIR is neither empty nor a cluster's; nothing is removed"
    down
    rm -rf "$DIR"/{etc,log,run,spool,state,munge,dev}
    mkdir -p "$DIR"/{etc,log,run,spool,state,munge,dev} || fail "cannot make $DIR"
    for node in "${hide[@]}"; do
        path=$(realpath -m "${node%:*}")
        [[ " $NODES" == *" ${node##*:}:"* ]] || fail "$node: there is no node ${node##*:}"
        [[ "$DIR/" != "$path"/* ]] || fail "$path cannot be hidden: the cluster's own $DIR is in it"
        mkdir -p "$path" || fail "cannot make $path, which is to be hidden"
        echo "${node##*:} $path"
    done >"$DIR/hide"
    configure
    trap 'down' EXIT # unless all goes well
    (umask 077 && head -c 1024 /dev/urandom >"$DIR/munge/key")
    # --force: without, it refuses a folder that others cannot enter
    munged --force --key-file="$DIR/munge/key" --seed-file="$DIR/munge/seed" \
        --socket="$DIR/run/munge.sock" --pid-file="$DIR/run/munged.pid" \
        --log-file="$DIR/log/munged.log" </dev/null >"$DIR/log/munged" 2>&1 &&
        wait_for 10 munge -n -S "$DIR/run/munge.sock" || fail "no munged; see $DIR/log/munged"
    slurmctld || fail "no slurmctld: $(tail -n 1 "$DIR/log/slurmctld.log")"
    for node in $NODES; do
        start_slurmd "${node%%:*}" || fail "no slurmd on ${node%%:*}; see $DIR/log"
    done
    wait_for 30 all_nodes_are_well || fail "not all nodes come up; see $DIR/log"
    trap - EXIT
    echo "export SLURM_CONF='$SLURM_CONF'" >"$DIR/env.sh"
    if [ -n "$PARENT" ]; then
        setsid bash "$0" "--watch=$DIR" "$PARENT" </dev/null >"$DIR/log/watch" 2>&1 &
    fi
}

down() {
    rm -f "$DIR/env.sh"
    wait_for 10 none_left || fail "cannot end the processes" $(processes)
}

# End the cluster when the process is gone or nobody's (a zombie).
watch() {
    while grep -qs '^State:[[:space:]]*[^[:space:]ZX]' "/proc/$1/status"; do
        sleep 0.5
    done
    exec bash "$0" down "$DIR"
}

node() {
    local pid
    pid=$(slurmd_of "$2")
    [ "$1" = start ] || [ -n "$pid" ] || fail "no slurmd runs on $2"
    case "$1" in
        crash) wait_for 10 none_left "$2" || fail "cannot end the processes" $(processes "$2") ;;
        daemon) kill -KILL "$pid" ;;
        hang) kill -STOP "$pid" ;;
        start) if [ -n "$pid" ]; then kill -CONT "$pid"; else start_slurmd "$2"; fi ;;
    esac
}

case "${1:-}" in
    --watch=*) DIR=${1#--watch=} ;;
    *) DIR=$(realpath -m "${2:-.}") ;;
esac
PATH=$PATH:/usr/sbin:/sbin
for variable in ${!SLURM*} ${!SBATCH_*} ${!SRUN_*} ${!SALLOC_*} ${!SQUEUE_*} ${!SINFO_*}; do
    unset "$variable" # of another cluster's job
done
export SLURM_CONF=$DIR/etc/slurm.conf
case "${1:-} $#" in
    "--watch="*" 2") watch "$2" ;;
    "up 1") fail "up where?" ;;
    "up "*) up "${@:3}" ;;
    "down 2") down ;;
    "crash 3" | "daemon 3" | "hang 3" | "start 3") node "$1" "$3" ;;
    *) fail "usage: cluster.sh up DIR [OPTION...] | down DIR | crash|daemon|hang|start DIR NODE" ;;
esac
