# For `source`: installs with apt-get what is missing on this machine.

# install_missing COMMAND:PACKAGE...     COMMAND may be the path of a file
install_missing() {
    local wanted command sudo='' missing=()
    for wanted in "$@"; do
        command=${wanted%%:*}
        [[ $command == /* && -e $command ]] || PATH=$PATH:/usr/sbin command -v "$command" > /dev/null ||
            missing+=("${wanted##*:}")
    done
    ((${#missing[@]})) || return 0
    echo "installing ${missing[*]}"
    ((!EUID)) || sudo=sudo
    # Debian starts servers as they are installed; these are for tests alone.
    $sudo apt-get update -qq &&
        $sudo env RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive \
            apt-get install -qq -y --no-install-recommends "${missing[@]}" > /dev/null || {
        echo "FAIL  as root, type: apt-get install --no-install-recommends ${missing[*]}"
        return 1
    }
}
