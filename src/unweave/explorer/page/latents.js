// The sliders of a run: one a latent or block, its strip under it, its name beside it.

import * as server from "./server.js";
import { button, canvas, el, paint, save, told } from "./dom.js";

const FRAMES = 9, MOVING = 17, REST = 140, SHEET = 14;

const ORDERS = {
  information: (a, b) => b.worth - a.worth,
  KL: (a, b) => (b.kl ?? -1) - (a.kl ?? -1),
  factor: (a, b) => (a.factor || "\uffff").localeCompare(b.factor || "\uffff") || (b.told ?? 0) - (a.told ?? 0),
  number: (a, b) => a.latents[0] - b.latents[0],
};

// The middle of each of `count` equal parts of a unit's range.
function frames(unit, count) {
  return Array.from({ length: count }, (_, k) => unit.low + ((k + 0.5) * (unit.high - unit.low)) / count);
}

function codes(z, latents, values) {
  return values.map((value) => {
    const code = [...z];
    for (const latent of latents) code[latent] = value;
    return code;
  });
}

class Row {
  constructor(panel, unit) {
    Object.assign(this, { panel, unit });
    this.name = el("input", { type: "text", class: "name", maxlength: 60, autocomplete: "off", spellcheck: "false", placeholder: unit.factor || unit.label });
    this.name.addEventListener("change", () => this.rename());
    this.name.addEventListener("keydown", (event) => { if (event.key === "Enter") this.name.blur(); });
    const facts = [unit.label];
    if (unit.factor) facts.push(`${unit.factor} ${told(unit.told)}`);
    if (unit.kl !== null) facts.push(`${told(unit.kl)} nats`);
    this.output = el("output", {});
    this.slider = this.range(unit.latents, unit.low, unit.high, this.output);
    this.strip = canvas(panel.shape, null, FRAMES);
    this.strip.className = "strip-canvas";
    this.strip.title = "Click a picture to go there";
    this.strip.addEventListener("click", (event) => {
      const box = this.strip.getBoundingClientRect();
      const k = Math.min(FRAMES - 1, Math.max(0, Math.floor((FRAMES * (event.clientX - box.left)) / box.width)));
      panel.set(unit.latents, frames(unit, FRAMES)[k]);
      this.show();
    });
    const tools = el("span", { class: "tools" },
      button("PNG", () => this.save("png", FRAMES)), button("GIF", () => this.save("gif", MOVING)),
      button("↺", () => { this.back(); this.slider.focus(); }));
    this.tools = [...tools.children];
    this.node = el("div", { class: "latent" },
      el("div", { class: "who" }, this.name, el("span", { class: "facts-line" }, facts.join(" · "))),
      el("div", { class: "move" }, this.slider, this.strip), this.output, tools);
    this.inner = [];
    if (unit.latents.length > 1) {
      const inside = unit.latents.map((latent) => {
        const output = el("output", {});
        const slider = this.range([latent], panel.known.low[latent], panel.known.high[latent], output);
        slider.setAttribute("aria-label", `latent ${latent}`);
        this.inner.push({ latent, slider, output });
        return el("label", { class: "factor" }, el("span", {}, `latent ${latent}`), slider, output);
      });
      this.node.append(el("details", { class: "inside" }, el("summary", {}, "Each latent of this block"), ...inside));
    }
    this.called();
  }

  range(latents, low, high, output) {
    const { panel } = this;
    const slider = el("input", { type: "range", min: low, max: high, step: (high - low) / 200, autocomplete: "off" });
    slider.addEventListener("input", () => {
      panel.set(latents, Number(slider.value));
      this.show();
    });
    slider.addEventListener("keydown", (event) => {
      if (event.key === "Delete" || event.key === "Backspace") this.back();
    });
    return slider;
  }

  // What it is called: the name given by hand, else the factor that it tells most of, else its number.
  get title() { return this.panel.known.names[this.unit.latents.join(" ")] || this.unit.factor || this.unit.label; }

  called() {
    this.name.value = this.panel.known.names[this.unit.latents.join(" ")] || "";
    const who = this.title === this.unit.label ? this.title : `${this.title}, ${this.unit.label}`;
    this.name.setAttribute("aria-label", `Name of ${this.unit.label}`);
    this.slider.setAttribute("aria-label", who);
    const does = ["Save this traversal as PNG", "Save this traversal as GIF", "Put back"];
    this.tools.forEach((tool, place) => {
      tool.setAttribute("aria-label", `${tool.textContent === "↺" ? "Put back" : tool.textContent}: ${who}`);
      tool.title = does[place];
    });
  }

  rename() {
    const { panel, unit } = this, key = unit.latents.join(" "), name = this.name.value.trim();
    return panel.try(async () => {
      // On the page at once, and for good if the run's folder keeps it.
      panel.known.names = { ...panel.known.names, [key]: name };
      this.called();
      panel.desk.changed(panel);
      try {
        panel.known.names = await server.name(panel.run, unit.latents, name);
      } finally {
        panel.desk.named(panel);
      }
    });
  }

  value() {
    const { latents } = this.unit;
    return latents.reduce((sum, latent) => sum + this.panel.z[latent], 0) / latents.length;
  }

  show() {
    const put = (slider, output, value) => {
      slider.value = value;
      output.textContent = told(value);
      slider.setAttribute("aria-valuetext", told(value));
    };
    put(this.slider, this.output, this.value());
    for (const { latent, slider, output } of this.inner) put(slider, output, this.panel.z[latent]);
  }

  back() {
    const { panel, unit } = this;
    for (const latent of unit.latents) panel.set([latent], panel.first[latent]);
    this.show();
  }

  async draw(signal) {
    const { panel, unit } = this;
    const pixels = await server.decode(panel.run, panel.space, codes(panel.z, unit.latents, frames(unit, FRAMES)), signal);
    if (!signal.aborted) paint(this.strip, pixels, panel.shape);
  }

  save(kind, count) {
    const { panel, unit } = this;
    return panel.try(async () => {
      const values = frames(unit, count);
      const name = this.title.replace(/[^\p{L}\p{N}]+/gu, "-");
      save(await server.file(panel.run, panel.space, kind, codes(panel.z, unit.latents, values), count), `${name}.${kind}`);
    });
  }
}

export class Latents {
  constructor(panel) {
    this.panel = panel;
    this.rows = [];
    this.order = el("select", { autocomplete: "off", onchange: () => { this.arrange(); this.strips(); } });
    this.films = el("input", { type: "checkbox", checked: true, autocomplete: "off" });
    this.films.addEventListener("change", () => {
      this.node.classList.toggle("bare", !this.films.checked);
      this.strips();
    });
    const all = button("Save all strips", () => this.save());
    const head = el("div", { class: "line" }, el("label", {}, "Sort by ", this.order),
      el("label", {}, this.films, " Strips"), all);
    this.list = el("div", {});
    this.dead = el("details", { class: "dead" });
    this.dead.addEventListener("toggle", () => this.strips());
    this.node = el("div", { class: "latents" }, head, this.list, this.dead);
  }

  build() {
    const { units } = this.panel.known;
    const factors = units.some((unit) => unit.factor);
    const orders = Object.keys(ORDERS).filter((name) => factors || (name !== "factor" && name !== "information"));
    this.order.replaceChildren(...orders.map((name) => el("option", { value: name }, name)));
    this.rows = units.map((unit) => new Row(this.panel, unit));
    this.arrange();
  }

  arrange() {
    const sorted = [...this.rows].sort((a, b) => ORDERS[this.order.value](a.unit, b.unit));
    const idle = sorted.filter((row) => !row.unit.alive);
    const words = `${idle.length} unused latent${idle.length === 1 ? "" : "s"}`;
    this.list.replaceChildren(...sorted.filter((row) => row.unit.alive).map((row) => row.node));
    this.dead.hidden = !idle.length;
    this.dead.replaceChildren(el("summary", {}, words), ...idle.map((row) => row.node));
  }

  called() { this.rows.forEach((row) => row.called()); }

  show() { this.rows.forEach((row) => row.show()); }

  rest(latents) {
    for (const row of this.rows) {
      if (row.unit.latents.some((latent) => latents.includes(latent))) row.show();
    }
    clearTimeout(this.waiting);
    this.waiting = setTimeout(() => this.strips(), REST);
  }

  // One strip at a time, so that the large picture never waits for more than one of them; a change starts over.
  async strips() {
    clearTimeout(this.waiting);
    this.stop?.abort();
    const stop = new AbortController();
    this.stop = stop;
    if (!this.films.checked) return;
    const visible = this.rows.filter((row) => row.unit.alive || this.dead.open);
    const shown = [...visible].sort((a, b) => a.node.offsetTop - b.node.offsetTop);
    try {
      for (const row of shown) {
        if (stop.signal.aborted) return;
        await row.draw(stop.signal);
      }
      this.node.dataset.drawn = String(Number(this.node.dataset.drawn || 0) + 1);
    } catch (error) {
      if (error.name !== "AbortError") this.panel.say(error.message, true);
    }
  }

  save() {
    const { panel } = this;
    return panel.try(async () => {
      const rows = this.rows.filter((row) => row.unit.alive).slice(0, SHEET);
      const every = rows.flatMap((row) => codes(panel.z, row.unit.latents, frames(row.unit, FRAMES)));
      save(await server.file(panel.run, panel.space, "png", every, FRAMES), "traversals.png");
    });
  }
}
