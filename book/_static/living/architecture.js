// The architecture explorer: a network, one part of it, one block of that, one of its layers.
Living.figure("architecture", ({ networks, parts, widths, classes, image }) => {
  const { counted, digits, made, number, whole } = Living;
  const HIGH = 44; // of a strip
  const STEP = 104; // from one strip to the next
  const FIRST = 24; // where the first strip begins

  const sum = (list, key) => list.reduce((total, one) => total + one[key], 0);
  const unbroken = (text) => text.replaceAll(" ", "\u00a0");
  const percent = (share) => `${digits(100 * share)} %`;

  // What a number of smaller things comes to; the last of them puts out what it puts out.
  const joined = (name, inside, key) => {
    const { to } = inside.filter(({ isShortcut }) => !isShortcut).at(-1);
    const [parameters, work] = ["parameters", "work"].map((count) => sum(inside, count));
    return { name, to, parameters, work, [key]: inside };
  };
  // A convolution and its batch norm; `from` and `to` are channels, height and width.
  function convolution(name, kernel, stride, [given, side], out) {
    const after = Math.ceil(side / stride);
    const weights = kernel ** 2 * given * out;
    const words = `${name} ${kernel}×${kernel}${stride > 1 ? `, stride ${stride}` : ""}`;
    const counts = { parameters: weights + 2 * out, work: weights * after ** 2 };
    return { name: words, to: [out, after], ...counts };
  }

  function blockOf(name, kind, stride, from, out) {
    const layers = [];
    const then = (...given) => layers.push(convolution(...given));
    if (kind === "basic") {
      then("conv1", 3, stride, from, out);
      then("conv2", 3, 1, layers[0].to, out);
    } else {
      then("conv1", 1, 1, from, out / 4);
      then("conv2", 3, stride, layers[0].to, out / 4);
      then("conv3", 1, 1, layers[1].to, out);
    }
    if (stride > 1 || from[0] !== out) {
      layers.push({ ...convolution("projection", 1, stride, from, out), isShortcut: true });
    }
    return joined(name, layers, "layers");
  }

  // The network with all that is in it: parts, their blocks, and the layers of these.
  function networkOf(depth, size) {
    const [kind, numbers] = networks[depth];
    const stem = convolution("conv1", 7, 2, [3, size], 64);
    let from = [64, Math.ceil(stem.to[1] / 2)]; // behind the max pool
    const single = (name, layer) => joined(name, [joined("", [layer], "layers")], "blocks");
    const found = [single(parts[0], stem)];
    for (const [stage, number] of numbers.entries()) {
      const blocks = [];
      for (let block = 0; block < number; block += 1) {
        const stride = stage && !block ? 2 : 1;
        blocks.push(blockOf(`block ${block + 1}`, kind, stride, from, widths[kind][stage]));
        from = blocks.at(-1).to;
      }
      found.push(joined(parts[stage + 1], blocks, "blocks"));
    }
    const work = from[0] * classes;
    const fc = { name: "fc", to: [classes], parameters: work + classes, work };
    return joined(`ResNet-${depth}`, [...found, single(parts.at(-1), fc)], "parts");
  }

  // What stands open, from the network to the layer.
  function opened({ depth, size, part, block, layer }) {
    const network = networkOf(depth, size);
    const open = network.parts[parts.indexOf(part)];
    const inside = open.blocks[Math.min(block, open.blocks.length) - 1];
    const last = inside.layers[Math.min(layer, inside.layers.length) - 1];
    return { network, part: open, block: inside, layer: last };
  }
  function limits(state) {
    const { part, block } = opened(state);
    return { block: part.blocks.length, layer: block.layers.length };
  }

  const plainly = ({ name }) => name.split(" ")[0]; // "conv1", of "conv1 3×3, stride 2"
  function names(state) {
    const { part, block } = opened(state);
    const { length } = part.blocks;
    const placed = ({ name }, place) => (name ? `${place + 1} of ${length}` : "none");
    return { block: part.blocks.map(placed), layer: block.layers.map(plainly) };
  }

  const shown = ([channels, side]) => (side ? `${channels} × ${side} × ${side}` : `${channels}`);
  const kindOf = (one, name) => {
    if (one.isShortcut) return "shortcut";
    return name === parts[0] || name === parts.at(-1) ? "plain" : "residual";
  };

  // Sets a control as a reader would; a click on a piece is the short way to its control.
  function choose(piece, choices) {
    const box = piece.closest(".living");
    for (const [name, value] of Object.entries(choices)) {
      const control = `[data-control="${name}"]`;
      if (name === "part") box.querySelector(`${control}[value="${value}"]`).checked = true;
      else box.querySelector(control).value = value - 1;
    }
    box.querySelector("input").dispatchEvent(new Event("input", { bubbles: true }));
  }

  // A strip of pieces as wide as their shares, and lines from the open piece to the next strip.
  function strip(row, words, pieces, open, { measure, width, part, chosen }) {
    const y = FIRST + row * STEP;
    const all = sum(pieces, measure);
    const shapes = [made("text", { class: "strong", x: 0, y: y - 8 }, words)];
    let x = 0;
    for (const [place, piece] of pieces.entries()) {
      const wide = (width * piece[measure]) / all;
      const kind = kindOf(piece, row ? part : piece.name);
      const frame = { x: x + 0.5, y, width: Math.max(wide - 1, 0.5), height: HIGH };
      const look = piece === open ? "open" : "";
      const rect = made("rect", { ...frame, class: `box piece ${look} ${kind}` });
      rect.addEventListener("click", () => choose(rect, chosen(place)));
      shapes.push(rect, ...named(piece, x + wide / 2, y, wide, piece[measure] / all));
      if (piece === open && row < 2) {
        const [top, end] = [y + HIGH + 3, y + STEP - 24];
        const sides = [[x, 0], [x + wide, width]];
        const lines = sides.map(([from, to]) => `M${from} ${top}v4L${to} ${end}`);
        shapes.push(made("path", { class: "grid", d: lines.join("") }));
      }
      x += wide;
    }
    return shapes;
  }
  // A piece's name and share, where they have room.
  function named({ name }, x, y, wide, share) {
    const short = name.split(" ").slice(0, name.startsWith("conv") ? 1 : 2).join(" ");
    const words = short.startsWith("block") && wide < 60 ? short.slice(6) : short;
    const fits = (text) => wide > 7.2 * text.length + 6;
    return [words, percent(share)].flatMap((text, line) => {
      if (!fits(text)) return [];
      const place = { x, y: y + 18 + 16 * line, class: line ? "middle" : "middle strong" };
      return made("text", { ...place, "pointer-events": "none" }, text);
    });
  }

  // The ways back through the open block: the names of the layers on each, in the gradient's order.
  function waysOf({ block }) {
    const backward = (layers) => layers.map(plainly).reverse();
    const shortcut = backward(block.layers.filter((layer) => layer.isShortcut));
    return { shortcut, branch: backward(block.layers.filter((layer) => !layer.isShortcut)) };
  }
  // How many paths lead from the loss to the open block's end, and on from its beginning.
  function counts({ way }, { network, block }) {
    const inside = network.parts.flatMap(({ blocks }) => blocks);
    const arriving = 2 ** inside.slice(inside.indexOf(block) + 1).filter(({ name }) => name).length;
    return [arriving, block.name && way === "both" ? 2 * arriving : arriving];
  }
  const amount = (paths) => (paths < 1e6 ? whole(paths) : number(paths));
  function told(state, open) {
    const { shortcut, branch } = waysOf(open);
    const by = {
      shortcut: `the shortcut${shortcut.length ? ` (${shortcut})` : ""}`,
      branch: `the branch (${branch.join(", ")})`,
    };
    by.both = `${by.shortcut} and ${by.branch}`;
    const where = open.block.name ? `by ${by[state.way]}` : "there is no shortcut";
    const [arriving, going] = counts(state, open);
    const reach = arriving === 1 ? "path from the loss reaches it" : "paths from the loss reach it";
    const leave = `${amount(going)} ${going === 1 ? "leaves" : "leave"} it`;
    return `Gradient: ${amount(arriving)} ${reach}, ${leave}; ${where}.`;
  }

  // The open block from its input, left, to its output; what the gradient takes is lit.
  function gradient(state, open, width) {
    const top = FIRST + 2 * STEP + HIGH + 34;
    const [above, middle, below] = [top + 28, top + 53, top + 78];
    const [from, to] = [30, width - 58];
    const hasBlock = Boolean(open.block.name);
    const { shortcut, branch } = waysOf(open);

    // From the addition up or down to the lane, along it, and to x, where an arrow ends it.
    function lane(way, names, kind) {
      const turn = way === "shortcut" ? -1 : 1;
      const y = turn < 0 ? above : below;
      const course = hasBlock
        ? `M${to} ${middle + 11 * turn}V${y}H${from}V${middle + 4 * turn}m-4 ${5 * turn}l4 ` +
          `${-5 * turn}l4 ${5 * turn}`
        : `M${to + 12} ${middle}H${from}m5 -4l-5 4l5 4`;
      const isLit = !hasBlock || state.way === "both" || state.way === way;
      const step = (to - from) / (names.length + 1);
      const boxes = names.toReversed().flatMap((name, place) => {
        const [x, at] = [from + step * (place + 1), hasBlock ? y : middle];
        const wide = Math.min(7.4 * name.length + 12, step - 8);
        const frame = { x: x - wide / 2, y: at - 13, width: wide, height: 26 };
        return [
          made("rect", { ...frame, class: `box ground ${kind}` }),
          made("text", { class: "middle", x, y: at + 4 }, name),
        ];
      });
      return [made("path", { class: `wire ${isLit ? "lit" : "unlit"}`, d: course }), ...boxes];
    }

    const [arriving, going] = counts(state, open).map(amount);
    const ends = [
      made("text", { x: 0, y: top }, `gradient: paths in ${arriving}, out ${going}`),
      made("text", { class: "said end", x: from - 12, y: middle + 4 }, "x"),
      made("text", { class: "said end", x: width, y: middle - 8 }, hasBlock ? "H(x)" : "out"),
    ];
    if (!hasBlock) return [...lane("branch", branch, "plain"), ...ends];
    return [
      ...lane("shortcut", shortcut, "shortcut"),
      ...lane("branch", branch, "residual"),
      made("path", { class: "wire lit", d: `M${width - 14} ${middle}H${to + 12}` }),
      made("circle", { class: "sum", cx: to, cy: middle, r: 11 }),
      made("path", { class: "wire out", d: `M${to - 5} ${middle}h10m-5 -5v10` }),
      ...ends,
    ];
  }

  const UNITS = [["parameters", "parameters"], ["multiply-adds", "work"]];
  function cells({ depth }, open) {
    const slots = {};
    const usual = networkOf(depth, image);
    for (const [unit, key] of UNITS) {
      slots[`ratio ${unit}`] = number(open.network[key] / usual[key]);
    }
    for (const [level, one] of Object.entries(open)) {
      slots[`${level} name`] = one.name || "all of it";
      for (const [unit, key] of UNITS) {
        const share = `(${percent(one[key] / open.network[key])})`;
        slots[`${level} ${unit}`] = unbroken(counted(one[key]));
        slots[`${level} ${unit} share`] = unbroken(share);
      }
    }
    return slots;
  }

  function sentence({ size }, { network, part, block, layer }) {
    const where = [part.name, block.name, layer.name].filter(Boolean).join(", ");
    const [parameters, work] = UNITS.map(([unit, key]) => {
      return `${whole(layer[key])} ${unit}, ${percent(layer[key] / network[key])}`;
    });
    const of = `of all in ${network.name} for an image of ${size} × ${size}`;
    return `${where}: puts out ${shown(layer.to)}. ${parameters}, and ${work} ${of}.`;
  }

  function paint({ state, width }) {
    const open = opened(state);
    const { network, part, block } = open;
    const { measure, size } = state;
    const total = `${counted(network[measure])} ${UNITS.find(([, key]) => key === measure)[0]}`;
    const number = part.blocks.length;
    const blocks = block.name ? `${number} block${number > 1 ? "s" : ""}` : "no blocks";
    const common = { measure, width, part: part.name };
    const ofBlock = block.name ? `${block.name} of ${number}` : part.name;
    const shapes = [
      ...strip(0, `${network.name}, ${size} px: ${total}`, network.parts, part, {
        ...common,
        chosen: (place) => ({ part: parts[place], block: 1, layer: 1 }),
      }),
      ...strip(1, `${part.name}: ${blocks}, puts out ${shown(part.to)}`, part.blocks, block, {
        ...common,
        chosen: (place) => ({ block: place + 1, layer: 1 }),
      }),
      ...strip(2, `${ofBlock}: puts out ${shown(block.to)}`, block.layers, open.layer, {
        ...common,
        chosen: (place) => ({ layer: place + 1 }),
      }),
      ...gradient(state, open, width),
    ];
    const said = `${sentence(state, open)} ${told(state, open)}`;
    const alt = `${network.name}: ${total}. ${part.name}: ${blocks}. ${said}`;
    return { shapes, alt, said, slots: cells(state, open) };
  }

  return { limits, names, paint };
});
