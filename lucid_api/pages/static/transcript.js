// What was on the screen, as text: search it, read it, and jump to where it was written.

import { explain, good } from "./problems.js";

/** `place` has the addresses as data, a form to search, a list for what is found and one for the lines. */
export function openTranscript(place, player) {
  const form = place.querySelector("form");
  const status = place.querySelector("[role=status]");
  const found = place.querySelector("[data-found]");
  const lines = place.querySelector("[data-lines]");
  const more = place.querySelector("[data-read]");
  const trouble = (error) => (status.textContent = explain(error));

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const q = form.elements.q.value;
    if (q) search(q).catch(trouble);
  });
  more.addEventListener("click", () => read().catch(trouble));
  setInterval(() => follow(lines, player.time), 500);

  async function search(q) {
    status.textContent = "Searching …";
    const { matches } = await ask(place.dataset.matches, { q });
    found.hidden = !matches.length;
    found.replaceChildren(...matches.map(({ time_ms: ms, before, text, after }) => item(ms, [before, mark(text), after])));
    status.textContent = matches.length ? `${matches.length} places` : "Not found";
  }

  let next = place.dataset.transcript;
  async function read() {
    status.textContent = "Reading …";
    const page = await ask(next);
    lines.hidden = false;
    lines.append(...page.lines.map(({ end_ms: ms, text }) => item(ms, [text])));
    next = page.next;
    more.hidden = !next;
    status.textContent = "";
  }

  function item(ms, parts) {
    const row = document.createElement("li");
    const button = document.createElement("button");
    const text = document.createElement("span");
    button.type = "button";
    button.className = "plain";
    button.textContent = clock(ms);
    button.addEventListener("click", () => player.playFrom(ms / 1000));
    row.dataset.ms = ms;
    text.className = "text";
    text.append(...parts);
    row.append(button, text);
    return row;
  }
}

async function ask(address, parameters = {}) {
  const url = new URL(address, location.href);
  for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value);
  return (await good(await fetch(url))).json();
}

/** Shows which line is the newest at a time. */
function follow(lines, seconds) {
  if (seconds === undefined) return;
  const before = [...lines.children].findLast((row) => row.dataset.ms <= seconds * 1000);
  const current = lines.querySelector("[aria-current]");
  if (before === current) return;
  current?.removeAttribute("aria-current");
  before?.setAttribute("aria-current", "true");
}

function mark(text) {
  const mark = document.createElement("mark");
  mark.textContent = text;
  return mark;
}

function clock(ms) {
  const [minutes, seconds] = [Math.floor(ms / 60000), Math.floor(ms / 1000) % 60];
  const pad = (number) => String(number).padStart(2, "0");
  return minutes < 60 ? `${minutes}:${pad(seconds)}` : `${Math.floor(minutes / 60)}:${pad(minutes % 60)}:${pad(seconds)}`;
}
