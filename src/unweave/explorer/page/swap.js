// One latent exchanged between two images: what changes is what that latent means.

import * as server from "./server.js";
import { button, canvas, el, grouped, paint, save } from "./dom.js";

class Holder {
  constructor(swap, letter) {
    Object.assign(this, { swap, letter, z: null });
    this.words = el("figcaption", {});
    this.input = el("input", { type: "file", accept: "image/*", hidden: true });
    this.input.addEventListener("change", () => {
      const [file] = this.input.files;
      this.input.value = "";
      if (file) swap.panel.try(async () => this.put((await swap.panel.read(file)).z, file.name.slice(0, 40)));
    });
    this.figure = el("figure", {});
    this.node = el("div", { class: "holder" }, this.figure, this.input, el("div", { class: "buttons" },
      button("Large picture", () => this.put([...swap.panel.z], "the large picture"), { "aria-label": `${letter}: use the large picture` }),
      button("Random", () => swap.panel.try(() => this.random()), { "aria-label": `${letter}: use a random image` }),
      button("Upload…", () => this.input.click(), { "aria-label": `${letter}: upload an image` })));
  }

  async random() {
    const { panel } = this.swap, { run, space, about } = panel;
    if (about.rows) {
      const row = Math.floor(Math.random() * about.rows);
      const found = await server.row(run, space, row);
      if (this.swap.current(run, space)) await this.put(found.z, `image ${grouped(row)}`);
    } else {
      const seed = Math.floor(Math.random() * 1e6);
      await this.put(await server.sample(run, seed), `sample ${seed}`);
    }
  }

  put(z, words) {
    this.z = z;
    this.words.textContent = `${this.letter}: ${words}`;
    return this.swap.draw();
  }
}

export class Swap {
  constructor(node) {
    this.node = node;
    this.a = new Holder(this, "A");
    this.b = new Holder(this, "B");
    this.which = el("select", { autocomplete: "off", onchange: () => this.draw() });
    this.results = [el("figcaption", {}), el("figcaption", {})];
    this.figures = [el("figure", {}), el("figure", {})];
    const use = (place) => button("Go on with this", () => this.panel.try(() => this.take(place)), { "aria-label": `Go on with ${place ? "B" : "A"} after the exchange` });
    node.replaceChildren(
      el("h2", { id: "swap-title" }, "Exchange one latent between two images"),
      el("p", { class: "lede" }, "Everything else stays: what changes in both pictures is what this latent means."),
      el("div", { class: "line" }, el("label", {}, "Latent to exchange ", this.which),
        button("Save PNG", () => this.panel.try(() => this.save()), { "aria-label": "Save the exchange as PNG" })),
      el("div", { class: "swap" }, this.a.node, this.b.node,
        el("div", { class: "holder result" }, this.figures[0], use(0)),
        el("div", { class: "holder result" }, this.figures[1], use(1))));
  }

  current(run, space) { return this.panel.run === run && this.panel.space === space; }

  // A run or a space was opened: its latents to choose from, its pictures to begin with.
  async open(panel) {
    this.panel = panel;
    const { shape } = panel;
    this.canvases = ["Image A", "Image B", "A with the latent of B", "B with the latent of A"].map((words) => canvas(shape, words));
    const captions = [this.a.words, this.b.words, ...this.results];
    [this.a.figure, this.b.figure, ...this.figures].forEach((figure, place) => {
      figure.replaceChildren(this.canvases[place], captions[place]);
    });
    this.called();
    this.a.z = this.b.z = null;
    this.a.put([...panel.z], "where the large picture began");
    await panel.try(() => this.b.random());
  }

  called() {
    const chosen = this.which.value;
    const rows = this.panel.latents.rows.filter((row) => row.unit.alive);
    this.which.replaceChildren(...rows.map((row) => {
      const words = row.title === row.unit.label ? row.title : `${row.title} (${row.unit.label})`;
      return el("option", { value: row.unit.latents.join(" ") }, words);
    }));
    if (rows.some((row) => row.unit.latents.join(" ") === chosen)) this.which.value = chosen;
    this.tell();
  }

  tell() {
    const name = this.which.selectedOptions[0]?.textContent.replace(/ \(.*/, "") ?? "latent";
    this.results[0].textContent = `A with the ${name} of B`;
    this.results[1].textContent = `B with the ${name} of A`;
  }

  codes() {
    const a = [...this.a.z], b = [...this.b.z];
    for (const latent of this.which.value.split(" ").filter(Boolean).map(Number)) {
      a[latent] = this.b.z[latent];
      b[latent] = this.a.z[latent];
    }
    return [this.a.z, this.b.z, a, b];
  }

  async draw() {
    if (!this.a.z || !this.b.z) return;
    this.tell();
    const { panel } = this, { run, space, shape } = panel;
    await panel.try(async () => {
      const pixels = await server.decode(run, space, this.codes());
      if (!this.current(run, space)) return;
      const size = pixels.length / 4;
      this.canvases.forEach((node, place) => paint(node, pixels.subarray(place * size, (place + 1) * size), shape));
    });
  }

  take(place) {
    const origin = { kind: "hand", row: null, pixels: null, words: this.results[place].textContent };
    window.scrollTo({ top: 0 });
    return this.panel.start(this.codes()[2 + place], origin);
  }

  async save() {
    save(await server.file(this.panel.run, this.panel.space, "png", this.codes(), 2), "exchange.png");
  }
}
