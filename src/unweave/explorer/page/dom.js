// Elements, pictures and numbers: the few helpers that every part of the page uses.

// One element; text children are text, whatever they hold. Attributes that are null or false are left out.
export function el(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === false || value === undefined) continue;
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (key === "value") node.value = value;
    else node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

export function button(words, what, attributes = {}) {
  return el("button", { type: "button", onclick: what, ...attributes }, words);
}

export function canvas(shape, label, count = 1) {
  const [height, width] = shape;
  const node = el("canvas", label ? { role: "img", "aria-label": label } : { "aria-hidden": "true" });
  node.width = width * count;
  node.height = height;
  return node;
}

// Paint images that lie one after the other in `pixels` side by side.
export function paint(node, pixels, shape) {
  const [height, width, channels] = shape;
  const size = height * width, count = Math.floor(pixels.length / (size * channels));
  const pen = node.getContext("2d");
  for (let image = 0; image < count; image++) {
    const out = pen.createImageData(width, height);
    let from = image * size * channels;
    for (let at = 0; at < size; at++, from += channels) {
      out.data[4 * at] = pixels[from];
      out.data[4 * at + 1] = pixels[from + (channels > 1 ? 1 : 0)];
      out.data[4 * at + 2] = pixels[from + (channels > 1 ? 2 : 0)];
      out.data[4 * at + 3] = 255;
    }
    pen.putImageData(out, image * width, 0);
  }
}

export function same(a, b) {
  return a.length === b.length && a.every((one, place) => one === b[place]);
}

// A number for people: two decimals, a real minus sign.
export function told(value, places = 2) {
  return (Object.is(Number(value.toFixed(places)), -0) ? 0 : value).toFixed(places).replace("-", "−");
}

export function grouped(value) {
  return String(value).replace(/\B(?=(\d{3})+$)/g, ",");
}

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted.length ? sorted[Math.floor(sorted.length / 2)] : NaN;
}

// Give a file to the reader.
export function save(blob, name) {
  const link = el("a", { href: URL.createObjectURL(blob), download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}
