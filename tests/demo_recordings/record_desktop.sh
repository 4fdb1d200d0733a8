#!/usr/bin/env bash
#
# Record the bundled demo desktop session as a WebM video (VP9, 640x360, 9 s).
#
# A virtual X display gets a window manager, a terminal, a clock and a pair of eyes. Keys and the mouse are driven
# through the X server as a person would drive them, while ffmpeg grabs the screen losslessly; the grab is then
# encoded small, without metadata about its making. Every client starts from an almost empty environment in an
# empty home directory, so that nothing on the screen names the machine or the account.
#
# Needs these Debian packages:
#   apt-get install ffmpeg xvfb xterm x11-apps x11-xserver-utils x11-utils xdotool openbox fonts-dejavu-core
#
# Usage: tests/demo_recordings/record_desktop.sh [OUTPUT]

set -euo pipefail

readonly WIDTH=640 HEIGHT=360 FRAMES_PER_SECOND=15 SECONDS_RECORDED=9
readonly DEADLINE_SECONDS=20

repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
output=${1:-$repository/lucid_pipeline/cli/demo/desktop.webm}
home=$(mktemp --directory)
started=()

clean_up() {
    if ((${#started[@]})); then
        kill "${started[@]}" 2>/dev/null || true
        wait "${started[@]}" 2>/dev/null || true
    fi
    rm -rf "$home"
}
trap clean_up EXIT

# Run a client of the virtual display in the background, with nothing of this account's environment.
start() {
    (cd "$home" && exec env --ignore-environment PATH=/usr/bin:/bin HOME="$home" DISPLAY="$DISPLAY" LANG=C.UTF-8 \
        TZ=UTC PS1='\[\e[1;36m\]desk\[\e[0m\] $ ' HISTFILE=/dev/null INPUTRC=/dev/null "$@") >/dev/null 2>&1 &
    started+=("$!")
}

# Wait until a command succeeds; give up, saying so, after the deadline.
await() {
    local deadline=$((SECONDS + DEADLINE_SECONDS))
    until "$@" >/dev/null 2>&1; do
        if ((SECONDS >= deadline)); then
            echo "gave up waiting for: $*" >&2
            return 1
        fi
        sleep 0.05
    done
}

# Move the mouse in a straight line, slowly enough to be seen: glide STEPS STEP_X STEP_Y, in pixels.
# Relative, because xdotool warps the pointer to absolute places, which is no input event that xeyes could follow.
glide() {
    local i
    for ((i = 0; i < $1; i++)); do
        xdotool mousemove_relative -- "$2" "$3"
        sleep 0.03
    done
}

type_line() {
    xdotool type --delay 45 "$1"
    xdotool key Return
}

start_display() {
    # Xvfb chooses a free display number itself, and says which once it accepts connections.
    # Without -noreset it would forget the background as soon as the client that set it leaves.
    Xvfb -displayfd 3 -screen 0 "${WIDTH}x${HEIGHT}x24" -nolisten tcp -noreset 3>"$home/display" 2>/dev/null &
    started+=("$!")
    await test -s "$home/display"
    DISPLAY=:$(<"$home/display")
    export DISPLAY
}

window_manager_ready() {
    xprop -root _NET_SUPPORTING_WM_CHECK | grep --quiet 'window id'
}

open_windows() {
    xsetroot -solid '#24505c'
    # Titles without icons and buttons: the small windows have no room for them.
    sed 's|<titleLayout>.*</titleLayout>|<titleLayout>LC</titleLayout>|' /etc/xdg/openbox/rc.xml >"$home/openbox.xml"
    start openbox --sm-disable --config-file "$home/openbox.xml"
    await window_manager_ready
    start xclock -geometry 136x136+478+28 -update 1 -title clock -hd '#2e6f80' -hl '#2e6f80'
    start xeyes -geometry 136x90+478+224 -title eyes
    start xterm -geometry 54x16+14+28 -title terminal -fa 'DejaVu Sans Mono' -fs 9 -bg '#101418' -fg '#d8dee9' \
        -e bash --noprofile --norc -i
    await xdotool search --onlyvisible --name '^clock$'
    await xdotool search --onlyvisible --name '^eyes$'
    await xdotool search --onlyvisible --name '^terminal$'
    xdotool search --name '^terminal$' windowactivate --sync
    xdotool mousemove 310 322
    sleep 1 # xterm's shell prints its prompt; nothing outside the window tells when.
}

# What the person at the desk does; it has to fit into SECONDS_RECORDED.
act() {
    sleep 0.4
    type_line 'seq 100000 | sha256sum | fold -w 32'
    # shellcheck disable=SC2016 # The shell on the screen expands it.
    type_line 'for c in {16..231}; do printf "\e[48;5;${c}m   "; sleep .02; done; printf "\e[0m\n"'
    glide 14 17 -6
    xdotool mousedown 1
    glide 16 -8 -4
    glide 16 8 1
    xdotool mouseup 1
    glide 8 -14 -12
    glide 20 -10 8
}

start_display
open_windows

ffmpeg -hide_banner -loglevel error -nostdin -f x11grab -framerate "$FRAMES_PER_SECOND" \
    -video_size "${WIDTH}x${HEIGHT}" -t "$SECONDS_RECORDED" -i "$DISPLAY" -c:v ffv1 "$home/screen.mkv" &
grab=$!
started+=("$grab")
act
wait "$grab"

# Bit-exact leaves out the versions of the programs and the random segment id: only the codec's name stays.
ffmpeg -hide_banner -loglevel error -nostdin -y -i "$home/screen.mkv" -map_metadata -1 \
    -c:v libvpx-vp9 -crf 30 -b:v 0 -deadline good -cpu-used 1 -g 45 -pix_fmt yuv420p \
    -flags:v +bitexact -fflags +bitexact "$output"

echo "$output: $(stat --format=%s "$output") bytes," \
    "$(ffprobe -loglevel error -show_entries format=duration -of csv=p=0 "$output") s"
