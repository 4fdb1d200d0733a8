// Terminal casts and videos behind one face: times are seconds of the recording, keys those of asciinema-player.

import { explain } from "./problems.js";
import { openTerminal } from "./terminal.js";
import { openVideo } from "./video.js";

const KEYS = /^([0-9fmk,.?[\] ]|Arrow(Left|Right))$/;

/**
 * The place where a recording is played. Nothing is asked for before somebody plays it, since that is an entry of the
 * audit record.
 */
export class Player {
  #place;
  #say;
  #engine;
  #opening;
  #options = { speed: 1, skipPauses: false };

  /** `place` has data of the recording, and a button to play it; `say` tells the reader something. */
  constructor(place, say) {
    this.#place = place;
    this.#say = say;
    place.querySelector("button").addEventListener("click", () => this.playFrom(0));
    document.addEventListener("keydown", (event) => this.#press(event));
  }

  /** Where it stands, in seconds; undefined before it has been played. */
  get time() {
    return this.#engine?.time;
  }

  async playFrom(seconds) {
    try {
      this.#engine = await (this.#opening ??= this.#open());
      await this.#engine.playFrom(seconds);
    } catch (error) {
      this.#opening = undefined;
      this.#say(explain(error));
    }
  }

  /** `speed` is a factor; with `skipPauses` long ones are cut short. */
  set(options) {
    Object.assign(this.#options, options);
    this.#engine?.set(this.#options);
  }

  async #open() {
    const recording = this.#place.dataset;
    this.#say("Loading …");
    const engine = await (recording.kind === "terminal" ? openTerminal : openVideo)(recording, this.#say);
    this.#place.replaceChildren(engine.element);
    engine.set(this.#options);
    engine.element.tabIndex = -1;
    engine.element.focus();
    return engine;
  }

  #press(event) {
    const { target, key } = event;
    if (target !== document.body && !this.#place.contains(target)) return;
    if (event.altKey || event.ctrlKey || event.metaKey || !KEYS.test(key)) return;
    if (target instanceof HTMLButtonElement && key === " ") return;
    if (this.#engine) {
      if (!this.#engine.press(event)) return;
    } else if (key === " ") {
      this.playFrom(0);
    } else {
      return;
    }
    event.preventDefault();
  }
}
