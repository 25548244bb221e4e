"""A Docker daemon of its own for tests and trials, where the machine runs none: ``private_docker.py start|stop|env``.

It lives in network, mount and PID namespaces of its own, so this machine's links, firewall and mounts stay as they
are, and when it is stopped nothing is left. ``start`` prints what a shell has to ``eval`` to use it; with
``--kind-node`` it also brings the node image of ``images/kind_node``. Needs root and the package docker.io.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from limani.errors import LimaniError
from limani.lab.place.notify import start_daemon

ROOT = Path(__file__).resolve().parent.parent
RUN = Path("/run/limani-docker")
DATA = Path("/var/lib/limani/docker")
SOCKET = RUN / "docker.sock"
NETNS = "limani-docker"
CGROUP = "limani-docker"
HOST_ADDRESS, ADDRESS, PREFIX = "10.92.255.1", "10.92.255.2", 30
"""This machine's and the daemon's end of the link between them; published ports are reached at the latter."""
INOTIFY_INSTANCES = 1024
_SYS_RESOURCE = 24  # capability number, capabilities(7)
_WRAPPER = """#!/bin/sh
# runc, where the machine itself lacks CAP_SYS_RESOURCE: do not ask for it.
bundle= process= option=
for word in "$@"; do
    case $option in --bundle) bundle=$word ;; --process) process=$word ;; esac
    option=$word
done
for file in ${bundle:+"$bundle/config.json"} ${process:+"$process"}; do
    sed -i 's/"CAP_SYS_RESOURCE",//g; s/,"CAP_SYS_RESOURCE"//g' "$file"
done
exec runc "$@"
"""


def start() -> None:
    """Start the daemon and wait until it serves; does nothing if it runs already."""
    if _pid():
        return
    for command in ("dockerd", "docker-init", "ip", "nsenter", "unshare", "runc"):
        if shutil.which(command) is None:
            sys.exit(f"private_docker: the command {command} is not installed (package docker.io brings dockerd).")
    stop()
    _raise_limits()
    RUN.mkdir(parents=True)
    DATA.mkdir(parents=True, exist_ok=True)
    _link()
    command = [
        "nsenter",
        f"--net=/run/netns/{NETNS}",
        "unshare",
        "--mount",
        "--propagation",
        "slave",
        "--pid",
        "--fork",
    ]
    command += ["--kill-child", "--mount-proc", "docker-init", "--", *_dockerd()]
    try:
        (RUN / "pid").write_text(str(start_daemon(command, RUN)))
    except LimaniError as error:
        sys.exit(f"private_docker: {error.message}")


def stop() -> None:
    """End the daemon and all its containers, and remove everything of it."""
    if pid := _pid():
        containers = _docker("ps", "--all", "--quiet").split()
        if containers:
            _docker("rm", "--force", "--volumes", *containers)
        os.kill(pid, signal.SIGKILL)  # the kernel ends all processes of the PID namespace with its first
        _await_end(pid)
    subprocess.run(["ip", "netns", "delete", NETNS], capture_output=True, check=False)
    _remove_cgroups()
    for folder in (RUN, DATA):
        shutil.rmtree(folder, ignore_errors=False) if folder.exists() else None


def environment() -> dict[str, str]:
    """What to set so that docker, kind and Limani use the daemon."""
    return {"DOCKER_HOST": f"unix://{SOCKET}", "LIMANI_KIND_API_ADDRESS": ADDRESS}


def kind_environment(version: str | None) -> dict[str, str]:
    """What to set besides so that kind and a node image for it are found; both are made if needed."""
    sys.path.insert(0, str(ROOT))
    from images.kind_node.programs import kind_command

    folder = kind_command().parent
    path = os.environ["PATH"]
    found = {} if str(folder) in path.split(os.pathsep) else {"PATH": f"{folder}{os.pathsep}{path}"}
    return {"LIMANI_KIND_IMAGE": load_node_image(version), **found}


def load_node_image(version: str | None) -> str:
    """Build the node image for kind if needed, load it into the daemon and return its name."""
    from images.kind_node.build import build

    archive, name = build(version)
    loaded = RUN / "loaded"
    if not loaded.exists() or loaded.read_text() != archive.name:
        _docker("load", "--quiet", "--input", str(archive))
        loaded.write_text(archive.name)
    return name


def _dockerd() -> list[str]:
    options = {
        "--host": f"unix://{SOCKET}",
        "--data-root": str(DATA),
        "--exec-root": str(RUN / "exec"),
        "--pidfile": str(RUN / "dockerd.pid"),
        "--exec-opt": "native.cgroupdriver=cgroupfs",
        "--cgroup-parent": f"/{CGROUP}",
        "--storage-driver": "overlay2",
        "--config-file": str(RUN / "daemon.json"),
    }
    (RUN / "daemon.json").write_text("{}")
    if not _has_sys_resource():
        wrapper = RUN / "runc"
        wrapper.write_text(_WRAPPER)
        wrapper.chmod(0o755)
        options |= {"--add-runtime": f"here={wrapper}", "--default-runtime": "here"}
    return ["dockerd", "--ip6tables=false", *(f"{name}={value}" for name, value in options.items())]


def _has_sys_resource() -> bool:
    bounding = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("CapBnd:"))
    return bool(int(bounding.split()[1], 16) >> _SYS_RESOURCE & 1)


def _raise_limits() -> None:
    """Every systemd, kubelet and containerd of a node watches files; the kernel's usual 128 instances are soon used up.

    The limit stays raised until this machine starts anew: other programs may have come to need it.
    """
    limit = Path("/proc/sys/fs/inotify/max_user_instances")
    if int(limit.read_text()) < INOTIFY_INSTANCES:
        limit.write_text(str(INOTIFY_INSTANCES))


def _link() -> None:
    """A network namespace and a cable from it to this machine."""
    for line in (
        f"netns add {NETNS}",
        f"-n {NETNS} link set lo up",
        f"link add limani-docker type veth peer name eth0 netns {NETNS}",
        f"address add {HOST_ADDRESS}/{PREFIX} dev limani-docker",
        "link set limani-docker up",
        f"-n {NETNS} address add {ADDRESS}/{PREFIX} dev eth0",
        f"-n {NETNS} link set eth0 up",
    ):
        subprocess.run(["ip", *line.split()], check=True, stdin=subprocess.DEVNULL)


def _docker(*arguments: str) -> str:
    command = ["docker", "--host", f"unix://{SOCKET}", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, timeout=180)
    if done.returncode:
        sys.exit(f"private_docker: docker {arguments[0]} failed: {done.stderr.strip()}")
    return done.stdout


def _pid() -> int:
    """PID of the daemon's outermost process if it runs, else 0."""
    try:
        pid = int((RUN / "pid").read_text())
        return pid if b"dockerd" in Path(f"/proc/{pid}/cmdline").read_bytes() else 0
    except (OSError, ValueError):
        return 0


def _await_end(pid: int) -> None:
    """Wait until no process of the daemon is left in its network namespace."""
    deadline = time.monotonic() + 30
    while Path(f"/proc/{pid}").exists() or _members():
        if time.monotonic() > deadline:
            sys.exit("private_docker: processes of the daemon do not end.")
        time.sleep(0.05)


def _members() -> str:
    done = subprocess.run(["ip", "netns", "pids", NETNS], capture_output=True, text=True, check=False)
    return done.stdout.strip()


def _remove_cgroups() -> None:
    for hierarchy in [Path("/sys/fs/cgroup"), *Path("/sys/fs/cgroup").glob("*/")]:
        top = hierarchy / CGROUP
        if top.is_dir():
            folders = [top, *(path for path in top.rglob("*") if path.is_dir())]
            for folder in sorted(folders, reverse=True):
                folder.rmdir()


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("action", choices=["start", "stop", "env"])
    parser.add_argument("--kind-node", action="store_true", help="bring the node image for kind")
    parser.add_argument("--kubernetes-version", metavar="VERSION", help="of the node image")
    options = parser.parse_args()
    if os.geteuid():
        sys.exit("private_docker: needs root.")
    if options.action == "stop":
        stop()
        return
    if options.action == "start":
        start()
    values = environment()
    if options.kind_node:
        values |= kind_environment(options.kubernetes_version)
    print("\n".join(f"export {name}={value}" for name, value in values.items()))


if __name__ == "__main__":
    main()
