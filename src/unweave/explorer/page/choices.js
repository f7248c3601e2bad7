// Where to start from: images of the data set, by sight, by number or by their factors.

import * as server from "./server.js";
import { button, canvas, el, grouped, paint } from "./dom.js";

const SHOWN = 12;

export class Choices {
  constructor(panel) {
    this.panel = panel;
    this.gallery = el("div", { class: "gallery" });
    this.factors = el("div", { class: "factors" });
    this.number = el("input", { type: "number", min: 0, step: 1, inputmode: "numeric" });
    this.number.addEventListener("change", () => {
      const row = Number(this.number.value);
      if (this.number.value !== "" && Number.isInteger(row)) panel.try(() => panel.fromRow(row));
    });
    this.hint = el("span", { class: "hint" });
    this.node = el("details", { class: "choose" }, el("summary", {}, "Choose an image"), this.gallery,
      el("div", { class: "line" }, button("Others", () => panel.try(() => this.fill())),
        el("label", {}, "Number ", this.number), this.hint),
      this.factors);
    this.node.addEventListener("toggle", () => {
      if (this.node.open && !this.gallery.children.length) panel.try(() => this.fill());
    });
  }

  build() {
    const { rows, factors } = this.panel.about;
    this.node.hidden = !rows;
    this.number.max = rows - 1;
    this.hint.textContent = `0 to ${grouped(rows - 1)}`;
    this.gallery.replaceChildren();
    if (this.node.open) this.panel.try(() => this.fill());
    this.sliders = factors.map(([name, size], place) => {
      const output = el("output", {}, "");
      const slider = el("input", { type: "range", min: 0, max: size - 1, step: 1, value: 0, autocomplete: "off", "aria-label": `Factor ${name}` });
      slider.addEventListener("input", () => this.ask(place));
      return { slider, output, node: el("label", { class: "factor" }, el("span", {}, name), slider, output) };
    });
    const words = "Or by its factors: watch which latents follow.";
    this.factors.replaceChildren(...(factors.length ? [el("p", { class: "hint" }, words)] : []),
      ...this.sliders.map((one) => one.node));
  }

  // Factors move like latents: one question at a time, the last one counts. Where no image has these very levels, the
  // others give way.
  async ask(moved) {
    this.tell();
    this.moved = moved;
    this.again = true;
    if (this.asking) return;
    this.asking = true;
    while (this.again) {
      this.again = false;
      await this.panel.try(() => this.panel.fromLevels(this.sliders.map((one) => Number(one.slider.value)), this.moved));
    }
    this.asking = false;
  }

  tell() {
    for (const { slider, output } of this.sliders) {
      output.textContent = `${Number(slider.value) + 1} of ${Number(slider.max) + 1}`;
      slider.setAttribute("aria-valuetext", output.textContent);
    }
  }

  // What the picture started from.
  show() {
    const { row, levels } = this.panel.origin;
    this.number.value = row ?? "";
    levels?.forEach((level, place) => {
      const own = this.sliders[place];
      if (own && (!this.asking || place !== this.moved)) own.slider.value = level;
    });
    this.tell();
  }

  async fill() {
    const { panel } = this, { rows } = panel.about, { run, shape } = panel;
    const chosen = Array.from({ length: Math.min(SHOWN, rows) }, () => Math.floor(Math.random() * rows));
    const pixels = await server.pictures(run, chosen);
    if (run !== panel.run) return;
    const size = shape[0] * shape[1] * shape[2];
    this.gallery.replaceChildren(...chosen.map((row, place) => {
      const picture = canvas(shape);
      paint(picture, pixels.subarray(place * size, (place + 1) * size), shape);
      const start = () => panel.try(() => panel.fromRow(row));
      return el("button", { type: "button", class: "thumb", "aria-label": `Start from image ${row}`, onclick: start }, picture);
    }));
  }
}
