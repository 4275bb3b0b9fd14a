// The blocks: what each shortcut carries, what each branch adds, their sum, and the switches.
{
  const Lab = (window.Lab ??= {});
  const GAP = 1; // pixels between maps
  const PARTS = {
    shortcut: ["x", "what the shortcut carries"],
    branch: ["F(x)", "what the branch adds"],
    output: ["sum", "ReLU of what is switched on"],
  };
  const COLOURS = { shortcut: "--book-shortcut", branch: "--book-residual", output: "--book-ink" };
  const SWITCHES = { branches: "branch", skips: "shortcut" };

  const made = (tag, properties = {}, ...children) => {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
  };

  // A colour as canvases keep it, in one number without its alpha.
  function colour(look, name) {
    const hex = look.getPropertyValue(name).trim();
    const [r, g, b] = [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
    return r | (g << 8) | (b << 16);
  }

  // All maps of a signal (1, C, H, W) beside each other; the stronger a value, the fuller its
  // colour `more`, and `full` is full. What is negative has the colour `less`.
  function drawMaps(canvas, { data, dims }, full, { more, less }) {
    const [, maps, height, width] = dims;
    const columns = 2 ** Math.ceil(Math.log2(Math.sqrt(maps)));
    const wide = columns * (width + GAP) - GAP;
    const high = (maps / columns) * (height + GAP) - GAP;
    if (canvas.width !== wide) canvas.width = wide;
    if (canvas.height !== high) canvas.height = high;
    const picture = new ImageData(wide, high);
    const pixels = new Uint32Array(picture.data.buffer);
    const strength = full ? 255 / full : 0;
    for (let map = 0, place = 0; map < maps; map++) {
      const top = Math.floor(map / columns) * (height + GAP);
      const left = (map % columns) * (width + GAP);
      for (let row = top; row < top + height; row++) {
        for (let column = left; column < left + width; column++) {
          const value = data[place++];
          const alpha = strength * Math.abs(value);
          pixels[row * wide + column] = (value < 0 ? less : more) | (alpha << 24);
        }
      }
    }
    canvas.getContext("2d").putImageData(picture, 0, 0);
  }

  function largest(data) {
    let most = 0;
    for (const value of data) most = Math.max(most, Math.abs(value));
    return most;
  }

  class Blocks {
    // changed(event): called when a switch is turned.
    constructor(list, names, changed) {
      this.list = list;
      this.names = names;
      this.changed = changed;
      this.boxes = { skips: [], branches: [] };
      this.maps = names.map(() => ({}));
      list.replaceChildren(...names.map((name, number) => this.block(name, number)));
    }

    block(name, number) {
      const switches = made("div", { className: "lab-switches" });
      for (const [kind, part] of Object.entries(SWITCHES)) {
        const box = made("input", { type: "checkbox", checked: true, id: `lab-${kind}-${number}` });
        box.addEventListener("change", this.changed);
        this.boxes[kind].push(box);
        const text = part === "branch" ? "branch F(x)" : "shortcut x";
        switches.append(made("label", { className: `lab-${part}`, htmlFor: box.id }, box, ` ${text}`));
      }
      const parts = Object.entries(PARTS).map(([part, [symbol, words]]) => {
        const canvas = made("canvas");
        canvas.setAttribute("role", "img");
        this.maps[number][part] = canvas;
        const caption = made("figcaption", {}, made("b", { textContent: symbol }), `, ${words}`);
        return made("figure", { className: `lab-${part}` }, canvas, caption);
      });
      const legend = made("legend", { textContent: `Block ${number + 1}, ${name}` });
      const scale = made("p", { className: "lab-scale" });
      this.maps[number].scale = scale;
      const maps = made("div", { className: "lab-maps" }, ...parts);
      return made("fieldset", { className: "lab-block" }, legend, switches, maps, scale);
    }

    get state() {
      const read = (kind) => this.boxes[kind].map((box) => Number(box.checked));
      return { skips: read("skips"), branches: read("branches") };
    }

    turnAll(on) {
      Object.values(this.boxes).flat().forEach((box) => (box.checked = on));
    }

    // outputs: the network's, by name.
    show(outputs) {
      this.outputs = outputs;
      const look = getComputedStyle(this.list); // once: asked for again, it is worked out again
      const less = colour(look, "--book-plain");
      const colours = Object.entries(COLOURS).map(([part, name]) => {
        return [part, { more: colour(look, name), less }];
      });
      this.colours = Object.fromEntries(colours);
      this.names.forEach((name, number) => {
        const signals = Object.keys(PARTS).map((part) => [part, outputs[`${name}.${part}`]]);
        const full = Math.max(...signals.map(([, signal]) => largest(signal.data)));
        for (const [part, signal] of signals) {
          const canvas = this.maps[number][part];
          drawMaps(canvas, signal, full, this.colours[part]);
          const off = part !== "output" && !this.isOn(part, number);
          canvas.parentElement.classList.toggle("is-off", off);
          const [, maps, height, width] = signal.dims;
          canvas.ariaLabel =
            `${PARTS[part][0]} of block ${number + 1}: ${maps} maps of ${height} by ${width}, ` +
            `the largest value ${largest(signal.data).toFixed(1)}${off ? ", switched off" : ""}`;
        }
        this.maps[number].scale.textContent = `full colour: ${full.toFixed(1)}`;
      });
    }

    isOn(part, number) {
      const kind = part === "branch" ? "branches" : "skips";
      return this.boxes[kind][number].checked;
    }

    // In the colours of another theme.
    redraw() {
      if (this.outputs) this.show(this.outputs);
    }
  }

  Object.assign(Lab, { Blocks, made });
}
