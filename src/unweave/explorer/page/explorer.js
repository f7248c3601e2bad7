// The page: one panel or two, what lies under them, and the address that holds it all.

import * as address from "./address.js";
import * as server from "./server.js";
import { el, median, same } from "./dom.js";
import { Panel } from "./panel.js";
import { Swap } from "./swap.js";

const at = (id) => document.getElementById(id);
const RECENT = 50;

class Desk {
  constructor(runs) {
    Object.assign(this, { runs, panels: [], tables: [], times: [] });
    this.swap = new Swap(at("swap"));
    at("compare").addEventListener("click", () => this.compare());
    addEventListener("hashchange", () => this.restore());
  }

  async begin() {
    const kept = address.read();
    await this.add(kept[0] ?? { run: 0, space: 0, z: [], row: null });
    if (kept[1]) await this.add(kept[1]);
  }

  async add({ run, space, z, row }) {
    const panel = new Panel(this.runs, this), table = el("section", { class: "tables-of-run" });
    this.panels.push(panel);
    this.tables.push(table);
    at("panels").append(panel.node);
    at("tables").append(table);
    this.arrange();
    try {
      await panel.open(run, space, z, row);
    } catch (error) {
      at("message").textContent = error.message;
    }
  }

  arrange() {
    const two = this.panels.length > 1;
    for (const id of ["panels", "tables"]) at(id).classList.toggle("two", two);
    at("compare").setAttribute("aria-pressed", String(two));
    at("together").hidden = !two;
  }

  async compare() {
    if (this.panels.length > 1) {
      this.panels.pop().node.remove();
      this.tables.pop().remove();
      this.arrange();
      this.changed();
      return;
    }
    const [first] = this.panels;
    const run = this.runs.length > 1 ? (first.run + 1) % this.runs.length : first.run;
    const space = run === first.run ? Math.min(first.space + 1, first.about.spaces.length - 1) : 0;
    const row = same(this.runs[run].shape, first.shape) && this.runs[run].data === first.about.data ? first.origin.row : null;
    await this.add({ run, space, z: [], row });
  }

  // An address that was put in by hand.
  async restore() {
    const kept = address.read();
    if (!kept.length) return;
    while (this.panels.length > kept.length) await this.compare();
    for (const [place, one] of kept.entries()) {
      if (this.panels[place]) await this.panels[place].open(one.run, one.space, one.z, one.row);
      else await this.add(one);
    }
  }

  async opened(panel) {
    const place = this.panels.indexOf(panel);
    if (place < 0) return;
    if (place === 0) {
      at("title").textContent = panel.about.title;
      document.title = `${panel.about.title} · unweave explorer`;
      this.swap.open(panel);
    }
    const head = this.panels.length > 1 || this.runs.length > 1 ? `${panel.about.title}, seed ${panel.about.seed}` : panel.about.title;
    const steps = `step ${panel.about.step} of ${panel.about.steps}${panel.about.failed ? ", failed there" : ""}`;
    try {
      const html = await server.tables(panel.run, panel.space);
      const body = el("div", {});
      body.innerHTML = html;
      this.tables[place]?.replaceChildren(el("h2", {}, head), el("p", { class: "lede" }, `${panel.about.spaces[panel.space]}, ${steps}`), body);
    } catch (error) {
      panel.say(error.message, true);
    }
  }

  started(panel) {
    const other = this.panels.find((one) => one !== panel);
    if (other && at("linked").checked) other.follow(panel);
  }

  changed() { address.write(this.panels.filter((panel) => panel.z.length)); }

  // A name belongs to the run, whichever panel shows it.
  named(panel) {
    for (const one of this.panels) {
      if (one.run === panel.run) {
        one.known.names = panel.known.names;
        one.latents.called();
      }
    }
    if (panel === this.panels[0]) this.swap.called();
  }

  timed(milliseconds) {
    this.times = [...this.times.slice(1 - RECENT), milliseconds];
    const middle = median(this.times);
    at("speed").textContent = `From slider to picture: ${middle.toFixed(0)} ms.`;
    at("speed").dataset.times = this.times.map((time) => time.toFixed(1)).join(" ");
  }
}

try {
  const { runs } = await server.about();
  await new Desk(runs).begin();
  document.body.dataset.ready = "yes";
} catch (error) {
  at("message").textContent = error.message;
}
