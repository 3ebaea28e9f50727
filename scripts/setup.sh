# Sourced by the other scripts: makes .venv once, then finds it again.
# Remembers what it did in .venv/.setup-stamp; the whole log of pip is in .venv/setup.log.

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
venv="$root/.venv"
python="$venv/bin/python"
stamp="$venv/.setup-stamp"
unfinished="$venv/.setup-unfinished"
log="$venv/setup.log"

# The build of torch that a machine without an NVIDIA GPU tries first; any other will do.
cpu_torch="torch==2.13.0"

# What the window and its tests load, and the Debian package that brings it.
window_libraries=(
    libEGL.so.1:libegl1 libGL.so.1:libgl1 libOpenGL.so.0:libopengl0
    libxkbcommon-x11.so.0:libxkbcommon-x11-0 libxcb-cursor.so.0:libxcb-cursor0
    libxcb-icccm.so.4:libxcb-icccm4 libxcb-image.so.0:libxcb-image0
    libxcb-keysyms.so.1:libxcb-keysyms1 libxcb-randr.so.0:libxcb-randr0
    libxcb-render-util.so.0:libxcb-render-util0 libxcb-shape.so.0:libxcb-shape0
    libxcb-xinerama.so.0:libxcb-xinerama0 libxcb-xkb.so.1:libxcb-xkb1
    libdbus-1.so.3:libdbus-1-3 libfontconfig.so.1:libfontconfig1
    libglib-2.0.so.0:libglib2.0-0 libgssapi_krb5.so.2:libgssapi-krb5-2
)

say() { printf '%s\n' "$*"; }

give_up() {
    printf '%s\n' "$*" >&2
    exit 1
}

# --- Debian packages -------------------------------------------------------------------------

# Prints how to become root without being asked for a password: nothing, or "sudo -n".
root_prefix() {
    [ "$(id -u)" -eq 0 ] && return 0
    sudo -n true 2>/dev/null && echo "sudo -n"
}

# install_debian PACKAGE...: quietly; non-zero where that is not allowed or did not work.
install_debian() {
    local prefix apt_log
    command -v apt-get >/dev/null || return 1
    prefix="$(root_prefix)" || return 1
    say "Installing Debian packages: $*"
    apt_log="$(mktemp)"
    # shellcheck disable=SC2086  # the prefix is no word or two words
    if { $prefix apt-get update -q && $prefix env DEBIAN_FRONTEND=noninteractive \
            apt-get install -q -y --no-install-recommends "$@"; } >"$apt_log" 2>&1; then
        rm -f "$apt_log"
        return 0
    fi
    tail -n 15 "$apt_log" >&2
    rm -f "$apt_log"
    return 1
}

# Prints the Debian packages that are missing for a window.
missing_for_window() {
    local known entry
    known="$(PATH="$PATH:/sbin:/usr/sbin" ldconfig -p 2>/dev/null)" || return 0
    for entry in "${window_libraries[@]}"; do
        case "$known" in
            *"${entry%%:*}"*) ;;
            *) echo "${entry##*:}" ;;
        esac
    done
}

# The tests of the dock open a real window, on an X server without a screen.
find_x_server() {
    local missing
    mapfile -t missing < <(missing_for_window)
    command -v xvfb-run >/dev/null && command -v Xvfb >/dev/null || missing+=(xvfb)
    command -v xauth >/dev/null || missing+=(xauth)
    [ ${#missing[@]} -gt 0 ] || return 0
    # Mesa draws where there is no graphics card.
    install_debian "${missing[@]}" libgl1-mesa-dri || give_up "The tests open a window and need" \
        "these Debian packages: run 'sudo apt-get install ${missing[*]}' and start again."
}

# --- Python ----------------------------------------------------------------------------------

is_python_311() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

can_make_venv() {
    "$1" -c 'import ensurepip, venv' >/dev/null 2>&1
}

# Sets base_python to the newest Python that can make a virtual environment.
find_python() {
    local candidate without_venv="" package
    for candidate in python3.13 python3.12 python3.11 python3 python; do
        command -v "$candidate" >/dev/null && is_python_311 "$candidate" || continue
        if can_make_venv "$candidate"; then
            base_python="$candidate"
            return
        fi
        without_venv="${without_venv:-$candidate}"
    done
    [ -n "$without_venv" ] || give_up "Python 3.11 or newer is needed and none was found;" \
        "install it (on Debian and Ubuntu: sudo apt-get install python3 python3-venv) and start again."
    package="$("$without_venv" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')"
    install_debian "$package" || true
    can_make_venv "$without_venv" || give_up "$without_venv cannot make virtual environments yet;" \
        "run 'sudo apt-get install $package' and start again."
    base_python="$without_venv"
}

has_pip() {
    "$python" -m pip --version >/dev/null 2>&1 || "$python" -m ensurepip >/dev/null 2>&1
}

has_nvidia_gpu() {
    command -v nvidia-smi >/dev/null && nvidia-smi -L 2>/dev/null | grep -q GPU
}

# --- .venv -----------------------------------------------------------------------------------

# logged SENTENCE COMMAND...: runs it into the log; where it fails, shows the end and gives up.
logged() {
    local sentence="$1" began=$SECONDS
    shift
    say "  $sentence"
    printf '\n$ %s\n' "$*" >>"$log"
    if ! "$@" >>"$log" 2>&1; then
        # pip undoes what it could not finish, so what is there may stay.
        rm -f "$unfinished"
        {
            say ""
            tail -n 15 "$log"
            say ""
        } >&2
        give_up "That did not work; the lines above (all of them: $log) say why: check the" \
            "network and the free disk space, then start again."
    fi
    [ $((SECONDS - began)) -lt 5 ] || say "    $((SECONDS - began)) seconds"
}

setup_key() {
    # Also the place: an environment that has been moved does not find the project any more.
    { cat "$root/pyproject.toml" "$root/scripts/setup.sh"; echo "$root"; } | cksum
}

is_ready() {
    [ -x "$python" ] && [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$(setup_key)" ]
}

make_venv() {
    local reason="first time only" pip
    # It may be the environment of another checkout, which would be emptied.
    [ ! -L "$venv" ] || give_up "$venv is a link; remove it (rm $venv) and start again."
    if [ -f "$stamp" ] && [ ! -e "$unfinished" ]; then
        reason="what the project needs has changed"
    fi
    say "Setting up ($reason, a few minutes)"
    trap 'give_up "Stopped; start again to go on."' INT TERM HUP
    # Killed half-way, made elsewhere, or its Python is gone: begin again.
    if [ -e "$unfinished" ] || ! is_python_311 "$python" || ! has_pip \
        || ! grep -qsF "$venv" "$venv/bin/activate"; then
        find_python
        "$base_python" -m venv --clear "$venv" || give_up "The environment $venv could not be" \
            "made; check the free disk space and the permissions, then start again."
    fi
    : >"$unfinished"
    : >"$log"
    pip=("$python" -m pip --disable-pip-version-check --no-input)
    logged "1 of 3: pip" "${pip[@]}" install --upgrade 'pip>=25.1'
    if "${pip[@]}" show -q torch >/dev/null 2>&1; then
        say "  2 of 3: PyTorch is there"
    elif has_nvidia_gpu; then
        logged "2 of 3: PyTorch for the GPU" "${pip[@]}" install torch
    else
        # First and by itself: asked for with the rest it may come with gigabytes for a GPU.
        logged "2 of 3: PyTorch" install_cpu_torch
    fi
    logged "3 of 3: napari and the rest" "${pip[@]}" install \
        -e "$root[napari,demo]" --group "$root/pyproject.toml:test" \
        --group "$root/pyproject.toml:lint" --group "$root/pyproject.toml:docs"
    # pip compiles what it installs, but not an editable project: its first window would wait.
    "$python" -m compileall -q "$root/src" || true
    rm -f "$unfinished"
    setup_key >"$stamp"
    trap - INT TERM HUP
}

install_cpu_torch() {
    "$python" -m pip --no-input install "$cpu_torch" || "$python" -m pip --no-input install torch
}

# The one function that the scripts call.
setup() {
    is_ready && return
    # Two at once would spoil each other's work.
    if command -v flock >/dev/null; then
        exec 9<"$root/pyproject.toml"
        flock -n 9 || {
            say "Another set-up is running here; waiting for it"
            flock 9
        }
    fi
    is_ready || make_venv
    exec 9<&-
}
