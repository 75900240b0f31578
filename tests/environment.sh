# What the scripts here run under; they source it, from the repository's root.
export CARGO_TERM_COLOR=${CARGO_TERM_COLOR:-never}
# A Vulkan loader would otherwise warn at each start.
if [ -z "${XDG_RUNTIME_DIR:-}" ]; then
    XDG_RUNTIME_DIR=$(mktemp -d)
    export XDG_RUNTIME_DIR
    trap 'rm -rf "$XDG_RUNTIME_DIR"' EXIT
fi
# Installs those Debian packages.
debian() {
    local sudo=""
    [ "$(id -u)" -eq 0 ] || sudo=sudo
    $sudo apt-get update -qq
    $sudo apt-get install -y -qq --no-install-recommends "$@"
}
