// What is asked of the server. It remembers nothing: every question brings along all that it needs.

async function ask(path, options = {}) {
  let reply;
  try {
    reply = await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("The explorer does not answer. Is `unweave explore` still running?");
  }
  if (reply.ok) return reply;
  let words = `the server answered ${reply.status}`;
  try {
    words = (await reply.json()).error;
  } catch { /* not JSON: the number says enough */ }
  throw new Error(words);
}

function path(name, parameters) {
  return `${name}?${new URLSearchParams(parameters)}`;
}

function json(values) {
  return { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(values) };
}

function bytes(text) {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}

async function pixelsToo(reply) {
  const found = await reply.json();
  return { ...found, pixels: bytes(found.pixels) };
}

export async function about() {
  return (await ask("/about")).json();
}

export async function space(run, space) {
  return (await ask(path("/space", { run, space }))).json();
}

export async function tables(run, space) {
  return (await ask(path("/tables", { run, space }))).text();
}

export async function sample(run, seed) {
  return (await (await ask(path("/sample", { run, seed }))).json()).z;
}

export async function row(run, space, row) {
  return pixelsToo(await ask(path("/row", { run, space, row })));
}

export async function levels(run, space, levels, moved) {
  return pixelsToo(await ask(path("/row", { run, space, levels: levels.join(","), moved })));
}

export async function pictures(run, rows) {
  return new Uint8Array(await (await ask(path("/pictures", { run, rows: rows.join(",") }))).arrayBuffer());
}

export async function decode(run, space, codes, signal) {
  const reply = await ask(path("/decode", { run, space }), { ...json({ codes }), signal });
  return new Uint8Array(await reply.arrayBuffer());
}

export async function encode(run, space, pixels) {
  const sent = { method: "POST", headers: { "Content-Type": "application/x-pixels" }, body: pixels };
  return pixelsToo(await ask(path("/encode", { run, space }), sent));
}

export async function upload(run, space, file) {
  const sent = { method: "POST", headers: { "Content-Type": "application/octet-stream" }, body: file };
  return pixelsToo(await ask(path("/encode", { run, space }), sent));
}

export async function name(run, latents, name) {
  return (await (await ask(path("/name", { run }), json({ latents, name }))).json()).names;
}

export async function file(run, space, kind, codes, columns) {
  return (await ask(path("/file", { run, space }), json({ kind, codes, columns }))).blob();
}
