// Times of a recording, and those that a player shows which cuts its pauses short.

export class Clock {
  /** For each pause that is cut short: when it ends as recorded, and how much has been cut up to there. */
  #cuts = [];
  #longest;

  /** `cast` is the text of an asciicast, version 2 or 3; `longest` the seconds that are left of a pause. */
  constructor(cast, longest) {
    this.#longest = longest;
    if (longest === Infinity) return;
    let previous = 0;
    let cut = 0;
    for (const time of eventTimes(cast)) {
      if (time - previous > longest) {
        cut += time - previous - longest;
        this.#cuts.push({ end: time, cut });
      }
      previous = time;
    }
  }

  /** What the player shows at a time of the recording. */
  shown(recorded) {
    let before = 0;
    for (const { end, cut } of this.#cuts) {
      if (recorded < end) return Math.min(recorded - before, end - cut);
      before = cut;
    }
    return recorded - before;
  }

  /** The time of the recording at which the player stands. */
  recorded(shown) {
    let before = 0;
    for (const { end, cut } of this.#cuts) {
      if (shown < end - cut) return shown + before;
      before = cut;
    }
    return shown + before;
  }
}

/** Whether the times of a cast count from the event before, and not from its beginning. */
export function isRelative(cast) {
  return JSON.parse(cast.slice(0, cast.indexOf("\n"))).version === 3;
}

function* eventTimes(cast) {
  const relative = isRelative(cast);
  let time = 0;
  for (const line of cast.split("\n")) {
    if (line.startsWith("[")) {
      const given = parseFloat(line.slice(1));
      time = relative ? time + given : given;
      yield time;
    }
  }
}
