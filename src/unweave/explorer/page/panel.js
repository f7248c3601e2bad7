// One run on show: the large picture, where it came from, and all sliders that move it.

import * as server from "./server.js";
import { button, canvas, el, grouped, paint, same, save } from "./dom.js";
import { Choices } from "./choices.js";
import { Latents } from "./latents.js";

const LARGEST = 16 * 1024 * 1024;
const nowhere = { kind: "hand", row: null, pixels: null, words: "A code put in by hand" };
const middle = { ...nowhere, words: "The middle of the model's codes" };

// Where a picture came from, as told beside a run of other data, where its number and its levels mean nothing.
const elsewhere = (origin, same) => same || origin.row === null ? origin
  : { ...origin, row: null, levels: undefined, words: `${origin.words} of the other run` };

export class Panel {
  // `desk` tells of changes and knows the other panel: see explorer.js.
  constructor(runs, desk) {
    Object.assign(this, { runs, desk, run: 0, space: 0, z: [], origin: nowhere, snapshots: [], opened: 0 });
    Object.assign(this, { busy: false, dirty: false, asked: 0, moved: false });
    this.node = el("section", { class: "panel" });
  }

  get about() { return this.runs[this.run]; }
  get shape() { return this.about.shape; }

  // Show a run's latent space, from a code and an image if they are given, else from where the run starts.
  async open(run, space, z = [], row = null) {
    const turn = ++this.opened;
    run = this.runs[run] ? run : 0;
    space = this.runs[run].spaces[space] ? space : 0;
    this.node.setAttribute("aria-busy", "true");
    const known = await server.space(run, space);
    if (turn !== this.opened) return;
    const other = !this.known || this.run !== run;
    Object.assign(this, { run, space, known });
    if (other) this.build();
    this.spaces.value = space;
    this.latents.build();
    this.choices.build();
    this.node.removeAttribute("aria-busy");
    this.say(known.trouble, Boolean(known.trouble));
    if (z.length !== this.about.latents) z = null;
    row = row ?? (z ? null : known.start.row);
    if (row !== null && row < this.about.rows) {
      try {
        await this.fromRow(row, z, false);
        this.desk.opened(this);
        return;
      } catch (error) { this.say(error.message, true); }
    }
    await this.start(z ?? known.start.z, z ? nowhere : middle, false);
    this.desk.opened(this);
  }

  build() {
    const option = (words, value) => el("option", { value: String(value) }, words);
    const title = (run) => `${run.title}, seed ${run.seed}`;
    this.picker = el("select", { onchange: () => this.reopen(Number(this.picker.value), 0) },
      ...this.runs.map((run, place) => option(title(run), place)));
    this.picker.value = this.run;
    this.spaces = el("select", { onchange: () => this.reopen(this.run, Number(this.spaces.value)) },
      ...this.about.spaces.map(option));
    this.screen = canvas(this.shape, `What ${this.about.title} draws`);
    this.small = canvas(this.shape, "The image that was encoded");
    this.words = el("p", { class: "origin", role: "status" });
    this.trouble = el("p", { class: "trouble", role: "alert" });
    this.input = el("input", { type: "file", accept: "image/*", hidden: true, onchange: () => this.taken() });
    this.shots = el("div", { class: "shots" });
    this.choices = new Choices(this);
    this.latents = new Latents(this);
    const head = el("div", { class: "pickers" },
      this.runs.length > 1 ? el("label", {}, "Run ", this.picker) : null,
      this.about.spaces.length > 1 ? el("label", {}, "Latent space ", this.spaces) : null);
    this.original = el("figure", { class: "original" }, this.small, el("figcaption", {}, "encoded from"));
    const screen = el("div", { class: "screen" },
      el("figure", { class: "drawn" }, this.screen), this.original);
    screen.addEventListener("dragover", (event) => event.preventDefault());
    screen.addEventListener("drop", (event) => {
      event.preventDefault();
      if (event.dataTransfer.files.length) this.upload(event.dataTransfer.files[0]);
    });
    const buttons = el("div", { class: "buttons" },
      button("New sample", () => this.try(() => this.sample(Math.floor(Math.random() * 1e6)))),
      this.about.rows ? button("Random image", () => this.try(() => this.randomRow())) : null,
      button("Upload…", () => this.input.click()),
      button("Reset", () => this.try(() => this.reset())),
      button("Snapshot", () => this.try(() => this.snapshot())),
      button("Save PNG", () => this.try(async () => {
        save(await server.file(this.run, this.space, "png", [this.z], 1), "picture.png");
      })));
    const stage = el("div", { class: "stage" }, head, screen,
      this.words, this.trouble, buttons, this.input, this.choices.node, this.shots);
    this.node.setAttribute("aria-label", title(this.about));
    this.node.replaceChildren(stage, this.latents.node);
    this.showShots();
  }

  // Run something that may fail, and say why in words.
  async try(what) {
    this.say("");
    try {
      await what();
    } catch (error) {
      if (error.name !== "AbortError") this.say(error.message, true);
    }
  }

  say(words, bad = false) {
    if (!this.trouble) return;
    this.trouble.textContent = words || "";
    this.trouble.classList.toggle("bad", bad);
  }

  // Another run or space, from the same picture: the image itself while nothing was moved, else what is drawn now.
  reopen(run, space) {
    return this.try(async () => {
      const before = this.shape, { data } = this.about, origin = this.moved ? nowhere : this.origin;
      const pixels = (this.moved ? null : this.origin.pixels) || this.drawn;
      await this.open(run, space);
      if (pixels && same(before, this.shape)) {
        const found = await server.encode(this.run, this.space, pixels);
        const own = elsewhere(origin, this.about.rows && this.about.data === data);
        const words = origin === nowhere ? "What was drawn before, encoded" : own.words;
        await this.start(found.z, { ...own, kind: "image", pixels, words }, false);
      }
    });
  }

  async start(z, origin, tell = true) {
    this.z = [...z];
    this.first = [...z];
    this.origin = origin;
    this.moved = false;
    this.words.textContent = origin.words;
    this.original.hidden = !origin.pixels;
    if (origin.pixels) paint(this.small, origin.pixels, this.shape);
    this.latents.show();
    this.choices.show();
    await this.draw(true);
    this.latents.strips();
    this.desk.changed(this);
    if (tell) this.desk.started(this);
  }

  async fromRow(row, z = null, tell = true) {
    const found = await server.row(this.run, this.space, row);
    await this.start(z ?? found.z, this.ofRow(found), tell);
    if (z && !same(z, found.z)) this.touched();
  }

  async fromLevels(levels, moved) {
    const found = await server.levels(this.run, this.space, levels, moved);
    await this.start(found.z, this.ofRow(found));
  }

  ofRow(found) {
    const words = `Image ${grouped(found.row)} of the data set`;
    return { kind: "row", row: found.row, levels: found.levels, pixels: found.pixels, words };
  }

  async sample(seed, tell = true) {
    const z = await server.sample(this.run, seed);
    await this.start(z, { kind: "prior", seed, row: null, pixels: null, words: `A sample of the prior, number ${seed}` }, tell);
  }

  randomRow() { return this.fromRow(Math.floor(Math.random() * this.about.rows)); }

  taken() {
    const [file] = this.input.files;
    this.input.value = "";
    if (file) this.upload(file);
  }

  upload(file) {
    return this.try(async () => {
      const found = await this.read(file);
      await this.start(found.z, { kind: "image", row: null, pixels: found.pixels, words: `Your picture ${file.name.slice(0, 60)}` });
    });
  }

  // A file's code and image; a file that is far too large is not even sent.
  read(file) {
    if (file.size > LARGEST) {
      throw new Error(`the upload has ${Math.round(file.size / 1e6)} MB; allowed: 16 MiB`);
    }
    return server.upload(this.run, this.space, file);
  }

  // The same start as in the other panel.
  follow(other) {
    return this.try(async () => {
      const { origin } = other;
      if (origin.kind === "prior" && this.about.latents === other.about.latents) {
        await this.sample(origin.seed, false);
      } else if (origin.pixels && same(this.shape, other.shape)) {
        const found = await server.encode(this.run, this.space, origin.pixels);
        await this.start(found.z, elsewhere(origin, this.about.data === other.about.data), false);
      }
    });
  }

  reset() { return this.start(this.first, this.origin, false); }

  // Move latents to a value: the picture follows at once, the strips of the others when the hand rests.
  set(latents, value) {
    for (const latent of latents) this.z[latent] = value;
    if (!this.asked) this.asked = performance.now();
    this.touched();
    this.draw();
    this.latents.rest(latents);
    this.desk.changed(this);
  }

  touched() {
    if (this.moved) return;
    this.moved = true;
    this.words.textContent = `${this.origin.words}, moved by hand`;
  }

  // One question at a time; whatever changes meanwhile is asked for as soon as the answer is there.
  async draw(must = false) {
    if (this.busy && !must) { this.dirty = true; return; }
    this.busy = true;
    try {
      do {
        this.dirty = false;
        const asked = this.asked, run = this.run, space = this.space;
        this.asked = 0;
        const pixels = await server.decode(run, space, [this.z]);
        if (run !== this.run || space !== this.space) break;
        this.drawn = pixels;
        paint(this.screen, pixels, this.shape);
        if (asked) this.desk.timed(performance.now() - asked);
      } while (this.dirty);
    } catch (error) {
      this.say(error.message, true);
    } finally {
      this.busy = false;
    }
  }

  async snapshot() {
    const { run, space } = this, z = [...this.z];
    const pixels = await server.decode(run, space, [z]);
    this.snapshots.push({ run, space, z, pixels, shape: this.shape, row: this.origin.row });
    this.showShots();
  }

  showShots() {
    this.shots.replaceChildren(...this.snapshots.map((shot, place) => {
      const picture = canvas(shot.shape);
      paint(picture, shot.pixels, shot.shape);
      const name = `snapshot ${place + 1}`;
      const back = () => this.try(async () => {
        if (shot.run !== this.run || shot.space !== this.space) await this.open(shot.run, shot.space, shot.z, shot.row);
        else await this.start(shot.z, { ...nowhere, words: `Snapshot ${place + 1}` });
      });
      const remove = () => { this.snapshots.splice(place, 1); this.showShots(); };
      return el("span", { class: "shot" },
        el("button", { type: "button", class: "thumb", "aria-label": `Return to ${name}`, onclick: back }, picture),
        button("×", remove, { class: "remove", "aria-label": `Remove ${name}` }));
    }));
  }
}
