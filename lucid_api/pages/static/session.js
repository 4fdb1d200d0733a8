// The page of a session: its player, and the transcript that goes by the same clock.

import { Player } from "./player.js";
import { openTranscript } from "./transcript.js";

const screen = document.getElementById("screen");
const transcript = document.getElementById("transcript");

if (screen) {
  const said = document.getElementById("player-says");
  const options = document.getElementById("player-options");
  const player = new Player(screen, (text) => (said.textContent = text));
  const { speed, pauses } = options.elements;
  const set = () => player.set({ speed: Number(speed.value), skipPauses: pauses?.checked ?? false });
  options.addEventListener("change", set);
  options.addEventListener("submit", (event) => event.preventDefault());
  set();
  if (transcript) openTranscript(transcript, player);
}
