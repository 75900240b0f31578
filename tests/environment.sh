# The common environment of the scripts in this folder. They source it from the root of the repository.
export CARGO_TERM_COLOR=${CARGO_TERM_COLOR:-never}
# Without this directory, the Vulkan loader prints a warning at each start.
if [ -z "${XDG_RUNTIME_DIR:-}" ]; then
    XDG_RUNTIME_DIR=$(mktemp -d)
    export XDG_RUNTIME_DIR
    trap 'rm -rf "$XDG_RUNTIME_DIR"' EXIT
fi
# Installs Debian packages.
debian() {
    local sudo=""
    [ "$(id -u)" -eq 0 ] || sudo=sudo
    $sudo apt-get update -qq
    $sudo apt-get install -y -qq --no-install-recommends "$@"
}
