// The blocks: what each shortcut carries, what each branch adds, their sum, and the switches.
{
  const Lab = (window.Lab ??= {});
  const GAP = 1; // pixels between maps
  const PARTS = {
    shortcut: ["x", "what the shortcut carries"],
    branch: ["F(x)", "what the branch adds"],
    output: ["sum", "ReLU of what is switched on"],
  };
  const SWITCHES = { branches: "branch", skips: "shortcut" };

  const made = (tag, properties = {}, ...children) => {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
  };

  function rgb(element, name) {
    const hex = getComputedStyle(element).getPropertyValue(name).trim();
    return [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
  }

  // All maps of a signal (1, C, H, W) beside each other; the stronger a value, the fuller its
  // colour, and `full` is full. What is negative is grey.
  function drawMaps(canvas, { data, dims }, full) {
    const [, maps, height, width] = dims;
    const columns = 2 ** Math.ceil(Math.log2(Math.sqrt(maps)));
    canvas.width = columns * (width + GAP) - GAP;
    canvas.height = (maps / columns) * (height + GAP) - GAP;
    const brush = canvas.getContext("2d");
    const picture = brush.createImageData(canvas.width, canvas.height);
    const colours = { more: rgb(canvas, "--part"), less: rgb(canvas, "--book-plain") };
    for (let place = 0; place < data.length; place++) {
      const map = Math.floor(place / (height * width));
      const row = Math.floor(map / columns) * (height + GAP) + Math.floor((place / width) % height);
      const column = (map % columns) * (width + GAP) + (place % width);
      const [r, g, b] = data[place] < 0 ? colours.less : colours.more;
      const alpha = full ? (255 * Math.abs(data[place])) / full : 0;
      picture.data.set([r, g, b, alpha], 4 * (row * canvas.width + column));
    }
    brush.putImageData(picture, 0, 0);
  }

  const largest = (data) => data.reduce((most, value) => Math.max(most, Math.abs(value)), 0);

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
      this.names.forEach((name, number) => {
        const signals = Object.keys(PARTS).map((part) => [part, outputs[`${name}.${part}`]]);
        const full = Math.max(...signals.map(([, signal]) => largest(signal.data)));
        for (const [part, signal] of signals) {
          const canvas = this.maps[number][part];
          drawMaps(canvas, signal, full);
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
