#!/bin/sh
# Boots a throw-away machine: boot.sh ROOT SCRATCH NAME
# ROOT is a root filesystem, which stays as it is; SCRATCH has the folders upper, work, root and checkout. The machine has
# namespaces of its own and ends with the process that started this script.
set -eu
root=$1 scratch=$2 name=$3
if [ "$$" != 1 ]; then
  # Its control groups are below this one in each hierarchy.
  for hierarchy in /sys/fs/cgroup /sys/fs/cgroup/*; do
    [ -e "$hierarchy/cgroup.procs" ] || continue
    mkdir -p "$hierarchy/$name"
    for file in cpuset.cpus cpuset.mems; do
      # On v1 a group takes no process until it has processors and memory.
      [ ! -e "$hierarchy/$file" ] || cat "$hierarchy/$file" >"$hierarchy/$name/$file"
    done
    echo $$ >"$hierarchy/$name/cgroup.procs"
  done
  exec unshare --fork --kill-child --pid --mount --net --ipc --uts --cgroup --propagation private sh "$0" "$@"
fi
mount -t overlay -o "lowerdir=$root,upperdir=$scratch/upper,workdir=$scratch/work" overlay "$scratch/root"
cd "$scratch/root"
mount -t proc proc proc
mount -t sysfs sysfs sys
mount --rbind /dev dev
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs tmpfs tmp
if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
  mount -t cgroup2 cgroup2 sys/fs/cgroup
else
  mount -t tmpfs -o mode=755 tmpfs sys/fs/cgroup
  for hierarchy in /sys/fs/cgroup/*; do
    [ -e "$hierarchy/cgroup.procs" ] || continue
    controllers=${hierarchy##*/}
    mkdir "sys/fs/cgroup/$controllers"
    case $controllers in
      unified) mount -t cgroup2 cgroup2 sys/fs/cgroup/unified ;;
      systemd) mount -t cgroup -o none,name=systemd cgroup sys/fs/cgroup/systemd ;;
      *) mount -t cgroup -o "$controllers" cgroup "sys/fs/cgroup/$controllers" ;;
    esac
  done
fi
# Docker and Podman cannot store images on an overlay.
for place in var/lib/docker var/lib/containers; do
  mkdir -p "$place" "$scratch/$place"
  mount --bind "$scratch/$place" "$place"
done
mkdir -p checkout old
mount --bind "$scratch/checkout" checkout
hostname "$name"
pivot_root . old
umount -l /old
ip link set lo up
exec tini -- sleep infinity
