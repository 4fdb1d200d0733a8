// The page of a session: player and transcript go by one clock; the lineage is followed until it has come to its end.

import { followLineage } from "./lineage.js";
import { Player } from "./player.js";
import { openTranscript } from "./transcript.js";

const screen = document.getElementById("screen");
if (screen) {
  const said = document.getElementById("player-says");
  const player = new Player(screen, (text) => (said.textContent = text));
  const { speed, pauses } = document.getElementById("player-options").elements;
  const set = () => player.set({ speed: Number(speed.value), skipPauses: pauses?.checked ?? false });
  document.getElementById("player-options").addEventListener("change", set);
  set();
  openTranscript(document.getElementById("transcript"), player);
  const wanted = new URLSearchParams(location.hash.slice(1)).get("t");
  if (wanted) player.startAt = Number(wanted);
}
followLineage(document.getElementById("lineage"));
