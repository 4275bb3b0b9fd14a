// Variants: what a changed block brings and costs, on two axes of the reader's choice.
Living.figure("variants", ({ networks, base, axes }, box) => {
  const { fixed, made, whole } = Living;
  const EDGE = { left: 46, right: 16, top: 28, bottom: 44 };
  const NAMES = Object.keys(networks);
  const PARTS = ["middle", "low", "high"];
  const WIDE = [6.9, 8.2]; // pixels that a letter takes, and one of the chosen network's name
  const FAR = [11, 15, 22, 30, 40, 52, 66, 82, 100, 120, 142]; // from a dot to its name
  const TURNS = [...Array(16).keys()].map((turn) => (turn * Math.PI) / 8);
  const STEPS = [...Array(25).keys()].map((step) => step / 24);
  const NARROW = 600; // pixels; a wider drawing names every dot
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

  // The networks that no other one beats: none is as good in both quantities and better in one.
  function front(up, across) {
    const of = (name) => [up, across].map((quantity) => networks[name][quantity][0]);
    const beats = (one, other) => {
      return one.every((value, axis) => value <= other[axis]) && String(one) !== String(other);
    };
    return NAMES.filter((name) => !NAMES.some((other) => beats(of(other), of(name))));
  }
  function joined(names, at) {
    const along = names.map((name) => at[name]).toSorted(([a], [b]) => a - b);
    return made("path", { class: "front", d: `M${along.map(String).join("L")}` });
  }

  // Where both errors are equal, if they are the axes.
  const isError = (quantity) => quantity === "test" || quantity === "training";
  function diagonal({ up, across }, x, y) {
    if (up === across || !isError(up) || !isError(across)) return [];
    const [lows, highs] = [0, 1].map((end) => [up, across].map((one) => axes[one].ends[end]));
    const spots = [Math.max(...lows), Math.min(...highs)].map((exponent) => {
      return [x(share(across, 10 ** exponent)), y(share(up, 10 ** exponent))];
    });
    const [right, top] = spots[1];
    return [
      made("path", { class: "grid diagonal", d: `M${spots.map(String).join("L")}` }),
      made("text", { class: "end", x: right - 14, y: top + 9 }, "equal"),
    ];
  }

  // Beside each dot its name, near it where there is room, else farther away with a line to it. It
  // covers no other name and no dot. A narrow drawing names what has room nearby, and in any case
  // the chosen network, the usual one and the front.
  function labels(state, at, names, width, height) {
    const dots = NAMES.map((name) => at[name]);
    const taken = dots.map(([x, y]) => [x - 8, y - 8, x + 8, y + 8]);
    const bounds = [EDGE.left + 2, EDGE.top - 12, width - 2, height - EDGE.bottom + 2];
    const first = [...new Set([state.network, base, ...names])];
    const order = [...new Set([...first, ...NAMES])];
    const wires = []; // the lines from names to dots
    const isFree = ([left, top, right, bottom], [a, b, c, d]) => {
      return right < a || left > c || bottom < b || top > d;
    };
    const isInside = ([left, top, right, bottom]) => {
      return left > bounds[0] && top > bounds[1] && right < bounds[2] && bottom < bounds[3];
    };
    // Whether a line's points lie in a room.
    const enters = ([[fromX, fromY], [toX, toY]], [left, top, right, bottom]) => {
      return STEPS.some((part) => {
        const [x, y] = [fromX + (toX - fromX) * part, fromY + (toY - fromY) * part];
        return x > left && x < right && y > top && y < bottom;
      });
    };
    function spots([x, y], wide, far) {
      return far.flatMap((away) => TURNS.map((turn) => {
        const [textX, textY] = [x + away * Math.cos(turn), y + 4 + away * Math.sin(turn)];
        const side = Math.abs(Math.cos(turn)) < 0.2 ? "middle" : Math.cos(turn) < 0 ? "end" : "";
        const start = textX - { "": 0, middle: wide / 2, end: wide }[side];
        const room = [start - 1, textY - 12, start + wide + 1, textY + 4];
        return { room, textX, textY, side, away, wire: [[x, y], [textX, textY - 4]] };
      }));
    }
    const texts = order.flatMap((name) => {
      const isChosen = name === state.network;
      const wide = WIDE[Number(isChosen)] * name.length;
      const isFar = width > NARROW || first.includes(name);
      const free = spots(at[name], wide, isFar ? FAR : FAR.slice(0, 2)).filter(({ room }) => {
        return isInside(room) && taken.every((one) => isFree(room, one));
      });
      const price = ({ room, away, wire }) => {
        const isLong = away > FAR[1];
        const others = isLong ? taken.filter((one) => enters(wire, one)).length - 1 : 0;
        return away + 400 * (others + wires.filter((one) => enters(one, room)).length);
      };
      const [best] = free.toSorted((one, other) => price(one) - price(other));
      if (!best) return [];
      const { room, textX, textY, side, away, wire } = best;
      taken.push(room);
      const look = isChosen ? "said" : "";
      const text = made("text", { class: `name ${look} ${side}`, x: textX, y: textY }, name);
      if (away > FAR[1]) wires.push(wire);
      return text;
    });
    const leaders = wires.map((ends) => {
      return made("path", { class: "leader", d: `M${ends.map(String).join("L")}` });
    });
    return { leaders, texts };
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
    const { up, across } = state;
    const names = front(up, across);
    const { leaders, texts } = labels(state, ends, names, width, height);
    const shapes = [
      ...frame(state, x, y, width, height), ...diagonal(state, x, y), joined(names, ends),
      ...ranges, ...leaders, ...dots, ...texts,
    ];
    const alt = `${axes[up].words} by ${axes[across].words}, of ${NAMES.length} networks. ` +
      `No other one beats: ${names.join(", ")}. ${said}`;
    return { shapes, alt, said };
  }

  return { aims, paint };
});
