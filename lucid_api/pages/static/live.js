// Parts of a page that change: the service renders them anew, and they are asked for while there is something to see.
//
// A place names its part by `data-live`. It is asked for often while it says `data-moving`, and no more once it says
// `data-settled`. What it says by `data-summary` is read out when it changes.

const SOON = 1000;
const LATER = 15000;
const FOCUSABLE = "a, button";

for (const place of document.querySelectorAll("[data-live]")) follow(place);

async function follow(place) {
  const spoken = document.createElement("p");
  spoken.className = "unseen";
  spoken.role = "status";
  place.after(spoken);
  let moved = false;
  for (let shown = ""; !place.querySelector("[data-settled]"); ) {
    const part = document.hidden ? undefined : await ask(place.dataset.live);
    if (part !== undefined && part !== shown) {
      shown = part;
      show(place, part);
      spoken.textContent = place.querySelector("[data-summary]")?.dataset.summary ?? "";
    }
    const moves = Boolean(place.querySelector("[data-moving]"));
    if (moved && !moves) document.dispatchEvent(new Event("asked"));
    moved = moves;
    await pause(moves ? SOON : LATER);
  }
}

async function ask(url) {
  const response = await fetch(url, { headers: { Accept: "text/html" } }).catch(() => undefined);
  return response?.ok ? response.text() : undefined;
}

/** Keeps the focus where it is. */
function show(place, part) {
  const focused = [...place.querySelectorAll(FOCUSABLE)].indexOf(document.activeElement);
  place.innerHTML = part;
  if (focused >= 0) place.querySelectorAll(FOCUSABLE)[focused]?.focus();
}

/** Until the time is over, or the service has been asked to do something, or has done it. */
function pause(milliseconds) {
  return new Promise((resolve) => {
    setTimeout(resolve, milliseconds);
    document.addEventListener("asked", resolve, { once: true });
  });
}
