// A terminal cast in asciinema-player.

import { Clock } from "./clock.js";
import { good, Problem } from "./problems.js";

const LONGEST_PAUSE = 2;
const FONTS = "ui-monospace, 'Cascadia Code', Menlo, Consolas, 'DejaVu Sans Mono', monospace";

export async function openTerminal(url, say) {
  return new Terminal(await download(url, say));
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

  async playFrom(seconds) {
    await this.#player.seek(this.#clock.shown(seconds));
    await this.#player.play();
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

/** The text of a cast: all of it, or as much as is whole. */
async function download(url, say) {
  const { body } = await good(await fetch(url));
  const decoder = new TextDecoder();
  let text = "";
  try {
    for await (const bytes of body) text += decoder.decode(bytes, { stream: true });
    say("");
    return text + decoder.decode();
  } catch {
    const whole = text.slice(0, text.lastIndexOf("\n") + 1);
    if (!whole.includes("\n[")) throw new Problem("The recording cannot be read: it is damaged from its beginning.");
    say("Only the beginning can be played: what follows is damaged.");
    return whole;
  }
}
