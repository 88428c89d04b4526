#!/usr/bin/env bash
# What the tests need of the system beside Python: databases for test-cli and test-integration, a
# browser for test-browser.  Installs what is missing, needs root only for that, and starts nothing.
set -euo pipefail

packages=(postgresql redis-server sqlite3 chromium chromium-driver)

missing=()
for package in "${packages[@]}"; do
  state=$(dpkg-query --show --showformat '${db:Status-Status}' "$package" 2>/dev/null || true)
  [ "$state" = installed ] || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0

if [ "$(id -u)" -ne 0 ]; then
  echo "Missing: ${missing[*]}. Install them as root: apt-get install ${missing[*]}" >&2
  exit 1
fi

export DEBIAN_FRONTEND=noninteractive
apt="apt-get --quiet --quiet --option DPkg::Lock::Timeout=600"
# The tests start servers of their own; a package must not start one on its usual port.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod +x "$policy"
  trap 'rm -f "$policy"' EXIT
fi
$apt update
$apt install --yes --no-install-recommends "${missing[@]}" >/dev/null
