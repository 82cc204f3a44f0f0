// Key figures to draw with while the console is developed without insights. INVENTED NUMBERS: seeded noise around a daily
// rhythm, never shown by the product. `--insights URL` of the server uses a real one instead.

function noise(seed) {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

/** Minute rows of an active version and, for the last two hours, a candidate. */
export function kpis(from, to, by, now) {
  const step = by === "day" ? 86_400_000 : 60_000;
  const rows = [];
  for (let start = Math.floor(from / step) * step; start < to; start += step) {
    const random = noise(start / step);
    const arms = [["shop-v3", "active", 0.118, 240]];
    if (start > now - 2 * 3_600_000) arms.push(["shop-v4", "candidate", 0.127, 60]);
    for (const [version, arm, level, lists] of arms) {
      const rhythm = 1 + 0.12 * Math.sin((start / 3_600_000) * 0.9);
      const shown = Math.round(lists * (0.85 + 0.3 * random()));
      const clicks = Math.round(shown * level * rhythm * (0.85 + 0.3 * random()));
      const accepts = Math.round(clicks * 0.6);
      const declines = Math.round(shown * 0.02);
      rows.push({
        start: new Date(start).toISOString(), version, arm, placement: "order_entry", lists: shown, items: shown * 8, clicks, clicked_lists: clicks,
        ctr: clicks / shown, accepts, accept_rate: accepts / shown, declines, conversions: Math.round(accepts * 0.5),
        revenue: (accepts * 3.35).toFixed(2), coverage: 0.41, diversity: 0.73,
      });
    }
  }
  return { rows };
}
