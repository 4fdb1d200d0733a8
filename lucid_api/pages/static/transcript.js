// What was on the screen, as text: search it, read it, and jump to where it was written.

import { explain, good } from "./problems.js";

const MOST_FOUND = 500;

/** `place` has the addresses as data, a form, a list for what is found and one for all lines. */
export function openTranscript(place, player) {
  const form = place.querySelector("form");
  const status = place.querySelector("[role=status]");
  const found = place.querySelector("[data-found]");
  const lines = place.querySelector("[data-lines]");
  const more = place.querySelector("[data-read]");
  let next = place.dataset.transcript;

  const attempt = (act) => act().catch((error) => (status.textContent = explain(error)));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    attempt(() => search(form.elements.q.value));
  });
  more.addEventListener("click", () => attempt(read));
  setInterval(() => follow(lines, player.time), 500);

  async function search(q) {
    status.textContent = "Searching …";
    found.replaceChildren();
    let page = { next: `${place.dataset.matches}?${new URLSearchParams({ q })}` };
    let damaged = false;
    while (page.next && found.children.length < MOST_FOUND) {
      page = await ask(page.next);
      damaged ||= page.damages.length > 0;
      found.append(...page.matches.map(({ time_ms, before, text, after }) => row(time_ms, before, mark(text), after)));
    }
    found.hidden = !found.children.length;
    const count = found.children.length;
    say(`${count || "No"} ${count === 1 ? "place" : "places"} found.`, damaged);
  }

  async function read() {
    status.textContent = "Reading …";
    let page = { next, lines: [] };
    while (page.next && !page.lines.length) page = await ask(page.next);
    lines.hidden = false;
    lines.append(...page.lines.map(({ end_ms, text }) => row(end_ms, text)));
    next = page.next;
    more.hidden = !next;
    more.textContent = "Show more";
    say("", page.damages.length > 0);
  }

  function say(words, damaged) {
    status.textContent = words + (damaged ? " Parts of the recording are damaged, and left out." : "");
  }

  function row(ms, ...parts) {
    const item = document.createElement("li");
    const jump = document.createElement("button");
    const text = document.createElement("span");
    item.dataset.ms = ms;
    jump.type = "button";
    jump.className = "plain";
    jump.textContent = clock(ms);
    jump.addEventListener("click", () => player.playFrom(ms / 1000));
    text.className = "text";
    text.append(...parts);
    item.append(jump, text);
    return item;
  }
}

/** A page, and where the next one is, if there is one. */
async function ask(url) {
  const response = await good(await fetch(url));
  const [, next] = response.headers.get("Link")?.match(/<([^>]*)>; rel="next"/) ?? [];
  return { ...(await response.json()), next };
}

/** Shows which line is the newest at a time; lines have theirs rounded to milliseconds. */
function follow(lines, seconds) {
  if (seconds === undefined) return;
  const newest = [...lines.children].findLast((item) => item.dataset.ms <= Math.ceil(seconds * 1000));
  const shown = lines.querySelector("[aria-current]");
  if (newest === shown) return;
  shown?.removeAttribute("aria-current");
  newest?.setAttribute("aria-current", "true");
  if (newest) lines.scrollTop = newest.offsetTop - lines.clientHeight / 2;
}

function mark(text) {
  const marked = document.createElement("mark");
  marked.textContent = text;
  return marked;
}

function clock(ms) {
  const pad = (number) => String(Math.floor(number)).padStart(2, "0");
  const seconds = ms / 1000;
  const [hours, minutes] = [Math.floor(seconds / 3600), (seconds / 60) % 60];
  return hours ? `${hours}:${pad(minutes)}:${pad(seconds % 60)}` : `${Math.floor(minutes)}:${pad(seconds % 60)}`;
}
