// A video in the browser's own player, with the keys of asciinema-player.

import { Problem } from "./problems.js";

const STEP = 5;
const FRAME = 1 / 25;

export async function openVideo({ url }, say) {
  const element = document.createElement("video");
  Object.assign(element, { controls: true, playsInline: true, preload: "auto", src: url });
  await new Promise((resolve, reject) => {
    element.addEventListener("loadedmetadata", resolve, { once: true });
    element.addEventListener("error", () => reject(new Problem("This video is damaged, or of a kind that this browser cannot play.")), { once: true });
  });
  element.addEventListener("error", () => say("What follows cannot be played: it is damaged."));
  say("");
  return new Video(element);
}

class Video {
  constructor(element) {
    this.element = element;
    // A browser plays or pauses when the space bar comes up again.
    element.addEventListener("keyup", (event) => event.key === " " && event.preventDefault());
  }

  get time() {
    return this.element.currentTime;
  }

  /** Seconds; of a recording that does not say, as far as it is known. */
  get #duration() {
    const { duration, seekable } = this.element;
    return Number.isFinite(duration) ? duration : seekable.length ? seekable.end(seekable.length - 1) : 0;
  }

  async playFrom(seconds) {
    this.#seek(seconds);
    if (!this.#duration || seconds < this.#duration) await this.element.play();
  }

  set({ speed }) {
    this.element.playbackRate = speed;
  }

  press({ key, shiftKey }) {
    const act = this.#actions(shiftKey)[key] ?? (/^[0-9]$/.test(key) && (() => this.#seek((this.#duration * key) / 10)));
    if (act) act();
    return Boolean(act);
  }

  #actions(shifted) {
    const { element } = this;
    const step = shifted ? this.#duration / 10 : STEP;
    return {
      " ": () => (element.paused ? element.play() : element.pause()),
      f: () => (document.fullscreenElement ? document.exitFullscreen() : element.requestFullscreen()),
      m: () => (element.muted = !element.muted),
      ArrowLeft: () => this.#seek(this.time - step),
      ArrowRight: () => this.#seek(this.time + step),
      ",": () => element.paused && this.#seek(this.time - FRAME),
      ".": () => element.paused && this.#seek(this.time + FRAME),
      "[": () => this.#seek(0),
      "]": () => this.#seek(this.#duration),
    };
  }

  #seek(seconds) {
    this.element.currentTime = Math.max(0, this.#duration ? Math.min(seconds, this.#duration) : seconds);
  }
}
