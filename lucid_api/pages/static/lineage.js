// The lineage of a session as it goes on.

const SOON = 2000;
const LATER = 15000;
const MOVING = ["queued", "in_progress"];
const SHOWN = {
  materialized: ["good", "made"],
  queued: ["busy", "queued"],
  in_progress: ["busy", "in progress"],
  failed: ["bad", "failed"],
  missing: ["", "not yet"],
};

/** `list` has the address of the lineage as data, and an item with the name of each stage. */
export async function followLineage(list) {
  const summary = document.getElementById("lineage-summary");
  for (;;) {
    let wait = LATER;
    const response = document.hidden ? undefined : await fetch(list.dataset.url).catch(() => undefined);
    if (response?.ok) {
      const { assets, dagster } = await response.json();
      assets.forEach((asset) => show(list.querySelector(`[data-stage=${asset.name}]`), asset));
      tell(summary, assets, dagster);
      if (assets.every(({ state }) => state === "materialized")) return;
      if (assets.some(({ state }) => MOVING.includes(state))) wait = SOON;
    }
    await new Promise((resolve) => setTimeout(resolve, wait));
  }
}

function show(item, { state, materialized_at: at, reason, run_id: run }) {
  const [tone, words] = SHOWN[state];
  const badge = item.querySelector(".state");
  badge.className = `state ${tone}`;
  badge.textContent = words;
  item.querySelector(".when").textContent = at ? at.slice(0, 16).replace("T", " ") : (reason ?? "");
  const link = item.querySelector("a");
  link.hidden = !run;
  if (run) link.href = `/runs/${run}`;
}

/** Written only where it changes, since it is read out. */
function tell(summary, assets, dagster) {
  const made = assets.filter(({ state }) => state === "materialized").length;
  const failed = assets.find(({ state }) => state === "failed");
  const away = dagster === "away" ? " Dagster does not answer: this is what the catalog knows." : "";
  const text = `${made} of ${assets.length} made.${failed ? ` ${failed.name} failed.` : ""}${away}`;
  if (summary.textContent !== text) summary.textContent = text;
}
