// A terminal cast in asciinema-player.

import { Clock } from "./clock.js";
import { download } from "./download.js";

const LONGEST_PAUSE = 2;
const FONTS = "ui-monospace, 'Cascadia Code', Menlo, Consolas, 'DejaVu Sans Mono', monospace";

export async function openTerminal({ url, chunkSize, length }, say) {
  const { text, missing } = await download(url, { chunkSize: Number(chunkSize), length: Number(length) });
  say(missing ? "Parts of this recording are damaged, and left out." : "");
  return new Terminal(text);
}

class Terminal {
  element = document.createElement("div");
  #cast;
  #player;
  #clock;
  #playing = false;

  constructor(cast) {
    this.#cast = cast;
  }

  get time() {
    return this.#clock.recorded(this.#player.getCurrentTime() ?? 0);
  }

  /** At its end it stays there: to play on would be to begin anew. */
  async playFrom(seconds) {
    const shown = this.#clock.shown(seconds);
    await this.#player.seek(shown);
    if (shown < this.#player.getDuration()) await this.#player.play();
  }

  set({ speed, skipPauses }) {
    const startAt = this.#player ? this.time : 0;
    const longest = skipPauses ? LONGEST_PAUSE : Infinity;
    this.#player?.dispose();
    this.#clock = new Clock(this.#cast, longest);
    this.#player = AsciinemaPlayer.create({ data: this.#cast }, this.element, {
      autoPlay: this.#playing,
      cursorMode: "steady",
      fit: "width",
      // Given even where there is none: a recording can bring a limit of its own, and then its times are not the transcript's.
      idleTimeLimit: longest,
      preload: true,
      speed,
      startAt,
      terminalFontFamily: FONTS,
    });
    this.#player.addEventListener("playing", () => (this.#playing = true));
    for (const name of ["pause", "ended"]) this.#player.addEventListener(name, () => (this.#playing = false));
  }

  /** The player hears its own keys; others are handed to it. */
  press({ target, key, shiftKey }) {
    if (this.#player.el.contains(target)) return false;
    this.#player.el.dispatchEvent(new KeyboardEvent("keydown", { key, shiftKey, bubbles: true, cancelable: true }));
    return true;
  }
}
