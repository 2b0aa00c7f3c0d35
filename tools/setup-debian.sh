#!/usr/bin/env bash
# Installs what the project needs from the system and finds missing, where that is possible: a Debian, and its root.
# Elsewhere, and where nothing is missing, it changes nothing.
set -euo pipefail

packages=()
command -v git >/dev/null || packages+=(git)
command -v npm >/dev/null || packages+=(nodejs npm)
# NATS and MinIO are built with it unless they are there.
command -v go >/dev/null || { command -v nats-server >/dev/null && command -v minio >/dev/null; } || packages+=(golang-go)
[ ${#packages[@]} -eq 0 ] && exit 0

if ! command -v apt-get >/dev/null || [ "$(id -u)" -ne 0 ]; then
  echo "missing, and only root on a Debian can install it here: ${packages[*]}" >&2
  exit 0
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends "${packages[@]}"
