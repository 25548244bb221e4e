#!/usr/bin/env bash
# Give ansible-test the installer of pip it wants, where its download host is out of reach.
#
#   scripts/ansible_test_stand_in.sh HOME_DIR
#
# ansible-test downloads get_pip_<version>.py into HOME_DIR/.ansible/test/cache, once. If that works, this does nothing
# more. Else it gets the same pip as a wheel from the package index and writes a file that installs it.
set -euo pipefail
home=$1
python=${PYTHON:-python3}
cache=$home/.ansible/test/cache
mkdir -p "$cache"

read -r file version url < <("$python" - <<'PY'
import pathlib, re
import ansible_test
root = pathlib.Path(ansible_test.__file__).parent
pinned = re.search(r"pip='([\d.]+)'", (root / "_internal/python_requirements.py").read_text())[1]
setup = (root / "_util/target/setup/requirements.py").read_text()
print(f"get_pip_{pinned.replace('.', '_')}.py", pinned, re.search(r"'(https://[^']*get-pip-)%s\.py'", setup)[1] + f"{pinned}.py")
PY
)
[ -s "$cache/$file" ] && exit 0
if command -v curl >/dev/null && curl -sfL --max-time 10 -o "$cache/$file.part" "$url"; then
    mv "$cache/$file.part" "$cache/$file"
    exit 0
fi
rm -f "$cache/$file.part"
echo "ansible-test's download host is out of reach; taking pip $version from the package index"
"$python" -m pip download -q --no-deps --only-binary :all: --dest "$cache" "pip==$version"
cat >"$cache/$file" <<PY
import sys
wheel = "$cache/pip-$version-py3-none-any.whl"
sys.path.insert(0, wheel)
from pip._internal.cli.main import main
sys.exit(main(["install", "--force-reinstall", "--no-index", "--no-deps", "--disable-pip-version-check", wheel]))
PY
