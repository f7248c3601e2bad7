// The state of the page, in its address: run, space, code and image of each panel. Nothing of it is on the server.

export function read() {
  const values = new URLSearchParams(location.hash.slice(1));
  const panels = [];
  for (const mark of ["", "2"]) {
    if (!values.has(`run${mark}`)) continue;
    const z = (values.get(`z${mark}`) || "").split(",").filter(Boolean).map(Number);
    const row = values.get(`row${mark}`);
    panels.push({
      run: Number(values.get(`run${mark}`)) || 0,
      space: Number(values.get(`space${mark}`)) || 0,
      z: z.every(Number.isFinite) ? z : [],
      row: row === null || !/^\d+$/.test(row) ? null : Number(row),
    });
  }
  return panels;
}

let waiting = 0;

// Soon, not at once: browsers refuse an address that changes with every move of a slider.
export function write(panels) {
  clearTimeout(waiting);
  waiting = setTimeout(() => {
    const words = [];
    panels.forEach((panel, place) => {
      const mark = place ? "2" : "";
      words.push(`run${mark}=${panel.run}`, `space${mark}=${panel.space}`);
      if (panel.z.length <= 256) words.push(`z${mark}=${panel.z.map((v) => Number(v.toFixed(4))).join(",")}`);
      if (panel.origin.row !== null) words.push(`row${mark}=${panel.origin.row}`);
    });
    history.replaceState(null, "", `#${words.join("&")}`);
  }, 250);
}
