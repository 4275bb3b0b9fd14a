// Gradient flow: the size of each convolution's gradient before training, on one fixed axis.
Living.figure("gradient-flow", ({ networks, starts, lowest, highest, ticks }) => {
  const { fixed, made, power, span } = Living;
  const EDGE = { left: 46, right: 14, top: 24, bottom: 54 };
  const DEEPEST = 55; // convolutions of 56 layers, and 55 points are enough for any depth:
  const PLACES = [...Array(DEEPEST).keys()]; // of 7, 19 or 55 convolutions, each falls on one
  const NONE = 0.6; // powers of ten below the axis where a gradient of zero is drawn
  const KINDS = { plain: "plain", residual: "with shortcuts" };

  const mean = (list) => list.reduce((total, value) => total + value, 0) / list.length;
  const least = (list) => Math.min(...list);
  const most = (list) => Math.max(...list);
  const exponent = (value) => (value ? Math.log10(value) : lowest - NONE);
  const median = ({ norms }) => norms.toSorted((a, b) => a - b)[Math.floor(norms.length / 2)];

  // The kind that is chosen, and its twin.
  const kindsOf = ({ skip }) => (skip ? ["residual", "plain"] : ["plain", "residual"]);
  const seeds = ({ depth, norm, start }, kind) => {
    return networks[`${depth}/${kind}/${norm ? "batch norm" : "none"}/${start}`];
  };
  // The convolutions' gradients, of all seeds by one measure, at 55 places from first to last.
  function profile(runs, measure) {
    const sizes = runs[0].norms.map((_, layer) => measure(runs.map(({ norms }) => norms[layer])));
    return PLACES.map((place) => {
      const at = (place * (sizes.length - 1)) / (DEEPEST - 1);
      const before = Math.floor(at);
      const [from, to] = [before, Math.ceil(at)].map((layer) => exponent(sizes[layer]));
      return from + (to - from) * (at - before);
    });
  }

  // Where there is no such network, the lines stay where those of He weights are, unseen.
  function aims(state) {
    const [kind, twin] = kindsOf(state);
    const lines = { low: [kind, least], line: [kind, mean], high: [kind, most] };
    lines.twin = [twin, mean];
    const found = { convolutions: state.depth - 1 };
    for (const [name, [of, measure]] of Object.entries(lines)) {
      const runs = seeds(state, of);
      found[`${name} shows`] = Number(Boolean(runs));
      const values = profile(runs ?? seeds({ ...state, start: "he" }, of), measure);
      for (const place of PLACES) found[`${name} ${place}`] = values[place];
    }
    return found;
  }

  const ratios = (runs) => {
    const all = runs.map(({ norms }) => norms[0] / norms.at(-1));
    return all.every(Number.isFinite) ? span(all) : "–";
  };
  function cells(state) {
    const slots = {};
    for (const kind of Object.keys(KINDS)) {
      const runs = seeds(state, kind);
      const of = (measure, write) => (runs ? span(runs.map(measure), write) : "–");
      slots[`first ${kind}`] = of(({ norms }) => norms[0]);
      slots[`last ${kind}`] = of(({ norms }) => norms.at(-1));
      slots[`ratio ${kind}`] = runs ? ratios(runs) : "–";
      slots[`cosine ${kind}`] = of(({ cosine }) => cosine, fixed(2));
      for (const way of ["SGD", "Adam"]) slots[`${way} ${kind}`] = of((run) => run[way], fixed(1));
    }
    return slots;
  }

  const named = ({ depth, norm, start }, kind) => {
    return `${depth} layers, ${KINDS[kind]}, ${norm ? "batch norm" : "no norm"}, ${starts[start]}`;
  };
  function sentence(state) {
    const [kind, twin] = kindsOf(state);
    const runs = seeds(state, kind);
    if (!runs) {
      const needs = "Zero γ sets a scale of batch norm to 0, so that the shortcut is the only way";
      return `${needs}: without both there is no such network.`;
    }
    const beginning = `${named(state, kind)}: `;
    const silent = runs[0].norms.filter((size) => !size).length;
    if (silent) {
      const alone = "only the first convolution has a gradient yet";
      return `${beginning}${alone}; the other ${silent} have none.`;
    }
    const told = (list) => `${span(list.map(median))}, the first ${ratios(list)} times the last`;
    const other = `${KINDS[twin][0].toUpperCase()}${KINDS[twin].slice(1)}`;
    return `${beginning}median gradient ${told(runs)}. ${other}: ${told(seeds(state, twin))}.`;
  }

  function axes(x, y, width, height) {
    const [left, right] = [EDGE.left, width - EDGE.right];
    const lines = ticks.flatMap((tick) => [
      made("path", { class: "grid", d: `M${left} ${y(tick)}H${right}` }),
      made("text", { class: "end", x: left - 8, y: y(tick) + 4 }, tick ? `10${power(tick)}` : "1"),
    ]);
    const bottom = height - EDGE.bottom + 34;
    return [
      ...lines,
      made("text", { x: 0, y: 12 }, "size of the gradient"),
      made("path", { class: "grid", d: `M${left} ${y(lowest - NONE)}H${right}` }),
      made("text", { class: "end", x: left - 8, y: y(lowest - NONE) + 4 }, "none"),
      made("text", { x: left, y: bottom }, "first convolution, next to the input"),
      made("text", { class: "end", x: right, y: bottom }, DEEPEST),
    ];
  }

  function paint({ state, now, width, height }) {
    const x = d3.scaleLinear([1, DEEPEST], [EDGE.left, width - EDGE.right]);
    const y = d3.scaleLinear([lowest, highest], [height - EDGE.bottom, EDGE.top]);
    const [kind, twin] = kindsOf(state);
    const at = (place) => x(1 + (place * (now.convolutions - 1)) / (DEEPEST - 1));
    const value = (name) => (place) => y(now[`${name} ${place}`]);
    const path = (name) => d3.line(at, value(name))(PLACES);
    const band = d3.area().x(at).y0(value("low")).y1(value("high"))(PLACES);

    function label(name, of, isHigher) {
      const place = { x: at(0) + 6, y: value(name)(0) + (isHigher ? -10 : 20) };
      return made("text", { class: "said", ...place }, KINDS[of]);
    }

    const isHigher = now["line 0"] >= now["twin 0"];
    const shapes = [
      ...axes(x, y, width, height),
      made("g", { opacity: now["twin shows"] },
        made("path", { class: `line thin ${twin}`, d: path("twin") }),
        label("twin", twin, !isHigher)),
      made("g", { opacity: now["line shows"] },
        made("path", { class: `band ${kind}`, d: band }),
        made("path", { class: `line ${kind}`, d: path("line") }),
        label("line", kind, isHigher)),
    ];
    const said = sentence(state);
    const axis = `a logarithmic axis from 10${power(lowest)} to 10${power(highest)}`;
    const alt = `Size of the gradient by convolution, on ${axis}. ${said}`;
    return { shapes, alt, said, slots: cells(state) };
  }

  return { aims, paint };
});
