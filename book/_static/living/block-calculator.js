// The block calculator: a block's two paths, layer by layer, and whether they meet in one shape.
Living.figure("block-calculator", ({ bytes, images }) => {
  const { counted, digits, made, whole } = Living;
  const LINE = 17; // pixels from one line of words in a box to the next
  const TOP = 30; // where the shortcut leaves the branch

  const sum = (list) => list.reduce((total, value) => total + value, 0);
  const values = ([channels, side]) => channels * side ** 2;
  const shown = ([channels, side]) => `${channels} × ${side} × ${side}`;
  const inBytes = (value) => {
    if (value < 2 ** 10) return `${value} B`;
    return value < 2 ** 20 ? `${digits(value / 2 ** 10)} KiB` : `${digits(value / 2 ** 20)} MiB`;
  };
  const percent = (part) => {
    const rounded = part < 0.1 ? Number((100 * part).toPrecision(2)) : Math.round(100 * part);
    return `${rounded} %`;
  };

  // A convolution and its batch norm; `from` and `to` are channels, and height or width.
  function convolution(name, kernel, stride, from, channels) {
    const to = [channels, Math.ceil(from[1] / stride)];
    const weights = kernel ** 2 * from[0] * channels;
    const words = [`${name} ${kernel}×${kernel}`, stride > 1 ? `stride ${stride}` : ""];
    return { words, to, weights, parameters: weights + 2 * channels, work: weights * to[1] ** 2 };
  }

  function branchOf({ kind, given, out, size, stride }) {
    const x = [given, size];
    if (kind === "basic") {
      const first = convolution("conv1", 3, stride, x, out);
      return [first, convolution("conv2", 3, 1, first.to, out)];
    }
    const first = convolution("conv1", 1, 1, x, out / 4);
    const second = convolution("conv2", 3, stride, first.to, out / 4);
    return [first, second, convolution("conv3", 1, 1, second.to, out)];
  }

  // What stands on the shortcut, and the shape that it arrives in; none where it cannot be built.
  function shortcutOf({ shortcut, given, out, size, stride }) {
    const nothing = { lines: [], to: [given, size], weights: 0, parameters: 0, work: 0 };
    if (shortcut === "identity") return nothing;
    if (shortcut === "projection") {
      const projection = convolution("conv", 1, stride, nothing.to, out);
      const [conv, halves] = projection.words;
      const behind = halves ? `${halves}, bn` : "bn";
      return { ...projection, lines: [conv, behind, `${whole(projection.weights)} weights`] };
    }
    if (out < given) return { ...nothing, lines: ["cannot drop", "channels"], to: null };
    const halves = stride > 1 ? ["every 2nd value"] : [];
    const adds = out > given ? [`${whole(out - given)} zero channels`] : [];
    return { ...nothing, lines: [...halves, ...adds], to: [out, Math.ceil(size / stride)] };
  }

  // Python's words for `out += shortcut` with these two shapes, and ours; none where it adds.
  function refusal({ given, out }, branch, shortcut) {
    if (!shortcut) {
      const words =
        `ValueError: out_channels must be at least in_channels (${given}) for shortcut 'A', ` +
        `which can only add channels, got ${out}`;
      return ["resnet_lib", words, ""];
    }
    const [a, b] = [branch, shortcut].map(([channels, side]) => [images, channels, side, side]);
    const clash = (at) => a[at] !== b[at] && a[at] !== 1 && b[at] !== 1;
    const place = [3, 1].find(clash);
    if (place) {
      const words =
        `RuntimeError: The size of tensor a (${a[place]}) must match the size of tensor b ` +
        `(${b[place]}) at non-singleton dimension ${place}`;
      const hidden = clash(1) ? " It does not get to the channels, which do not fit either." : "";
      const meaning = place === 3 ? `3 is the width.${hidden}` : "1 is the channels.";
      return ["PyTorch", words, `Dimension ${meaning}`];
    }
    if (a[3] === b[3]) return null;
    const grown = a.map((length, at) => Math.max(length, b[at]));
    const [own, larger] = [a, grown].map((shape) => `[${shape.join(", ")}]`);
    const words =
      `RuntimeError: output with shape ${own} doesn't match the broadcast shape ` + larger;
    const otherwise = "Without +=, as F(x) + x, it would pass, and nothing would have shrunk.";
    return ["PyTorch", words, otherwise];
  }

  function solved(state) {
    const chosen = { ...state, stride: Number(state.stride) };
    const [branch, shortcut] = [branchOf(chosen), shortcutOf(chosen)];
    const result = branch.at(-1).to;
    const refused = refusal(chosen, result, shortcut.to);
    const repeats = !refused && shortcut.to[0] !== result[0];
    return { ...chosen, branch, shortcut, result, refused, repeats };
  }

  // The cells of the table under the drawing; a dash for what never comes to be.
  function cells({ given, size, branch, shortcut, result, refused }) {
    const slots = {};
    const put = (name, exists, write, ...paths) => {
      for (const [at, path] of ["branch", "shortcut", "block"].entries()) {
        slots[`${name} ${path}`] = exists[at] ? write(paths[at]) : "–";
      }
    };
    for (const [name, key] of [["parameters", "parameters"], ["multiply-adds", "work"]]) {
      const [one, other] = [sum(branch.map((layer) => layer[key])), shortcut[key]];
      put(name, [true, shortcut.to, shortcut.to], counted, one, other, one + other);
    }
    // Each convolution's output is kept, and each ReLU's; the last ReLU's is the block's output.
    const inside = sum(branch.map(({ to }) => 2 * values(to))) - values(result);
    const projected = shortcut.weights ? values(result) : 0;
    const all = values([given, size]) + inside + projected + values(result);
    const runs = Array(3).fill(!refused);
    put("kept", runs, (count) => inBytes(bytes * count), inside, projected, all);
    return slots;
  }

  // A layer's share of all multiply-adds in the block.
  const shareOf = ({ work }, branch, shortcut) => {
    return work / (sum(branch.map((layer) => layer.work)) + shortcut.work);
  };
  const aims = (state) => {
    const { branch, shortcut } = solved(state);
    const layers = [0, 1, 2].map((place) => branch[place] ?? { work: 0 }).concat(shortcut);
    const shares = layers.map((one) => shareOf(one, branch, shortcut));
    return Object.fromEntries(shares.map((share, place) => [`share${place}`, share]));
  };

  // Words in a box; the tint in it is as wide as its share of the block's multiply-adds.
  function box(x, y, width, kind, lines, share) {
    const frame = { x: x - width / 2, y, height: LINE * lines.length + 9, rx: 5 };
    return [
      made("rect", { ...frame, class: `band ${kind}`, width: width * share }),
      made("rect", { ...frame, class: `box ${kind}`, width }),
      ...lines.map((line, row) => {
        const place = { x, y: y + LINE * (row + 1), class: row ? "middle" : "middle strong" };
        return made("text", place, line);
      }),
    ];
  }

  const wire = (kind, d) => made("path", { class: `wire ${kind}`, d });
  const shape = (x, y, words, side = "") => made("text", { class: `shape ${side}`, x, y }, words);

  function drawnBranch({ branch }, now, x, width, bottom) {
    const [step, high] = [(bottom - TOP) / branch.length, 3 * LINE + 9];
    return branch.flatMap(({ words, to, weights }, place) => {
      const [from, y] = [TOP + place * step, TOP + (place + 1) * step - high - 30];
      const share = now[`share${place}`];
      const norm = `bn${place + 1}${place < branch.length - 1 ? ", ReLU" : ""}`;
      const lines = [words.filter(Boolean).join(", "), norm];
      lines.push(`${whole(weights)} weights · ${percent(share)}`);
      return [
        wire("residual", `M${x} ${from}V${y}M${x} ${y + high}V${from + step}`),
        ...box(x, y, width, "residual", lines, share),
        shape(x + 9, y + high + 15, place < branch.length - 1 ? shown(to) : `F(x) ${shown(to)}`),
      ];
    });
  }

  function drawnShortcut({ shortcut }, now, from, x, width, bottom) {
    const lines = shortcut.weights ? [...shortcut.lines, percent(now.share3)] : shortcut.lines;
    const y = (TOP + bottom) / 2 - 40;
    const arrives = shortcut.to && `${lines.length ? "" : "x "}${shown(shortcut.to)}`;
    const ends = y + LINE * lines.length + 9;
    const route = lines.length ? `V${y}M${x} ${ends}V${bottom}` : `V${bottom}`;
    return [
      wire("shortcut", `M${from} ${TOP}H${x}${route}H${from + 14}`),
      ...(lines.length ? box(x, y, width, "shortcut", lines, now.share3) : []),
      arrives && shape(x - 4, bottom + 17, arrives, "end"),
    ].filter(Boolean);
  }

  // The addition, and what leaves it; crossed out where nothing does.
  function drawnSum({ refused, result }, x, y) {
    const circle = made("circle", { class: "sum", cx: x, cy: y, r: 12 });
    if (refused) {
      const cross = wire("out", `M${x - 5} ${y - 5}l10 10M${x + 5} ${y - 5}l-10 10`);
      return [circle, cross, made("text", { class: "said middle", x, y: y + 34 }, "does not fit")];
    }
    return [
      circle,
      wire("out", `M${x - 6} ${y}h12M${x} ${y - 6}v12M${x} ${y + 12}v34`),
      shape(x + 9, y + 28, "ReLU"),
      made("text", { class: "shape middle strong", x, y: y + 62 }, `H(x) ${shown(result)}`),
    ];
  }

  function sentence({ given, out, stride, shortcut, branch, result, refused, repeats }) {
    if (refused) return `${refused[0]}: “${refused[1]}”. ${refused[2]}`.trim();
    if (repeats) {
      const meant = "No error, and hardly what you meant: x has one channel";
      return `${meant}, and it is added to each of the ${out} channels of F(x).`;
    }
    const fits = `Both paths arrive as ${shown(result)}: they can be added.`;
    if (!shortcut.weights) return `${fits} The shortcut has no parameters.`;
    const more = percent(shortcut.work / sum(branch.map(({ work }) => work)));
    const needless = given === out && stride === 1 ? " The identity would fit too." : "";
    const has = percent(shareOf(shortcut, branch, shortcut)); // as in its box
    const adds = `The projection adds ${more} to the branch’s multiply-adds`;
    return `${fits} ${adds} and has ${has} of the block’s.${needless}`;
  }

  function paint({ state, now, width, height }) {
    const block = solved(state);
    const [x, side, bottom] = [0.29 * width, 0.8 * width, height - 78];
    const arrives = `x ${shown([block.given, block.size])}`;
    const shapes = [
      made("text", { class: "shape middle strong", x, y: 14 }, arrives),
      wire("residual", `M${x} 20V${TOP}`),
      ...drawnShortcut(block, now, x, side, 0.37 * width, bottom),
      ...drawnBranch(block, now, x, 0.56 * width, bottom),
      ...drawnSum(block, x, bottom),
      ...["%: share of the", "block’s multiply-adds"].map((words, row) => {
        return made("text", { class: "end", x: width, y: height - 22 + 16 * row }, words);
      }),
    ];
    const said = sentence(block);
    const steps = block.branch.map(({ words: [conv], to }) => `${conv} gives ${shown(to)}`);
    const passes = block.shortcut.to ? shown(block.shortcut.to) : "nothing";
    const alt =
      `A ${block.kind} block. ${arrives.replace("x", "x is")}. Branch: ${steps.join(", ")}. ` +
      `Shortcut: ${[...block.shortcut.lines, `arrives as ${passes}`].join(", ")}. ${said}`;
    return { shapes, alt, said, slots: cells(block) };
  }

  return { aims, paint };
});
