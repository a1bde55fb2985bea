#!/bin/sh
# Installs Debian or Ubuntu packages and starts no service of theirs, neither now nor at the next boot.
# "java" stands for the newest headless runtime that this release has. Usage: install-packages.sh PACKAGE...
set -eu
export DEBIAN_FRONTEND=noninteractive
policy=/usr/sbin/policy-rc.d
aside=$policy.before-local-stack

restore() {
  rm -f "$policy"
  if [ -e "$aside" ]; then mv "$aside" "$policy"; fi
}
trap restore EXIT
trap 'exit 130' INT TERM
# Maintainer scripts ask this file whether they may start a service; 101 means no.
if [ -e "$policy" ]; then mv "$policy" "$aside"; fi
printf '#!/bin/sh\nexit 101\n' >"$policy"
chmod 755 "$policy"

# Another apt-get, such as an unattended upgrade, may hold the lock for a while.
apt() { apt-get -q -y -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 "$@" >&2; }
apt update

packages=
for package; do
  if [ "$package" = java ]; then
    package=default-jre-headless
    for version in 17 21 25; do
      if apt-get -q --simulate install "openjdk-$version-jre-headless" >/dev/null 2>&1; then
        package=openjdk-$version-jre-headless
      fi
    done
  fi
  packages="$packages $package"
done

# Whatever the machine had before keeps running at boot as it did.
new_services=
for service in rabbitmq-server redis-server epmd; do
  if ! dpkg -s "$service" >/dev/null 2>&1 && ! { [ "$service" = epmd ] && dpkg -s erlang-base >/dev/null 2>&1; }; then
    new_services="$new_services $service"
  fi
done

# What the machine has stays in its version.
# shellcheck disable=SC2086 # several words on purpose
apt install --no-install-recommends --no-upgrade $packages

for service in $new_services; do
  if command -v systemctl >/dev/null; then
    systemctl disable "$service.service" "$service.socket" >/dev/null 2>&1 || true
  elif [ -e "/etc/init.d/$service" ]; then
    update-rc.d "$service" disable >/dev/null 2>&1 || true
  fi
done
