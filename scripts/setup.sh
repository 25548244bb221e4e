#!/usr/bin/env bash
# Install what the repository's commands need: system packages, a virtual environment, Limani itself (editable).
#
#   scripts/setup.sh [--tests | --lab]
#
# --tests: also what only tests need (a registry, a Docker daemon). --lab: no more than Docker lessons need. As root on Debian and Ubuntu missing system packages
# are installed; elsewhere the script says exactly what is missing and how to get it, and stops. A second run that finds
# everything in place says nothing and takes a moment.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
wanted_for=${1:-}
venv=.venv
log=.make/setup.log
mkdir -p .make
export PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin PIP_DISABLE_PIP_VERSION_CHECK=1

# command : Debian package : what for
commands="
ip:iproute2:networks of lab clusters
tc:iproute2:shaping links in tests and benchmarks
nft:nftables:services of lab clusters
iptables:iptables:ports of pods
conntrack:conntrack:services of lab clusters
nsenter:util-linux:nodes of lab clusters
mount:mount:nodes of lab clusters
modprobe:kmod:networks of lab clusters
mkfs.ext4:e2fsprogs:disks of limited size
sysctl:procps:networks of lab clusters
runc:runc:starts containers
mmdebstrap:mmdebstrap:builds images from Debian packages
strip:binutils:makes those images smaller
git:git:copies of the collection
make:make:this repository's commands"
test_commands="
docker-registry:docker-registry:a registry to test against
dockerd:docker.io:a Docker daemon to test against
npm:npm:libraries of the site
hunspell:hunspell:spelling of the documentation"
lab_commands="
ip:iproute2:the network of containers
mount:mount:file systems of containers
unshare:util-linux:keeps what the lab mounts apart
mmdebstrap:mmdebstrap:builds the images of the lessons from Debian packages"
# Where a Docker answers, that one is used; else the lab starts one of its own.
docker_commands="
dockerd:docker.io:the Docker daemon of the lab
docker:docker.io:the docker command"
extras=all,dev,docs
case $wanted_for in
    --tests) commands+=$test_commands ;;
    --lab)
        extras=learn,serve
        commands=$lab_commands
        docker version >/dev/null 2>&1 || commands+=$docker_commands
        ;;
esac

say() { printf '%s\n' "$*" >&2; }

# Run a command with its output in the log; show that it goes on, and on failure the end of the log.
step() {
    local what=$1 begun=$SECONDS pid
    shift
    "$@" >"$log" 2>&1 </dev/null &
    pid=$!
    while kill -0 $pid 2>/dev/null; do
        if [ -t 2 ]; then
            printf '\r\033[K  %s (%s s) %.60s' "$what" $((SECONDS - begun)) "$(tail -n 1 "$log" | tr -d '\r')" >&2
            sleep 0.3
        else
            [ $(((SECONDS - begun) % 15)) -eq 14 ] && say "  $what (still at it, $((SECONDS - begun)) s)"
            sleep 1
        fi
    done
    [ -t 2 ] && printf '\r\033[K' >&2
    if ! wait $pid; then
        say "  $what failed; the end of $log:"
        tail -n 30 "$log" >&2
        exit 1
    fi
    say "  $what: done in $((SECONDS - begun)) s"
}

can_install() { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null && grep -qsE '^ID(_LIKE)?=.*(debian|ubuntu)' /etc/os-release; }

# Install packages without starting what they bring: a lab cluster runs its own daemons.
apt_install() {
    local policy=/usr/sbin/policy-rc.d
    if [ ! -e $policy ]; then
        trap "rm -f $policy" EXIT
        printf '#!/bin/sh\nexit 101\n' >$policy
        chmod 755 $policy
    fi
    export DEBIAN_FRONTEND=noninteractive
    # A foreign source that does not answer is no reason to stop; install says what it cannot find.
    apt-get -qq -o DPkg::Lock::Timeout=300 update || true
    apt-get -qq -y -o DPkg::Lock::Timeout=300 install --no-install-recommends "$@"
}

# What tests need that is not told by the name of one command.
test_packages() {
    local lang
    command -v chromium chromium-browser google-chrome >/dev/null || {
        missing+=("Chromium (the site's tests drive it): package chromium")
        wanted+=(chromium)
    }
    for lang in el:el_GR en-us:en_US; do
        [ -e "/usr/share/hunspell/${lang#*:}.dic" ] || {
            missing+=("dictionary ${lang#*:} (spelling of the documentation): package hunspell-${lang%:*}")
            wanted+=("hunspell-${lang%:*}")
        }
    done
}

system_packages() {
    local missing=() wanted=() line command package why
    while IFS=: read -r command package why; do
        [ -z "$command" ] && continue
        command -v "$command" >/dev/null && continue
        missing+=("$command ($why): package $package")
        [[ " ${wanted[*]} " == *" $package "* ]] || wanted+=("$package")
    done <<<"$commands"
    [ -e /usr/share/keyrings/debian-archive-keyring.gpg ] || {
        missing+=("Debian's archive keys (images from Debian packages): package debian-archive-keyring")
        wanted+=(debian-archive-keyring)
    }
    [ "$wanted_for" = --tests ] && test_packages
    [ ${#missing[@]} = 0 ] && return
    if can_install; then
        say "Installing: ${wanted[*]}"
        step "system packages" apt_install "${wanted[@]}"
        # Newer releases have the docker command in a package of its own.
        if [[ " ${wanted[*]} " == *" docker.io "* ]] && ! command -v docker >/dev/null; then
            step "the docker command" apt_install docker-cli
        fi
        return
    fi
    say "Missing on this machine:"
    printf '  %s\n' "${missing[@]}" >&2
    say "Install these packages (on Debian and Ubuntu: sudo apt-get install ${wanted[*]};"
    say "elsewhere the packages of your distribution with these commands), then run again."
    exit 1
}

new_enough() { "$1" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

find_python() {
    local name
    for name in ${PYTHON:-} python3 python3.13 python3.12 python3.14 python3.11; do
        command -v "$name" >/dev/null && new_enough "$name" && command -v "$name" && return
    done
    return 1
}

python_for_venv() {
    find_python && return
    if can_install; then
        local name=python3
        apt-cache -q=2 show python3.11-venv >/dev/null 2>&1 && name=python3.11
        say "Installing: $name $name-venv"
        step "Python" apt_install $name $name-venv >&2
        find_python && return
    fi
    say "Python 3.11 or newer with its venv module is missing."
    say "On Debian and Ubuntu: sudo apt-get install python3 python3-venv (or python3.11 python3.11-venv); or name one with PYTHON=."
    return 1
}

# What the builder of wheels needs, so that building the agent's image does not fetch it each time.
build_requirements() {
    "$venv/bin/python" - <<'PY'
import tomllib
for line in tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"]:
    print(line)
PY
}

install_limani() {
    local requires
    mapfile -t requires < <(build_requirements)
    "$venv/bin/python" -m pip install --no-input --progress-bar off "${requires[@]}" -e ".[$extras]"
}

# Ansible finds collections only by their path, so the clone gets one (ansible.cfg names it).
collection_path() {
    mkdir -p .collections/ansible_collections/limani
    ln -sfn ../../.. .collections/ansible_collections/limani/nodes
}

python_packages() {
    local stamp=$venv/.limani wanted found
    wanted=$(cat pyproject.toml hatch_build.py scripts/setup.sh src/limani/engine/containerd/protos/* | sha256sum)
    found=$(cat "$stamp" 2>/dev/null || true)
    # What has everything has what the lab needs.
    [ -x "$venv/bin/python" ] && [[ $found = "$wanted $extras" || $found = "$wanted all,dev,docs" ]] && return
    if ! { [ -x "$venv/bin/python" ] && new_enough "$venv/bin/python"; }; then
        local python
        python=$(python_for_venv)
        rm -rf "$venv"
        step "virtual environment in $venv ($("$python" --version))" "$python" -m venv "$venv"
    fi
    step "Python packages" install_limani
    printf '%s' "$wanted $extras" >"$stamp"
}

# xterm.js for limani lab serve. Only the tests insist: without npm or a network that one command says what to do.
browser_libraries() {
    "$venv/bin/python" -m scripts.vendor >"$log" 2>&1 && return
    [ "$wanted_for" = --tests ] || return 0
    say "The browser libraries of the lab's page are missing:"
    cat "$log" >&2
    exit 1
}

system_packages
python_packages
browser_libraries
[ "$wanted_for" = --lab ] || collection_path
