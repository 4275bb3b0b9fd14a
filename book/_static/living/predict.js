// Predict, then reveal: the reader draws a curve, then the measured one appears beside it.
Living.figure("predict", (data, box) => {
  const { fixed, made, number, power, span } = Living;
  const { places, at, across, unit, up, lowest, highest, ticks, isLog, curves } = data;
  const EDGE = { left: 46, right: 16, top: 26, bottom: 40 };
  const WIDE = 7.5; // pixels that a letter of a label takes
  const BESIDE = 8; // from a line's beginning to its label
  const SAMPLE = 22; // what a label at a line's end takes with a piece of its line
  const DOT = 6.5; // a dot's radius with its line
  const AWAY = [-10, 20, -26, 36, -42, 52]; // from a line's end down to its label's baseline
  const drawing = box.querySelector(".living-drawing");
  const points = [...box.querySelectorAll('[data-scale="point"]')];
  const start = Number(points[0].value);
  const measuring = box.querySelector('[data-control="measured"]');
  let scales; // of the last painting

  // Each network has a curve of its own, and none is told before it is asked for. This runs before
  // the figure itself hears of the change.
  const chosen = () => box.querySelector('[data-control="network"]:checked')?.value;
  const kept = {};
  let last = chosen();
  box.addEventListener("input", () => {
    if (chosen() === last) return;
    kept[last] = points.map(({ value }) => value);
    last = chosen();
    for (const [place, point] of points.entries()) point.value = kept[last]?.[place] ?? start;
    measuring.checked = false;
  });

  // Measured values and drawn ones in the axis's own terms: powers of ten, or percent.
  const onAxis = (value) => (isLog ? Math.log10(value) : value);
  const shown = (drawn) => (isLog ? number(10 ** drawn) : `${drawn} %`);
  const range = (ends) => (isLog ? span(ends) : `${span(ends, fixed(data.digits))} %`);
  const named = (place) => (unit === "layers" ? `${place} layers` : `${unit} ${place}`);
  const drawnOf = (state) => places.map((_, point) => state[`point ${point}`]);
  const curveOf = ({ network = "plain" }) => curves[network];

  // How far each point lies from the measured band, below it negative, inside it zero.
  function gapsOf(state) {
    const { low, high } = curveOf(state);
    return drawnOf(state).map((drawn, point) => {
      const [least, most] = [low, high].map((side) => onAxis(side[at.indexOf(places[point])]));
      return drawn > most ? drawn - most : Math.min(drawn - least, 0);
    });
  }

  function compared(state) {
    const gaps = gapsOf(state);
    const sizes = gaps.map(Math.abs);
    const worst = sizes.indexOf(Math.max(...sizes));
    if (!sizes[worst]) return "Your curve lies in the band at every point.";
    const mean = sizes.reduce((total, size) => total + size, 0) / sizes.length;
    const amount = (size) => (isLog ? number(10 ** size) : fixed(1)(size));
    const away = isLog ? `a factor of ${amount(mean)}` : `${amount(mean)} points`;
    const side = isLog ? ["times too small", "times too large"] : ["too low", "too high"];
    const most = `${amount(sizes[worst])} ${side[Number(gaps[worst] > 0)]}`;
    const where = named(places[worst]);
    return `Your curve lies ${away} from the band on average, most at ${where}: ${most}.`;
  }

  // Where the means of deep and shallow network lie farthest apart.
  function apart({ words, middle, given }) {
    if (!given) return "";
    const gaps = middle.map((value, place) => value - given.middle[place]);
    const sizes = gaps.map(Math.abs);
    const most = sizes.indexOf(Math.max(...sizes));
    const side = gaps[most] > 0 ? "above" : "below";
    const size = fixed(1)(sizes[most]);
    const deep = words.split(", ").at(-1);
    const where = `in ${named(at[most])}: ${size} points ${side}`;
    return ` ${deep} lie farthest from ${given.words} ${where}.`;
  }

  function sentence(state) {
    const { words, low, high, ratio } = curveOf(state);
    const drawn = drawnOf(state);
    if (!state.measured) {
      const { given } = curveOf(state);
      const told = given ? ` Given is the dashed line, ${given.words}.` : "";
      return `Draw the whole curve, then let the measured one appear.${told}`;
    }
    const place = named(places.at(-1));
    const yours = ratio ? number(10 ** (drawn[0] - drawn.at(-1))) : shown(drawn.at(-1));
    const found = ratio ? span(ratio) : range([low.at(-1), high.at(-1)]);
    const subject = ratio
      ? `${words[0].toUpperCase()}${words.slice(1)}: the first gradient is ${found} times the last`
      : `Measured at ${place} (${words}): ${found}`;
    const untouched = points.every((point) => Number(point.value) === start);
    if (untouched) return `${subject}.${apart(curveOf(state))} You have drawn nothing yet.`;
    const you = ratio ? `${yours} times` : yours;
    return `${subject}, you drew ${you}. ${compared(state)}${apart(curveOf(state))}`;
  }

  // The curves place by place, for those who do not see them: "epoch 1: 50 %; epoch 2: ...".
  function spelled(state) {
    const { words, low, high, given } = curveOf(state);
    const each = (texts) => {
      return places.map((place, point) => `${named(place)}: ${texts[point]}`).join("; ");
    };
    const bands = (one) => places.map((place) => {
      return range([one.low, one.high].map((side) => side[at.indexOf(place)]));
    });
    const told = [`Your curve: ${each(drawnOf(state).map(shown))}.`];
    if (given) {
      const [first, last] = [bands(given)[0], bands(given).at(-1)];
      const [from, to] = [places[0], places.at(-1)].map(named);
      told.push(`Given, ${given.words}: ${first} at ${from}, ${last} at ${to}.`);
    }
    if (state.measured) told.push(`Measured, ${words}: ${each(bands({ low, high }))}.`);
    return told.join(" ");
  }

  // Draws with mouse or finger: every point that the stroke passes goes to its height.
  let before;
  function follow({ clientX, clientY }) {
    const { left, top } = drawing.getBoundingClientRect();
    const here = [scales.x.invert(clientX - left), scales.y.invert(clientY - top)];
    const from = before ?? here;
    before = here;
    const distances = places.map((place) => Math.abs(place - here[0]));
    const nearest = distances.indexOf(Math.min(...distances));
    for (const [point, place] of places.entries()) {
      const isPassed = (place - from[0]) * (place - here[0]) < 0;
      if (!isPassed && point !== nearest) continue;
      const share = isPassed ? (place - from[0]) / (here[0] - from[0]) : 1;
      const height = from[1] + share * (here[1] - from[1]);
      const steps = Number(points[point].max) / (highest - lowest);
      points[point].value = Math.round((height - lowest) * steps); // the browser keeps to its ends
    }
    box.dispatchEvent(new Event("input"));
    return points[nearest];
  }
  drawing.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    event.preventDefault(); // no text is selected
    drawing.setPointerCapture(event.pointerId);
    before = undefined;
    follow(event);
  });
  drawing.addEventListener("pointermove", (event) => {
    if (drawing.hasPointerCapture(event.pointerId)) follow(event);
  });
  drawing.addEventListener("pointerup", (event) => {
    // So that the arrow keys can go on from where the stroke ended.
    if (before) follow(event).focus({ preventScroll: true });
  });
  for (const turn of ["focusin", "focusout"]) {
    box.addEventListener(turn, () => box.dispatchEvent(new Event("input")));
  }

  // The room that a label takes with its baseline so far below its mark, and a little around it.
  function room({ words, side, mark: [x, y] }, away) {
    const wide = WIDE * words.length + (side === "end" ? SAMPLE : 0);
    const left = side === "end" ? x - wide : x + BESIDE;
    return { left: left - 3, right: left + wide + 3, top: y + away - 14, bottom: y + away + 6 };
  }
  // How many pixels of a curve lie in a room.
  function inside({ left, right, top, bottom }, curve) {
    let found = 0;
    for (const [place, [toX, toY]] of curve.entries()) {
      const [fromX, fromY] = curve[Math.max(place - 1, 0)];
      const steps = Math.max(1, Math.ceil(Math.hypot(toX - fromX, toY - fromY) / 3));
      for (let step = 1; step <= steps; step += 1) {
        const [x, y] = [fromX, fromY].map((from, axis) => {
          return from + (([toX, toY][axis] - from) * step) / steps;
        });
        if (x > left && x < right && y > top && y < bottom) found += 3;
      }
    }
    return found;
  }
  const meet = (one, other) => {
    const across = one.left < other.right && other.left < one.right;
    return across && one.top < other.bottom && other.top < one.bottom;
  };
  // Gives each label, { words, side, mark }, its `away`: where few lines run, none of the reader's
  // dots lies and its own end is near. They stand in the order of their ends, if it can be each
  // nearest to its own.
  function placed(labels, curves, bottom, taken = []) {
    const dots = curves[0].map(([x, y]) => {
      return { left: x - DOT, right: x + DOT, top: y - DOT, bottom: y + DOT };
    });
    const order = labels.toSorted((one, other) => one.mark[1] - other.mark[1]);
    let best = { cost: Infinity };
    function price(label, away, here) {
      const lines = curves.reduce((total, curve) => total + inside(here, curve), 0);
      const off = ([, y]) => Math.abs((here.top + here.bottom) / 2 - y);
      const strays = order.some((one) => one !== label && off(one.mark) <= off(label.mark));
      const covers = taken.some((other) => meet(here, other));
      const dotted = dots.filter((dot) => meet(here, dot)).length;
      return lines + Math.abs(away - 4) / 2 + 200 * strays + 200 * covers + 60 * dotted;
    }
    function extend(places, cost) {
      if (cost >= best.cost) return;
      if (places.length === order.length) best = { cost, places };
      else {
        const label = order[places.length];
        for (const away of AWAY) {
          const here = room(label, away);
          const above = places.at(-1)?.here.bottom ?? 0;
          if (here.top < above - 4 || here.bottom > bottom) continue; // rooms have some air
          extend([...places, { ...label, here, away }], cost + price(label, away, here));
        }
      }
    }
    extend([], 0);
    return best.places;
  }
  // With a piece of its line, so that it is known where lines end close together.
  const written = ({ words, side, mark: [x, y], away, look, opacity = null }) => {
    const isEnd = side === "end";
    const at = { x: isEnd ? x - SAMPLE : x + BESIDE, y: y + away };
    const text = made("text", { class: `said ${side}`, ...at }, words);
    const piece = { class: `sample ${look}`, d: `M${x - SAMPLE + 6} ${y + away - 4}H${x}` };
    return isEnd ? made("g", { opacity }, text, made("path", piece)) : text;
  };

  function axes(x, y, width, height) {
    const [left, right] = [EDGE.left, width - EDGE.right];
    const words = (tick) => (isLog ? (tick ? `10${power(tick)}` : "1") : tick);
    const lines = ticks.flatMap((tick) => [
      made("path", { class: "grid", d: `M${left} ${y(tick)}H${right}` }),
      made("text", { class: "end", x: left - 8, y: y(tick) + 4 }, words(tick)),
    ]);
    const below = { class: "middle", y: height - EDGE.bottom + 18 };
    const names = places.map((place) => made("text", { ...below, x: x(place) }, place));
    const guessing =
      data.guessing &&
      made("path", { class: "line thin guess", d: `M${left} ${y(data.guessing)}H${right}` });
    return [
      ...lines,
      ...names,
      ...(guessing ? [guessing] : []),
      made("text", { x: 0, y: 12 }, up),
      made("text", { class: "middle", x: (left + right) / 2, y: height - 4 }, across),
    ];
  }

  const aims = ({ measured }) => ({ shows: Number(measured) });

  function paint({ state, now, width, height }) {
    const x = d3.scaleLinear([at[0], at.at(-1)], [EDGE.left + 12, width - EDGE.right - 12]);
    const y = d3.scaleLinear([lowest, highest], [height - EDGE.bottom, EDGE.top]);
    scales = { x, y };
    const { words, kind, low, middle, high, given } = curveOf(state);
    const along = (_, place) => x(at[place]);
    const value = (one) => y(onAxis(one));
    const path = d3.line(along, value);
    const band = d3.area().x(along).y0((_, place) => value(low[place])).y1(value);
    const drawn = drawnOf(state);
    const mine = drawn.map((one, point) => [x(places[point]), y(one)]);
    const focused = points.indexOf(document.activeElement);
    // Labels lie on top of all lines. Where they lie tells nothing of what is not yet shown.
    const ended = (one, told, look, opacity) => {
      return { words: told, side: "end", mark: [x(at.at(-1)), value(one.at(-1))], look, opacity };
    };
    const told = [given && ended(given.middle, given.words, `line thin ${kind}`)];
    if (state.measured) told.push(ended(middle, words, `line ${kind}`, now.shows));
    const seen = [given?.middle, state.measured && middle].filter(Boolean);
    const pixels = (one) => one.map((size, place) => [along(0, place), value(size)]);
    const curves = [mine, ...seen.map(pixels)];
    const guess = data.guessing && [width / 2 - 3 * WIDE, y(data.guessing) - 5];
    const others = [[up, [0, 12]], guess && ["guessing", guess]].filter(Boolean);
    const taken = others.map(([name, [left, base]]) => {
      return room({ words: name, mark: [left - BESIDE, base] }, 0);
    });
    const floor = height - EDGE.bottom + 4;
    const ends = placed(told.filter(Boolean), curves, floor, taken);
    const you = { words: "you", side: "", mark: mine[0] };
    const start = placed([you], curves, floor, [...taken, ...ends.map(({ here }) => here)]);
    const labels = [...ends, ...start].map(written);
    const shapes = [
      ...axes(x, y, width, height),
      given && made("path", { class: `line thin ${kind}`, d: path(given.middle) }),
      made("g", { opacity: now.shows },
        made("path", { class: `band ${kind}`, d: band(high) }),
        made("path", { class: `line ${kind}`, d: path(middle) })),
      made("path", { class: "line mine", d: d3.line()(mine) }),
      ...mine.map(([cx, cy]) => made("circle", { class: "dot mine", cx, cy, r: 5 })),
      guess && made("text", { class: "name", x: guess[0], y: guess[1] }, "guessing"),
      ...labels,
      focused >= 0 &&
        made("circle", { class: "ring", cx: mine[focused][0], cy: mine[focused][1], r: 11 }),
    ].filter(Boolean);
    const said = sentence(state);
    return { shapes, alt: `${up} by ${across}. ${spelled(state)} ${said}`, said };
  }

  return { aims, paint };
});
