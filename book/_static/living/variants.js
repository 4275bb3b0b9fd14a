// Variants: what a changed block brings and costs, on two axes of the reader's choice.
Living.figure("variants", ({ networks, base, axes }, box) => {
  const { fixed, made, whole } = Living;
  const EDGE = { left: 46, right: 16, top: 28, bottom: 44 };
  const NAMES = Object.keys(networks);
  const PARTS = ["middle", "low", "high"];
  const WIDE = [6.9, 8.2]; // pixels that a letter takes, and one of the chosen network's name
  const menu = box.querySelector('[data-control="network"]');

  const counted = (value) => (value < 1e6 ? `${value / 1e3}k` : `${value / 1e6} M`);
  const isCount = (quantity) => quantity === "parameters" || quantity === "work";
  const colour = (name) => (name === "plain" ? "plain" : "residual");

  // A value as its share of the axis, from 0 to 1.
  const share = (quantity, value) => {
    const [least, most] = axes[quantity].ends;
    return (Math.log10(value) - least) / (most - least);
  };
  function aims({ up, across }) {
    const found = {};
    for (const name of NAMES) {
      for (const [part, words] of PARTS.entries()) {
        found[`x ${words} ${name}`] = share(across, networks[name][across][part]);
        found[`y ${words} ${name}`] = share(up, networks[name][up][part]);
      }
    }
    return found;
  }

  function frame(state, x, y, width, height) {
    const [left, right, low] = [EDGE.left, width - EDGE.right, height - EDGE.bottom];
    const words = (quantity, tick) => (isCount(quantity) ? counted(tick) : tick);
    const upward = axes[state.up].ticks.flatMap((tick) => {
      const at = y(share(state.up, tick));
      return [
        made("path", { class: "grid", d: `M${left} ${at}H${right}` }),
        made("text", { class: "end", x: left - 6, y: at + 4 }, words(state.up, tick)),
      ];
    });
    const across = axes[state.across].ticks.flatMap((tick) => {
      const at = x(share(state.across, tick));
      return [
        made("path", { class: "grid", d: `M${at} ${EDGE.top}V${low}` }),
        made("text", { class: "middle", x: at, y: low + 16 }, words(state.across, tick)),
      ];
    });
    const { words: name } = axes[state.across];
    return [
      ...upward,
      ...across,
      made("text", { x: 0, y: 12 }, axes[state.up].words),
      made("text", { class: "middle", x: (left + right) / 2, y: height - 6 }, name),
    ];
  }

  // Beside each dot its name, where it covers no other name and no dot; the chosen one's always.
  function labels(state, at, width) {
    const dots = NAMES.map((name) => at[name]);
    const taken = dots.map(([x, y]) => [x - 6, y - 6, x + 6, y + 6]);
    const first = [state.network, base];
    const order = [...new Set([...first, ...NAMES])];
    const isFree = ([left, top, right, bottom], [a, b, c, d]) => {
      return right < a || left > c || bottom < b || top > d;
    };
    return order.flatMap((name) => {
      const [x, y] = at[name];
      const wide = WIDE[Number(name === state.network)] * name.length;
      const right = [x + 9, y + 4, ""];
      const left = [x - 9, y + 4, "end"];
      const others = [-10, 19].flatMap((off) => {
        return [[x, y + off, "middle"], [x - 7, y + off, "end"], [x + 7, y + off, ""]];
      });
      const boxes = [right, left, ...others].map(([textX, textY, anchor]) => {
        const start = textX - { "": 0, middle: wide / 2, end: wide }[anchor];
        return [[start, textY - 11, start + wide, textY + 3], [textX, textY, anchor]];
      });
      const inside = boxes.filter(([[start, , end]]) => start > EDGE.left && end < width);
      const own = taken[NAMES.indexOf(name)];
      const place = inside.find(([room]) => taken.every((one) => one === own || isFree(room, one)));
      const chosen = place ?? (name === state.network ? (inside[0] ?? boxes[0]) : null);
      if (!chosen) return [];
      taken.push(chosen[0]);
      const [textX, textY, anchor] = chosen[1];
      const look = name === state.network ? "said" : "";
      return made("text", { class: `name ${look} ${anchor}`, x: textX, y: textY }, name);
    });
  }

  const written = (name, quantity) => {
    const [middle, low, high] = networks[name][quantity];
    if (isCount(quantity)) return `${whole(middle)} ${axes[quantity].words}`;
    const write = fixed(quantity === "time" ? 2 : 1);
    const ends = `(${write(low)} to ${write(high)})`;
    if (quantity === "time") return `a step of ${write(middle)} ${ends}`;
    return `${quantity} error ${write(middle)} % ${ends}`;
  };
  function sentence({ network, up, across }) {
    const quantities = [...new Set([up, across])];
    const told = (name) => quantities.map((quantity) => written(name, quantity)).join(", ");
    if (network === base) return `The usual block (${base}): ${told(base)}.`;
    const errors = networks[base].errors;
    const wins = networks[network].errors.filter((error, seed) => error < errors[seed]).length;
    const lower = ` It has the lower test error with ${wins} of ${errors.length} seeds.`;
    const won = quantities.includes("test") ? lower : "";
    return `${network}: ${told(network)}. Usual block: ${told(base)}.${won}`;
  }

  function paint({ state, now, width, height }) {
    const x = d3.scaleLinear([0, 1], [EDGE.left, width - EDGE.right]);
    const y = d3.scaleLinear([0, 1], [height - EDGE.bottom, EDGE.top]);
    const at = (name, part) => [x(now[`x ${part} ${name}`]), y(now[`y ${part} ${name}`])];
    const ranges = NAMES.map((name) => {
      const [[left, low], [right, high], [cx, cy]] = ["low", "high", "middle"].map((part) => {
        return at(name, part);
      });
      const look = name === state.network ? "" : "faint";
      const d = `M${left} ${cy}H${right}M${cx} ${low}V${high}`;
      return made("path", { class: `range ${look} ${colour(name)}`, d });
    });
    const dots = NAMES.map((name) => {
      const [cx, cy] = at(name, "middle");
      const look = name === state.network ? "chosen" : "";
      const dot = made("circle", { class: `dot pick ${look} ${colour(name)}`, cx, cy, r: 6 });
      dot.addEventListener("click", () => {
        menu.value = name;
        box.dispatchEvent(new Event("input"));
      });
      return dot;
    });
    const ends = Object.fromEntries(NAMES.map((name) => [name, at(name, "middle")]));
    const said = sentence(state);
    const shapes = [
      ...frame(state, x, y, width, height), ...ranges, ...dots, ...labels(state, ends, width),
    ];
    const { up, across } = state;
    const alt = `${axes[up].words} by ${axes[across].words}, of ${NAMES.length} networks. ${said}`;
    return { shapes, alt, said };
  }

  return { aims, paint };
});
